/* SPDX-License-Identifier: Apache-2.0 */
/* A server's birth: the listening socket, the certificate, the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http_priv.h"

enum {
    POOL_EXTRA_BYTES = 2048, /* MHD's pool beside the header: its records, the answer's head */
    BACKLOG = 1024,
    PEM_BYTES_MAX = 1 << 20,
    WRITE_STALL_MS = 60000, /* a client that acknowledges nothing for so long is gone */
};

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static mt_rc parse_address(struct mt_str host, uint16_t port, union address *out,
                           struct mt_err *err)
{
    char text[64] = "127.0.0.1";

    if (host.len >= sizeof text)
        return MT_FAIL(err, MT_E_INVALID, "listen address: over %zu bytes", sizeof text - 1);
    if (host.len > 0) {
        memcpy(text, host.at, host.len);
        text[host.len] = '\0';
    }
    if (uv_ip4_addr(text, port, &out->in) == 0 || uv_ip6_addr(text, port, &out->in6) == 0)
        return MT_OK;
    return MT_FAIL(err, MT_E_INVALID, "listen address '%s': not an ip address", text);
}

/* Options that accepted sockets inherit, so that they cost nothing per connection. */
static void set_options(int fd, bool shares_port)
{
    int on = 1;
    unsigned stall_ms = WRITE_STALL_MS;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shares_port)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof stall_ms);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static mt_rc listen_on(const struct mt_http_server_opts *opts, int *out, uint16_t *port,
                       struct mt_err *err)
{
    union address address = {.in = {0}};
    MT_TRY(parse_address(opts->host, opts->port, &address, err));
    bool is_ip6 = address.any.sa_family == AF_INET6;
    struct mt_str host = opts->host.len > 0 ? opts->host : MT_STR("127.0.0.1");
    socklen_t len = is_ip6 ? sizeof address.in6 : sizeof address.in;
    MT_CLEANUP(close_fd)
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "listen socket");
    set_options(fd, opts->shares_port);
    if (bind(fd, &address.any, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &address.any, &len) != 0)
        return MT_FAIL_SYS(err, errno == EADDRINUSE ? MT_E_BUSY : MT_E_IO, errno,
                           is_ip6 ? "listen on [%.*s]:%u" : "listen on %.*s:%u",
                           MT_STR_ARG(host), opts->port);
    *port = ntohs(is_ip6 ? address.in6.sin6_port : address.in.sin_port);
    *out = fd;
    fd = -1;
    return MT_OK;
}

static mt_rc read_pem(const char *path, struct mt_buf *out, struct mt_err *err)
{
    MT_CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;

    if (fd < 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "open '%s'", path);
    while (n > 0) {
        char *at = mt_buf_reserve(out, 4096);

        if (at == NULL)
            return mt_buf_check(out, path, err);
        n = read(fd, at, 4096);
        if (n > 0)
            mt_buf_grew(out, (size_t)n);
    }
    if (n < 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "read '%s'", path);
    (void)mt_buf_cstr(out);
    return mt_buf_check(out, path, err);
}

struct option_list {
    struct MHD_OptionItem item[16];
    size_t n;
};

static void add(struct option_list *list, enum MHD_OPTION option, intptr_t value, void *ptr)
{
    list->item[list->n++] = (struct MHD_OptionItem){option, value, ptr};
}

