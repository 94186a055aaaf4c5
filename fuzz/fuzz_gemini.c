/* SPDX-License-Identifier: Apache-2.0 */
/* The Gemini codec, its paths and its count; see fuzz_codec.h for what an input is. */
#include "chat/gemini.h"
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void path_is_taken_apart(struct mt_str path)
{
    struct mt_str model = {0};
    enum mt_gemini_method method = MT_GEMINI_UNKNOWN;

    if (mt_gemini_path(path, &model, &method))
        MT_ASSERT(model.len > 0 && model.at >= path.at &&
                  model.at + model.len <= path.at + path.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        path_is_taken_apart((struct mt_str){(const char *)data, size});
    return fuzz_codec(&mt_codec_gemini, data, size);
}
