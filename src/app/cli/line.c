/* SPDX-License-Identifier: Apache-2.0 */
/* The door to libedit. Ctrl-C is a key of its own: the terminal's interrupt is off while a line
 * is edited, since libedit swallows the signal. */
#include "line.h"

#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/alloc.h"

enum { HISTORY_MAX = 1000 };

struct line {
    struct cli *cli;
    EditLine *edit; /* NULL: not a terminal */
    History *history;
    const char *prompt;
    bool is_canceled;
};

static char *prompt_of(EditLine *edit)
{
    struct line *line = NULL;

    (void)el_get(edit, EL_CLIENTDATA, &line);
    return (char *)(uintptr_t)line->prompt;
}

static unsigned char on_cancel(EditLine *edit, int key)
{
    struct line *line = NULL;

    (void)key;
    (void)el_get(edit, EL_CLIENTDATA, &line);
    line->is_canceled = true;
    return CC_EOF;
}

static mt_rc open_edit(struct line *line, struct mt_err *err)
{
    HistEvent event;

    line->edit = el_init("motet", line->cli->in, line->cli->out, line->cli->err);
    line->history = history_init();
    if (line->edit == NULL || line->history == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "line editor");
    (void)history(line->history, &event, H_SETSIZE, HISTORY_MAX);
    (void)history(line->history, &event, H_SETUNIQUE, 1);
    (void)el_set(line->edit, EL_CLIENTDATA, line);
    (void)el_set(line->edit, EL_PROMPT, prompt_of);
    (void)el_set(line->edit, EL_EDITOR, "emacs");
    (void)el_set(line->edit, EL_HIST, history, line->history);
    (void)el_set(line->edit, EL_SETTY, "-d", "-isig", NULL);
    /* wide, or libedit makes copies that it never frees */
    (void)el_wset(line->edit, EL_ADDFN, L"motet-cancel", L"give the line up", on_cancel);
    (void)el_set(line->edit, EL_BIND, "^C", "motet-cancel", NULL);
    (void)el_set(line->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return MT_OK;
}

mt_rc line_open(struct cli *cli, struct line **out, struct mt_err *err)
{
    struct line *line = mt_alloc(1, sizeof *line);

    if (line == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "line editor");
    line->cli = cli;
    mt_rc rc = cli->is_in_tty && cli->is_out_tty ? open_edit(line, err) : MT_OK;
    if (rc != MT_OK)
        line_close(line);
    else
        *out = line;
    return rc;
}

void line_close(struct line *line)
{
    if (line == NULL)
        return;
    if (line->edit != NULL)
        el_end(line->edit);
    if (line->history != NULL)
        history_end(line->history);
    mt_free(line);
}

static mt_rc read_plain(struct line *line, struct mt_buf *out, struct mt_err *err)
{
    size_t begin = out->len;
    int c;

    while ((c = getc(line->cli->in)) != EOF && c != '\n')
        mt_buf_add_char(out, (char)c);
    if (c == EOF && out->len == begin)
        return MT_FAIL(err, MT_E_NOTFOUND, "end of input");
    return mt_buf_check(out, "line", err);
}

static mt_rc read_edited(struct line *line, struct mt_buf *out, struct mt_err *err)
{
    HistEvent event;
    int n = 0;

    line->is_canceled = false;
    (void)el_set(line->edit, EL_PREP_TERM,
                 1); /* before the prompt: what is typed at it is ours */
    const char *text = el_gets(line->edit, &n);
    if (line->is_canceled)
        return MT_FAIL(err, MT_E_CANCELED, "interrupted");
    if (text == NULL || n <= 0)
        return MT_FAIL(err, MT_E_NOTFOUND, "end of input");
    struct mt_str typed = {text, (size_t)n};
    if (mt_str_ends(typed, MT_STR("\n")))
        typed.len--;
    if (mt_str_trim(typed).len > 0)
        (void)history(line->history, &event, H_ENTER, text);
    mt_buf_add(out, typed);
    return mt_buf_check(out, "line", err);
}

mt_rc line_read(struct line *line, const char *prompt, struct mt_buf *out, struct mt_err *err)
{
    line->prompt = prompt;
    return line->edit != NULL ? read_edited(line, out, err) : read_plain(line, out, err);
}
