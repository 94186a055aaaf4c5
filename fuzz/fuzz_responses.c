/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAI Responses codec; see fuzz_codec.h for what an input is. */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_codec(&mt_codec_openai_responses, data, size);
}
