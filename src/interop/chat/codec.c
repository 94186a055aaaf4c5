/* SPDX-License-Identifier: Apache-2.0 */
/* The table of dialects, and the notes on what did not fit. */
#include "chat/codec.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

enum { NOTES_MAX = 2048, NOTE_MAX = 256 };

static const struct mt_chat_codec *const codecs[MT_DIALECT_COUNT] = {
    [MT_DIALECT_OPENAI_CHAT] = &mt_codec_openai_chat,
    [MT_DIALECT_OPENAI_RESPONSES] = &mt_codec_openai_responses,
    [MT_DIALECT_OPENAI_COMPLETIONS] = &mt_codec_openai_completions,
    [MT_DIALECT_ANTHROPIC] = &mt_codec_anthropic,
    [MT_DIALECT_GEMINI] = &mt_codec_gemini,
    [MT_DIALECT_OLLAMA_CHAT] = &mt_codec_ollama_chat,
    [MT_DIALECT_OLLAMA_GENERATE] = &mt_codec_ollama_generate,
};

const struct mt_chat_codec *mt_chat_codec(enum mt_dialect dialect)
{
    MT_ASSERT((unsigned)dialect < MT_DIALECT_COUNT && codecs[dialect] != NULL);
    return codecs[dialect];
}

void mt_chat_notes_init(struct mt_chat_notes *notes)
{
    mt_buf_init(&notes->text, NOTES_MAX);
}

void mt_chat_notes_fini(struct mt_chat_notes *notes)
{
    mt_buf_fini(&notes->text);
}

/* Notes end in a header: nothing but printable ASCII. */
static void tame(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

void mt_chat_note(struct mt_chat_notes *notes, const char *format, ...)
{
    static const struct mt_str more = MT_STR_INIT("; ...");
    char text[NOTE_MAX];
    va_list args;

    if (notes == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tame(text);
    struct mt_str note = mt_str_of(text);
    struct mt_str so_far = mt_buf_str(&notes->text);
    if (mt_str_ends(so_far, more) ||
        mt_str_find(so_far, note) < so_far.len) /* once is enough */
        return;
    if (so_far.len + 2 + note.len + more.len > NOTES_MAX) {
        mt_buf_add(&notes->text, more);
        return;
    }
    if (so_far.len > 0)
        mt_buf_add_cstr(&notes->text, "; ");
    mt_buf_add(&notes->text, note);
}
