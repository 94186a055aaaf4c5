/* SPDX-License-Identifier: Apache-2.0 */
/* Where the node is, and the key to it. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "client.h"
#include "system/file.h"

enum { TOKEN_MAX = 4096, NOTE_MAX = 4096 };

/* Addresses that mean "every interface" are reached through loopback. */
static struct mt_str reachable(struct mt_str host)
{
    if (mt_str_is(host, "0.0.0.0") || mt_str_is(host, "*"))
        return MT_STR("127.0.0.1");
    return mt_str_is(host, "::") ? MT_STR("::1") : host;
}

/* "host", "host:port", "[v6]:port" */
static bool split_host(struct mt_str text, struct mt_str *host, int64_t *port)
{
    struct mt_str rest;

    *port = 7700;
    if (text.len > 0 && text.at[0] == '[') {
        size_t end = mt_str_find_char(text, ']');
        *host = mt_str_sub(text, 1, end);
        rest = mt_str_sub(text, end + 1, text.len);
    } else {
        size_t colon = mt_str_find_char(text, ':');
        *host = mt_str_sub(text, 0, colon);
        rest = mt_str_sub(text, colon, text.len);
    }
    if (rest.len == 0)
        return host->len > 0;
    return host->len > 0 && rest.at[0] == ':' &&
           mt_str_to_i64(mt_str_sub(rest, 1, rest.len), 1, UINT16_MAX, port);
}

static mt_rc add_host(const char *scheme, struct mt_str host, int64_t port,
                      char out[CLIENT_URL_MAX], struct mt_err *err)
{
    struct mt_str to = reachable(host);
    bool is_v6 = mt_str_find_char(to, ':') < to.len;
    int n = snprintf(out, CLIENT_URL_MAX, is_v6 ? "%s://[%.*s]:%lld" : "%s://%.*s:%lld", scheme,
                     MT_STR_ARG(to), (long long)port);

    if (n < 0 || n >= CLIENT_URL_MAX)
        return MT_FAIL(err, MT_E_INVALID, "the address of the node is too long");
    return MT_OK;
}

mt_rc client_url(struct mt_str text, char out[CLIENT_URL_MAX], struct mt_err *err)
{
    const char *scheme = "http";
    struct mt_str rest = text;
    struct mt_str host;
    int64_t port;

    if (mt_str_starts(text, MT_STR("https://")))
        scheme = "https";
    if (mt_str_starts(text, MT_STR("http://")) || scheme[4] == 's')
        rest = mt_str_sub(text, strlen(scheme) + 3, text.len);
    while (mt_str_ends(rest, MT_STR("/")))
        rest.len--;
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.at[i] <= ' ' || strchr("/?#@", rest.at[i]) != NULL)
            return MT_FAIL(err, MT_E_INVALID, "MOTET_HOST: expected HOST:PORT, found '%.*s'",
                           MT_STR_ARG(text));
    }
    if (!split_host(rest, &host, &port))
        return MT_FAIL(err, MT_E_INVALID, "MOTET_HOST: expected HOST:PORT, found '%.*s'",
                       MT_STR_ARG(text));
    return add_host(scheme, host, port, out, err);
}

/* The lock of the data folder knows where its node listens: "pid 12 http://127.0.0.1:7700". */
static bool url_of_lock(const struct mt_config *config, char out[CLIENT_URL_MAX])
{
    MT_CLEANUP(mt_freep) char *path = cli_data_path(config, "node.lock");
    MT_CLEANUP(mt_buf_fini) struct mt_buf note = MT_BUF_INIT(NOTE_MAX);

    if (path == NULL || !mt_lock_is_held(path, &note))
        return false;
    struct mt_str text = mt_buf_str(&note);
    size_t at = mt_str_find(text, MT_STR("http"));
    return at < text.len &&
           client_url(mt_str_trim(mt_str_sub(text, at, text.len)), out, NULL) == MT_OK;
}

static bool is_here(const char *url)
{
    struct mt_str rest = mt_str_of(url);

    (void)mt_str_take(&rest, '/');
    rest = mt_str_sub(rest, 1, rest.len);
    return mt_str_starts(rest, MT_STR("127.")) || mt_str_starts(rest, MT_STR("[::1]:")) ||
           mt_str_starts(rest, MT_STR("localhost:"));
}

/* The administrator's key lies in the data folder of the node, readable for its user alone. */
static mt_rc read_token(struct client *client, const struct mt_config *config,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = cli_data_path(config, "admin.token");
    struct mt_buf token = MT_BUF_INIT(TOKEN_MAX);
    mt_rc rc = MT_OK;

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "path of the administrator's key");
    if (mt_file_read(path, TOKEN_MAX, &token, NULL) == MT_OK)
        rc = mt_secret_set(&client->key, mt_str_trim(mt_buf_str(&token)), err);
    if (token.len > 0)
        mt_wipe(token.at, token.len);
    mt_buf_fini(&token);
    return rc; /* without one the node may still let us in: it decides */
}

static mt_rc find(struct cli *cli, struct client *client, const struct mt_config *config,
                  struct mt_err *err)
{
    const char *host = cli_variable(cli, "MOTET_HOST");
    const char *key = cli_variable(cli, "MOTET_API_KEY");

    if (host != NULL)
        MT_TRY(client_url(mt_str_of(host), client->url, err));
    else if (!url_of_lock(config, client->url))
        MT_TRY(add_host(config->tls_cert.len > 0 ? "https" : "http", config->listen_host,
                        config->listen_port, client->url, err));
    /* our own node's certificate is trusted as it is; those of others are the system's affair
     */
    if (config->tls_cert.len > 0 && (host == NULL || is_here(client->url))) {
        client->ca_file = mt_alloc_cstr(config->tls_cert);
        if (client->ca_file == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "path of a certificate");
    }
    if (key != NULL)
        return mt_secret_set(&client->key, mt_str_of(key), err);
    return is_here(client->url) ? read_token(client, config, err) : MT_OK;
}

mt_rc client_open(struct cli *cli, const struct cli_args *args, struct client *out,
                  struct mt_err *err)
{
    const struct mt_config *config = NULL;

    *out = (struct client){.cli = cli};
    MT_TRY(cli_config(cli, args, &config, err));
    mt_rc rc = find(cli, out, config, err);
    mt_config_unref(config);
    if (rc != MT_OK)
        client_fini(out);
    return rc;
}

void client_fini(struct client *client)
{
    mt_secret_fini(&client->key);
    mt_free(client->ca_file);
    client->ca_file = NULL;
}
