/* SPDX-License-Identifier: Apache-2.0 */
/* Both codecs of Ollama; see fuzz_codec.h for what an input is. The first bit of the first byte
 * that it does not use chooses between chat and generate. */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool is_generate = size > 0 && (data[0] & 0x80) != 0;

    return fuzz_codec(is_generate ? &mt_codec_ollama_generate : &mt_codec_ollama_chat, data,
                      size);
}
