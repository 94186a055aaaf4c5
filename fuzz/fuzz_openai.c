/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI's chat and completions codecs; see fuzz_codec.h for what an input is. The first byte's
 * highest bit says which of the two. */
#include "fuzz_codec.h"

enum { IS_COMPLETION = 0x80 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool is_completion = size > 0 && (data[0] & IS_COMPLETION) != 0;

    return fuzz_codec(is_completion ? &mt_codec_openai_completions : &mt_codec_openai_chat,
                      data, size);
}
