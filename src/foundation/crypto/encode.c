/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/encode.h"

static const char standard_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void mt_hex_add(struct mt_buf *out, struct mt_str bytes)
{
    static const char hex[] = "0123456789abcdef";
    char *to = mt_buf_reserve(out, bytes.len * 2); /* a slice is shorter than SIZE_MAX / 2 */

    if (to == NULL)
        return;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];
        to[2 * i] = hex[byte >> 4];
        to[2 * i + 1] = hex[byte & 15];
    }
    mt_buf_grew(out, bytes.len * 2);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

mt_rc mt_hex_decode(struct mt_str hex, struct mt_buf *out, struct mt_err *err)
{
    if (hex.len % 2 != 0)
        return MT_FAIL(err, MT_E_INVALID, "hexadecimal: %zu digits, expected an even number",
                       hex.len);
    size_t before = out->len;
    char *to = mt_buf_reserve(out, hex.len / 2);

    if (to == NULL)
        return mt_buf_check(out, "hexadecimal", err);
    for (size_t i = 0; i < hex.len; i += 2) {
        int high = hex_value(hex.at[i]);
        int low = hex_value(hex.at[i + 1]);
        if (high < 0 || low < 0) {
            mt_buf_cut(out, before); /* what was written past the end goes */
            return MT_FAIL(err, MT_E_INVALID, "hexadecimal: no digit at position %zu",
                           high < 0 ? i : i + 1);
        }
        to[i / 2] = (char)(high << 4 | low);
    }
    mt_buf_grew(out, hex.len / 2);
    return MT_OK;
}

static void encode_three(const unsigned char *from, const char *digits, char *to)
{
    unsigned bits = (unsigned)from[0] << 16 | (unsigned)from[1] << 8 | from[2];

    to[0] = digits[bits >> 18];
    to[1] = digits[bits >> 12 & 63];
    to[2] = digits[bits >> 6 & 63];
    to[3] = digits[bits & 63];
}

void mt_base64_add(struct mt_buf *out, struct mt_str bytes, enum mt_base64 alphabet)
{
    const char *digits = alphabet == MT_BASE64_URL ? url_digits : standard_digits;
    const unsigned char *from = (const unsigned char *)bytes.at;
    size_t whole = bytes.len / 3;
    size_t rest = bytes.len % 3;
    bool is_padded = alphabet == MT_BASE64_STANDARD;
    size_t tail = rest == 0 ? 0 : is_padded ? 4 : rest + 1;
    char *to = mt_buf_reserve(out, whole * 4 + tail);

    if (to == NULL)
        return;
    for (size_t i = 0; i < whole; i++)
        encode_three(from + 3 * i, digits, to + 4 * i);
    if (rest > 0) {
        unsigned char last[3] = {from[3 * whole], rest > 1 ? from[3 * whole + 1] : 0, 0};
        char quad[4];
        encode_three(last, digits, quad);
        for (size_t i = 0; i < tail; i++)
            to[4 * whole + i] = i <= rest ? quad[i] : '=';
    }
    mt_buf_grew(out, whole * 4 + tail);
}

/* Value of each byte as digit of either alphabet, 64 for no digit. */
static const uint8_t values[256] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62,
    64, 62, 64, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64, 64, 0,
    1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
    23, 24, 25, 64, 64, 64, 64, 63, 64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,
    39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64};

static unsigned digit_value(char c, enum mt_base64 alphabet)
{
    unsigned value = values[(unsigned char)c];

    if (value < 62)
        return value;
    bool is_url = c == '-' || c == '_';
    return is_url == (alphabet == MT_BASE64_URL) ? value : 64;
}

/* The text without its padding; false when the padding is not that of its length. */
static bool without_padding(struct mt_str *text)
{
    size_t pads = 0;

    while (pads < 2 && pads < text->len && text->at[text->len - 1 - pads] == '=')
        pads++;
    if (pads > 0 && text->len % 4 != 0)
        return false;
    text->len -= pads;
    return text->len % 4 != 1;
}

mt_rc mt_base64_decode(struct mt_str text, enum mt_base64 alphabet, struct mt_buf *out,
                       struct mt_err *err)
{
    unsigned bits = 0;

    if (!without_padding(&text))
        return MT_FAIL(err, MT_E_INVALID, "base64: no text has this length and padding");
    size_t before = out->len;
    size_t bytes_n = text.len / 4 * 3 + (text.len % 4 > 0 ? text.len % 4 - 1 : 0);
    char *to = mt_buf_reserve(out, bytes_n);

    if (to == NULL)
        return mt_buf_check(out, "base64", err);
    for (size_t i = 0, n = 0; i < text.len; i++) {
        unsigned value = digit_value(text.at[i], alphabet);
        if (value > 63) {
            mt_buf_cut(out, before);
            return MT_FAIL(err, MT_E_INVALID, "base64: no digit at position %zu", i);
        }
        bits = bits << 6 | value;
        if (i % 4 > 0)
            to[n++] = (char)(bits >> (6 - i % 4 * 2) & 255);
    }
    unsigned unused = text.len % 4 == 2 ? 15 : text.len % 4 == 3 ? 3 : 0;
    if ((bits & unused) != 0) {
        mt_buf_cut(out, before);
        return MT_FAIL(err, MT_E_INVALID, "base64: unused bits at the end are not zero");
    }
    mt_buf_grew(out, bytes_n);
    return MT_OK;
}
