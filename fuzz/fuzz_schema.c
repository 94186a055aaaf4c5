/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas of callers made into grammars: made or refused, within bounds. */
#include <stddef.h>
#include <stdint.h>

#include "chat/codec.h"
#include "json_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mt_grammar_bounds bounds = mt_grammar_bounds_for(size % 2 == 0 ? 256 : -1);
    struct mt_buf out = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    struct mt_chat_notes notes;
    struct mt_str text = {(const char *)data, size};

    mt_chat_notes_init(&notes);
    (void)mt_grammar_schema(text, &bounds, &out, &notes, NULL);
    mt_buf_clear(&out);
    (void)mt_grammar__pattern(text, &out);
    mt_chat_notes_fini(&notes);
    mt_buf_fini(&out);
    return 0;
}
