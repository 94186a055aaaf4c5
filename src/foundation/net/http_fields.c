/* SPDX-License-Identifier: Apache-2.0 */
/* URL and headers of a request, checked and copied into one block:
 *   [list node]... then the texts, each "Name: value" NUL. */
#include <string.h>

#include "base/alloc.h"
#include "http_client_priv.h"

static bool is_name(struct mt_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];

        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c) != NULL)
            return false;
    }
    return name.len > 0;
}

static bool is_value(struct mt_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] == '\r' || value.at[i] == '\n' || value.at[i] == '\0')
            return false;
    return true;
}

static mt_rc check_header(const struct mt_http_header *header, struct mt_err *err)
{
    struct mt_str name = mt_str_of(header->name);

    if (!is_name(name))
        return MT_FAIL(err, MT_E_INVALID, "header '%s': not a name", header->name);
    if (!is_value(header->value))
        return MT_FAIL(err, MT_E_INVALID, "header '%s': line break in its value", header->name);
    if (mt_str_ieq(name, MT_STR("content-length")) ||
        mt_str_ieq(name, MT_STR("transfer-encoding")))
        return MT_FAIL(err, MT_E_INVALID, "header '%s': the client sets it", header->name);
    return MT_OK;
}

static mt_rc check_url(struct mt_str url, struct mt_err *err)
{
    struct mt_str rest = url;
    struct mt_str scheme = mt_str_take(&rest, ':');

    if (!mt_str_is(scheme, "http") && !mt_str_is(scheme, "https"))
        return MT_FAIL(err, MT_E_INVALID, "url: expected http:// or https://, found '%.*s'",
                       MT_STR_ARG(mt_str_sub(scheme, 0, 32)));
    if (!mt_str_starts(rest, MT_STR("//")) || rest.len < 3 || rest.at[2] == '/')
        return MT_FAIL(err, MT_E_INVALID, "url: no host");
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.at[i] <= ' ' || url.at[i] == 0x7f)
            return MT_FAIL(err, MT_E_INVALID, "url: space or control character");
    return MT_OK;
}

static bool has_header(const struct mt_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->headers_n; i++)
        if (mt_str_ieq(mt_str_of(request->headers[i].name), mt_str_of(name)))
            return true;
    return false;
}

/* libcurl's own headers that a request is to go without: "Name:" takes one away. */
static size_t unwanted(const struct mt_http_request *request, const char *out[2])
{
    size_t n = 0;

    out[n++] = "Expect:";
    if (request->body.len > 0 && !has_header(request, "content-type"))
        out[n++] = "Content-Type:";
    return n;
}

static mt_rc reserve(struct mt_http_fields *fields, size_t size, struct mt_err *err)
{
    if (size <= fields->cap)
        return MT_OK;
    char *block = mt_alloc(size, 1);

    if (block == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "request headers of %zu bytes", size);
    mt_free(fields->block);
    fields->block = block;
    fields->cap = size;
    return MT_OK;
}

static char *put(char *at, struct mt_str text)
{
    if (text.len > 0)
        memcpy(at, text.at, text.len);
    return at + text.len;
}

/* "Name: value", or "Name;" which is libcurl's way to send an empty one. */
static char *put_header(char *at, const struct mt_http_header *header)
{
    at = put(at, mt_str_of(header->name));
    at = put(at, header->value.len > 0 ? MT_STR(": ") : MT_STR(";"));
    at = put(at, header->value);
    *at = '\0';
    return at + 1;
}

mt_rc mt_http__fields_fill(struct mt_http_fields *fields, const struct mt_http_request *request,
                           struct mt_err *err)
{
    const char *drop[2];
    size_t drop_n = unwanted(request, drop);
    size_t nodes_n = request->headers_n + drop_n;
    struct mt_str url = mt_str_of(request->url);
    size_t size =
        nodes_n * sizeof(struct curl_slist) + url.len + 1 + 2 * sizeof "Content-Type:";

    MT_TRY(check_url(url, err));
    for (size_t i = 0; i < request->headers_n; i++) {
        MT_TRY(check_header(&request->headers[i], err));
        size += strlen(request->headers[i].name) + request->headers[i].value.len + 3;
    }
    MT_TRY(reserve(fields, size, err));

    struct curl_slist *node = (void *)fields->block;
    char *at = fields->block + nodes_n * sizeof *node;
    fields->list = node;
    fields->url = at;
    at = put(at, url);
    *at++ = '\0';
    for (size_t i = 0; i < nodes_n; i++, node++) {
        node->data = at;
        node->next = i + 1 < nodes_n ? node + 1 : NULL;
        if (i < request->headers_n) {
            at = put_header(at, &request->headers[i]);
        } else {
            at = put(at, mt_str_of(drop[i - request->headers_n]));
            *at++ = '\0';
        }
    }
    return MT_OK;
}

static bool is_ip4_text(struct mt_str host)
{
    for (size_t i = 0; i < host.len; i++)
        if (host.at[i] != '.' && (host.at[i] < '0' || host.at[i] > '9'))
            return false;
    return true;
}

bool mt_http__url_is_loopback(struct mt_str url)
{
    struct mt_str host = mt_str_sub(url, mt_str_find(url, MT_STR("://")) + 3, url.len);

    for (size_t i = 0; i < host.len; i++)
        if (host.at[i] == '/' || host.at[i] == '?' || host.at[i] == '#')
            host.len = i;
    while (mt_str_find_char(host, '@') < host.len)
        (void)mt_str_take(&host, '@');
    if (mt_str_starts(host, MT_STR("[::1]")))
        return true;
    host = mt_str_take(&host, ':');
    if (mt_str_ieq(host, MT_STR("localhost")))
        return true;
    return mt_str_starts(host, MT_STR("127.")) && is_ip4_text(host);
}
