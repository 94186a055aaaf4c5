/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF headers of any bytes: read or refused. The file is said to be longer than the bytes, so
 * that a header which asks for more is met too. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mt_arena arena = MT_ARENA_INIT(1 << 24);
    struct mt_str head = {(const char *)data, size};
    struct mt_gguf gguf = {.version = 0};
    struct mt_err err = {0};

    mt_rc rc = mt_gguf_parse(head, (int64_t)size + 4096, &arena, &gguf, &err);
    if (rc == MT_OK && (gguf.architecture.len == 0 || gguf.parameters_n < 0))
        abort();
    mt_arena_fini(&arena);
    return 0;
}
