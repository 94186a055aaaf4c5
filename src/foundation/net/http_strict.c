/* SPDX-License-Identifier: Apache-2.0 */
/* What MHD lets pass and we do not: every way to frame one request as two.
 *
 * MHD parses in place: it puts NULs where CR LF, the colon and the spaces of the request line
 * were, and its strings point into the block as it came off the wire. So strictness is a walk
 * over that block: each line has to begin where the one before ended, two bytes of line end
 * later. A bare LF, a folded line, a NUL or a line MHD moved leaves a gap.
 * @source RFC 9112, sections 2.2, 3.2, 5.1, 5.2, 6.1, 6.3 */
#include <string.h>

#include "http_priv.h"

#define FLAW(number, words) ((struct mt_http_flaw){(number), (words)})
static const struct mt_http_flaw no_flaw;

/* Header names, methods: RFC 9110 "token". */
static bool is_token(struct mt_str text)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_alnum =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!is_alnum && (c == '\0' || strchr(extra, c) == NULL))
            return false;
    }
    return text.len > 0;
}

static bool is_field_text(struct mt_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_digits(struct mt_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.len > 0;
}

bool mt_http__check_target(const char *target)
{
    for (const char *at = target; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;

        if (c <= 0x20 || c == 0x7f || (c == '%' && at[1] == '0' && at[2] == '0'))
            return false;
    }
    return *target != '\0';
}

struct walk {
    const char *next; /* where the next line has to begin */
    const char *end;  /* behind the empty line */
    unsigned hosts_n;
    unsigned lengths_n;
    unsigned encodings_n;
    bool is_chunked;
    struct mt_http_flaw flaw;
};

static void count_field(struct walk *walk, struct mt_str name, struct mt_str value)
{
    if (mt_str_ieq(name, MT_STR("host"))) {
        walk->hosts_n++;
    } else if (mt_str_ieq(name, MT_STR("content-length"))) {
        walk->lengths_n++;
        if (!is_digits(value))
            walk->flaw = FLAW(400, "content-length is not a number");
    } else if (mt_str_ieq(name, MT_STR("transfer-encoding"))) {
        walk->encodings_n++;
        walk->is_chunked = mt_str_ieq(value, MT_STR("chunked"));
    }
}

static enum MHD_Result check_field(void *ctx, enum MHD_ValueKind kind, const char *name_at,
                                   size_t name_len, const char *value_at, size_t value_len)
{
    struct walk *walk = ctx;
    struct mt_str name = {name_at, name_len};
    struct mt_str value = {value_at, value_len};
    const char *line_end = value_at == NULL ? NULL : value_at + value_len;

    (void)kind;
    walk->flaw = FLAW(400, "malformed header line");
    if (name_at != walk->next || value_at == NULL || value_at <= name_at + name_len ||
        line_end + 2 > walk->end || line_end[0] != '\0' || line_end[1] != '\0')
        return MHD_NO;
    if (!is_token(name) || !is_field_text(value))
        return MHD_NO;
    for (const char *gap = name_at + name_len + 1; gap < value_at; gap++)
        if (*gap != ' ' && *gap != '\t')
            return MHD_NO;
    walk->next = line_end + 2;
    walk->flaw = no_flaw;
    count_field(walk, name, mt_str_trim(value));
    return walk->flaw.status == 0 ? MHD_YES : MHD_NO;
}

static struct mt_http_flaw check_framing(const struct walk *walk, bool is_http_11)
{
    if (walk->encodings_n > 0 && walk->lengths_n > 0)
        return FLAW(400, "both content-length and transfer-encoding");
    if (walk->lengths_n > 1)
        return FLAW(400, "more than one content-length");
    if (walk->encodings_n > 1 || (walk->encodings_n == 1 && !walk->is_chunked))
        return FLAW(501, "transfer-encoding other than chunked");
    if (walk->encodings_n == 1 && !is_http_11)
        return FLAW(400, "transfer-encoding in http/1.0");
    if (walk->hosts_n > 1 || (is_http_11 && walk->hosts_n == 0))
        return FLAW(400, "exactly one host header is needed");
    return no_flaw;
}

struct mt_http_flaw mt_http__check_head(struct mt_http_conn *conn, const char *version)
{
    const struct mt_http_exchange *x = &conn->x;
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *version_end = version + strlen(version);
    struct walk walk = {.next = version_end + 2, .end = x->method + size->header_size};

    if (size->header_size > conn->server->header_bytes_max)
        return FLAW(431, "the header is over the limit");
    if (x->is_bad_line || !is_token(mt_str_of(x->method)) ||
        x->path != x->method + strlen(x->method) + 1 || x->target_end != version)
        return FLAW(400, "malformed request line");
    if (version_end + 2 > walk.end || version_end[0] != '\0' || version_end[1] != '\0')
        return FLAW(400, "malformed header line");
    (void)MHD_get_connection_values_n(conn->mhd, MHD_HEADER_KIND, check_field, &walk);
    if (walk.flaw.status != 0)
        return walk.flaw;
    if (walk.next + 2 != walk.end || walk.next[0] != '\0' || walk.next[1] != '\0')
        return FLAW(400, "malformed header line");
    return check_framing(&walk, strcmp(version, "HTTP/1.0") != 0);
}
