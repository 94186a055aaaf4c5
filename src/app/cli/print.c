/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for people, and tables. */
#include <errno.h>
#include <string.h>

#include "cli.h"

mt_rc cli_put_failed(struct mt_err *err)
{
    /* a reader such as `head` that has seen enough is no failure to talk about */
    return MT_FAIL(err, errno == EPIPE ? MT_E_CANCELED : MT_E_IO,
                   "the output cannot be written");
}

mt_rc cli_put(struct cli *cli, const struct mt_buf *text, struct mt_err *err)
{
    MT_TRY(mt_buf_check(text, "output", err));
    if (text->len > 0 && fwrite(text->at, 1, text->len, cli->out) != text->len)
        return cli_put_failed(err);
    return MT_OK;
}

void cli_add_size(struct mt_buf *out, int64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t i = 0;

    for (; value >= 1000 && i + 1 < MT_ARRAY_LEN(units); i++)
        value /= 1000;
    mt_buf_addf(out, i == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[i]);
}

void cli_add_count(struct mt_buf *out, int64_t n)
{
    if (n < 10000)
        mt_buf_add_i64(out, n);
    else if (n < 1000 * 1000)
        mt_buf_addf(out, "%.1fk", (double)n / 1e3);
    else if (n < 1000 * 1000 * 1000)
        mt_buf_addf(out, "%.1fM", (double)n / 1e6);
    else
        mt_buf_addf(out, "%.1fG", (double)n / 1e9);
}

void cli_add_money(struct mt_buf *out, int64_t usd_nano)
{
    if (usd_nano == 0)
        mt_buf_add_cstr(out, "$0");
    else if (usd_nano < 1000 * 1000)
        mt_buf_addf(out, "$%.9f", (double)usd_nano / 1e9);
    else
        mt_buf_addf(out, "$%.4f", (double)usd_nano / 1e9);
}

void cli_add_us(struct mt_buf *out, int64_t us)
{
    if (us < 1000)
        mt_buf_addf(out, "%lld us", (long long)us);
    else if (us < 1000 * 1000)
        mt_buf_addf(out, "%.1f ms", (double)us / 1e3);
    else
        mt_buf_addf(out, "%.2f s", (double)us / 1e6);
}

void cli_table_init(struct cli_table *table, size_t columns_n, unsigned right)
{
    *table = (struct cli_table){.columns_n = columns_n, .right = right};
    mt_buf_init(&table->text, CLI_TABLE_MAX);
}

void cli_table_fini(struct cli_table *table)
{
    mt_buf_fini(&table->text);
}

/* Names come from outside: a control character could steer the terminal. */
void cli_cell(struct cli_table *table, struct mt_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        mt_buf_add_char(&table->text, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
    mt_buf_add_char(&table->text, '\0');
}

void cli_cell_cstr(struct cli_table *table, const char *text)
{
    cli_cell(table, mt_str_of(text));
}

static int width_of(struct mt_str text)
{
    int n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.at[i] & 0xc0) != 0x80; /* characters, not bytes */
    return n;
}

static void add_cell(struct mt_buf *out, struct mt_str cell, int pad, bool is_right,
                     bool is_last)
{
    if (is_right)
        mt_buf_addf(out, "%*s", pad, "");
    mt_buf_add(out, cell);
    if (is_last)
        mt_buf_add_char(out, '\n');
    else
        mt_buf_addf(out, "%*s", (is_right ? 0 : pad) + 3, "");
}

mt_rc cli_table_put(struct cli *cli, const struct cli_table *table, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(4 * CLI_TABLE_MAX);
    int widths[CLI_COLUMNS_MAX] = {0};
    size_t column = 0;

    MT_TRY(mt_buf_check(&table->text, "table", err));
    for (struct mt_str rest = mt_buf_str(&table->text); rest.len > 0;
         column = (column + 1) % table->columns_n) {
        int width = width_of(mt_str_take(&rest, '\0'));
        widths[column] = width > widths[column] ? width : widths[column];
    }
    column = 0;
    for (struct mt_str rest = mt_buf_str(&table->text); rest.len > 0;
         column = (column + 1) % table->columns_n) {
        struct mt_str cell = mt_str_take(&rest, '\0');
        bool is_last = column + 1 == table->columns_n;
        bool is_right = (table->right >> column & 1) != 0;
        int pad = is_last && !is_right ? 0 : widths[column] - width_of(cell);
        add_cell(&out, cell, pad, is_right, is_last);
    }
    return cli_put(cli, &out, err);
}
