/* SPDX-License-Identifier: Apache-2.0 */
/* The codec of POST /v1/chat/completions: its parts are in openai_chat_*.c. */
#include "openai_priv.h"

static void forward_path(const struct mt_chat_peek *peek, struct mt_str model,
                         struct mt_buf *path)
{
    (void)peek;
    (void)model;
    mt_buf_add_cstr(path, "/v1/chat/completions");
}

const struct mt_chat_codec mt_codec_openai_chat = {
    .dialect = MT_DIALECT_OPENAI_CHAT,
    .name = "openai",
    .stream_framing = MT_FRAMING_SSE,
    .stream_content_type = "text/event-stream; charset=utf-8",
    .decode_request = mt_openai__decode_chat,
    .encoder_new = mt_openai__encoder_new,
    .encode_event = mt_openai__encode_event,
    .encode_answer = mt_openai__encode_answer,
    .encode_error = mt_openai__write_error,
    .error_status = mt_openai__error_status,
    .encode_request = mt_openai__encode_chat,
    .decoder_new = mt_openai__decoder_new,
    .decode_frame = mt_openai__decode_frame,
    .decode_end = mt_openai__decode_end,
    .decode_answer = mt_openai__decode_answer,
    .decode_error = mt_openai__decode_error,
    .peek = mt_openai__peek,
    .forward_body = mt_openai__forward_body,
    .forward_path = forward_path,
    .meter_frame = mt_openai__meter_frame,
    .meter_answer = mt_openai__meter_answer,
};
