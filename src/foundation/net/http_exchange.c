/* SPDX-License-Identifier: Apache-2.0 */
/* What the owner may ask about a request. All of it is MHD's memory. */
#include <string.h>

#include "http_priv.h"

struct mt_str mt_http_method(const struct mt_http_exchange *x)
{
    return mt_str_of(x->method);
}

struct mt_str mt_http_path(const struct mt_http_exchange *x)
{
    return mt_str_of(x->path);
}

static struct mt_str lookup(const struct mt_http_exchange *x, enum MHD_ValueKind kind,
                            const char *name)
{
    const struct mt_http_conn *conn = mt_http__conn_seen(x);
    struct mt_str value = {NULL, 0};

    (void)MHD_lookup_connection_value_n(conn->mhd, kind, name, strlen(name), &value.at,
                                        &value.len);
    return value;
}

struct mt_str mt_http_header(const struct mt_http_exchange *x, const char *name)
{
    return mt_str_trim(lookup(x, MHD_HEADER_KIND, name));
}

struct mt_str mt_http_query(const struct mt_http_exchange *x, const char *name)
{
    return lookup(x, MHD_GET_ARGUMENT_KIND, name);
}

struct mt_str mt_http_peer(const struct mt_http_exchange *x)
{
    return mt_str_of(mt_http__conn_seen(x)->peer);
}

int64_t mt_http_began_ns(const struct mt_http_exchange *x)
{
    return x->began_ns;
}

void mt_http_set_user(struct mt_http_exchange *x, void *user)
{
    x->user = user;
}

void *mt_http_user(const struct mt_http_exchange *x)
{
    return x->user;
}