/* The daemon would only say that it does not start. */
static mt_rc check_pair(const struct mt_http_server_opts *opts, const struct mt_buf *cert,
                        const struct mt_buf *key, struct mt_err *err)
{
    const gnutls_datum_t cert_pem = {(unsigned char *)cert->at, (unsigned)cert->len};
    const gnutls_datum_t key_pem = {(unsigned char *)key->at, (unsigned)key->len};
    gnutls_certificate_credentials_t pair;
    int code = gnutls_certificate_allocate_credentials(&pair);

    if (code < 0)
        return MT_FAIL(err, MT_E_NOMEM, "certificate '%s'", opts->tls_cert_file);
    code = gnutls_certificate_set_x509_key_mem(pair, &cert_pem, &key_pem, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(pair);
    if (code < 0)
        return MT_FAIL(err, MT_E_INVALID, "certificate '%s' and key '%s': %s",
                       opts->tls_cert_file, opts->tls_key_file, gnutls_strerror(code));
    return MT_OK;
}

static mt_rc start_daemon(struct mt_http_server *server, const struct mt_http_server_opts *opts,
                          int fd, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf cert = MT_BUF_INIT(PEM_BYTES_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf key = MT_BUF_INIT(PEM_BYTES_MAX);
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    unsigned connections_max = opts->connections_max > 0 ? opts->connections_max : 10000;
    struct option_list list = {.n = 0};

    add(&list, MHD_OPTION_LISTEN_SOCKET, fd, NULL);
    add(&list, MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections_max, NULL);
    add(&list, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (intptr_t)(server->header_bytes_max + POOL_EXTRA_BYTES), NULL);
    add(&list, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL);
    if (opts->tls_cert_file != NULL && opts->tls_key_file != NULL) {
        MT_TRY(read_pem(opts->tls_cert_file, &cert, err));
        MT_TRY(read_pem(opts->tls_key_file, &key, err));
        MT_TRY(check_pair(opts, &cert, &key, err));
        flags |= MHD_USE_TLS;
        add(&list, MHD_OPTION_HTTPS_MEM_CERT, 0, cert.at);
        add(&list, MHD_OPTION_HTTPS_MEM_KEY, 0, key.at);
    }
    add(&list, MHD_OPTION_END, 0, NULL);
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, mt_http__on_request, server, MHD_OPTION_NOTIFY_COMPLETED,
        mt_http__on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, mt_http__on_connection,
        server, MHD_OPTION_URI_LOG_CALLBACK, mt_http__on_request_line, server, MHD_OPTION_ARRAY,
        list.item, MHD_OPTION_END);
    if (server->daemon == NULL)
        return MT_FAIL(err, MT_E_IO, "http server: the daemon does not start");
    return MT_OK;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

static void set_limits(struct mt_http_server *server, const struct mt_http_server_opts *opts)
{
    server->header_bytes_max = (size_t)or_default((int64_t)opts->header_bytes_max, 8 * 1024);
    server->body_bytes_max = (uint64_t)or_default((int64_t)opts->body_bytes_max, 32 << 20);
    server->limit_ms[MT_HTTP_PHASE_HEAD] = or_default(opts->header_timeout_ms, 10000);
    server->limit_ms[MT_HTTP_PHASE_BODY] = or_default(opts->body_timeout_ms, 30000);
    server->limit_ms[MT_HTTP_PHASE_IDLE] = or_default(opts->idle_timeout_ms, 75000);
}

static void free_server(struct mt_http_server **server)
{
    mt_http_server_free(*server);
}

mt_rc mt_http_server_new(struct mt_loop *loop, const struct mt_http_server_opts *opts,
                         const struct mt_http_server_ops *ops, void *ctx,
                         struct mt_http_server **out, struct mt_err *err)
{
    MT_CLEANUP(close_fd) int fd = -1;
    uint16_t port = 0;
    MT_TRY(listen_on(opts, &fd, &port, err));
    MT_CLEANUP(free_server) struct mt_http_server *server = mt_alloc(1, sizeof *server);

    if (server == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "http server");
    server->loop = loop;
    server->ops = *ops;
    server->ctx = ctx;
    server->port = port;
    mt_http__server_init(server);
    set_limits(server, opts);
    MT_TRY(start_daemon(server, opts, fd, err));
    fd = -1; /* the daemon's now */
    MT_TRY(mt_http__server_start(server, err));
    *out = MT_MOVE(server);
    return MT_OK;
}
