/* SPDX-License-Identifier: Apache-2.0 */
/* A prompt from words and from a pipe. */
#include "prompt.h"

static mt_rc read_pipe(struct cli *cli, struct mt_buf *out, struct mt_err *err)
{
    enum { PIECE = 64 * 1024 };
    size_t n;

    do {
        char *to = mt_buf_reserve(out, PIECE);
        if (to == NULL)
            return mt_buf_check(out, "standard input", err);
        n = fread(to, 1, PIECE, cli->in);
        mt_buf_grew(out, n);
    } while (n > 0);
    if (ferror(cli->in))
        return MT_FAIL(err, MT_E_IO, "standard input cannot be read");
    return MT_OK;
}

mt_rc prompt_read(struct cli *cli, const char *const *words, size_t n, struct mt_buf *out,
                  struct mt_err *err)
{
    for (size_t i = 0; i < n; i++)
        mt_buf_addf(out, "%s%s", i > 0 ? " " : "", words[i]);
    if (!cli->is_in_tty) {
        size_t begin = out->len;
        if (n > 0)
            mt_buf_add_cstr(out, "\n\n");
        size_t piped = out->len;
        MT_TRY(read_pipe(cli, out, err));
        while (out->len > piped &&
               (out->at[out->len - 1] == '\n' || out->at[out->len - 1] == '\r'))
            mt_buf_cut(out, out->len - 1);
        if (out->len == piped)
            mt_buf_cut(out, begin);
    }
    if (!mt_str_is_utf8(mt_buf_str(out)))
        return MT_FAIL(err, MT_E_INVALID, "the prompt is not UTF-8");
    return mt_buf_check(out, "prompt", err);
}
