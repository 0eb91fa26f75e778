/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/client.h"
#include "gateway/clients.h"
#include "gateway/deflate.h"
#include "gateway/gateway.h"
#include "gateway/session.h"
#include "gateway/tls.h"
#include "gateway/ws.h"

#define FLUSH "gateway.flush"
#define STOP  "gateway.stop"
#define DRAIN "gateway.drain"

/* Accepted in one go, before others have their turn. */
#define ACCEPTS_MAX 64
/* Without descriptors accept() fails at once, again and again: wait. */
#define ACCEPT_PAUSE_MS 100
#define TICK_MS_MIN     10
#define TICK_MS_MAX     500

/* ---- counters ------------------------------------------------------------ */

void gw_count(struct gw_loop *loop, enum gw_counter counter, uint64_t n)
{
    _Atomic uint64_t *at = &loop->counters[counter];

    /* One writer: its own thread. */
    atomic_store_explicit(at,
                          atomic_load_explicit(at, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void gw_gauge(struct gw_loop *loop, enum gw_gauge gauge, int64_t change)
{
    _Atomic int64_t *at = &loop->gauges[gauge];

    atomic_store_explicit(
        at, atomic_load_explicit(at, memory_order_relaxed) + change,
        memory_order_relaxed);
}

/* ---- writing ------------------------------------------------------------- */

void gw_loop_dirty(struct gw_loop *loop, struct gw_conn *conn)
{
    if (conn->dirty) {
        return;
    }
    conn->dirty = true;
    TAILQ_INSERT_TAIL(&loop->dirty, conn, dirty_entry);
    if (!loop->flush_posted) {
        loop->flush_posted =
            ht_cast(loop->node, loop->manager, FLUSH, NULL, 0) == HT_OK;
    }
    if (!loop->flush_posted) {
        gw_conn_flush(conn);
    }
}

static void flush(struct gw_loop *loop)
{
    struct gw_conn *conn;

    loop->flush_posted = false;
    while ((conn = TAILQ_FIRST(&loop->dirty)) != NULL) {
        gw_conn_flush(conn);
    }
}

/* ---- time ---------------------------------------------------------------- */

static bool has_work(const struct gw_loop *loop)
{
    return !TAILQ_EMPTY(&loop->conns) || !TAILQ_EMPTY(&loop->detached) ||
           loop->accept_after_ms != 0;
}

static void start_ticking(struct gw_loop *loop)
{
    uint64_t timer;

    if (!loop->ticking) {
        loop->ticking =
            ht_timer_start(loop->self, loop->tick_ms, 0, NULL, &timer) == HT_OK;
    }
}

static void hint(struct gw_conn *conn)
{
    conn->hinted = true;
    if (conn->client->transport == GW_HTTP) {
        if (conn->phase == GW_PHASE_REQUEST && conn->http == NULL) {
            gw_conn_finish(conn);
        }
        return;
    }
    gw_client_tell(conn->client,
                   &(struct gw_notice){
                       .kind = GW_NOTICE_DRAIN,
                       .reason = "this node is about to stop: connect to "
                                 "another",
                   });
}

static void look_at_conns(struct gw_loop *loop, uint64_t now_ms)
{
    struct gw_conn *conn, *next;

    for (conn = TAILQ_FIRST(&loop->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, entry);
        if (conn->lost) {
            conn->kicked = false;
            gw_conn_kick(conn);
            continue;
        }
        if (now_ms >= conn->deadline_ms) {
            gw_conn_late(conn, now_ms);
        }
        if (conn->hint_ms != 0 && now_ms >= conn->hint_ms && !conn->hinted) {
            hint(conn);
        }
    }
}

static void look_at_sessions(struct gw_loop *loop, uint64_t now_ms)
{
    struct gw_session *s;

    TAILQ_FOREACH (s, &loop->detached, entry) {
        if (now_ms >= s->deadline_ms && !s->client->closing) {
            s->client->closing = true;
            gw_count(loop, GW_SESSIONS_EXPIRED, 1);
            (void)ht_stop(loop->node, s->client->ref,
                          "its client did not come back");
        }
    }
}

static ht_err on_accept(ht_actor *self, int fd, int events, void *arg);

static void tick(struct gw_loop *loop)
{
    uint64_t now_ms = gw_now_ms();

    loop->ticking = false;
    if (loop->accept_after_ms != 0 && now_ms >= loop->accept_after_ms &&
        loop->listen_fd >= 0 &&
        ht_watch(loop->self, loop->listen_fd, HT_READ, on_accept, loop) ==
            HT_OK) {
        loop->accept_after_ms = 0;
    }
    look_at_conns(loop, now_ms);
    look_at_sessions(loop, now_ms);
    if (has_work(loop)) {
        start_ticking(loop);
    }
}

/* ---- accepting ----------------------------------------------------------- */

/* In plaintext there is time for a word; a TLS handshake would cost more than
 * the connection. */
static void refuse(struct gw_loop *loop, int fd, enum gw_counter counter)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Length: 0\r\n"
                               "Retry-After: 5\r\n"
                               "Connection: close\r\n\r\n";

    gw_count(loop, counter, 1);
    if (loop->gateway->view.config->certificate == NULL) {
        (void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    (void)close(fd);
}

static SSL *tls_for(struct ht_gateway *gateway, int fd, bool *ret_ok)
{
    SSL *tls = NULL;

    *ret_ok = true;
    if (gateway->view.config->certificate != NULL) {
        pthread_mutex_lock(&gateway->tls_lock);
        tls = gw_tls_new(gateway->tls, fd);
        pthread_mutex_unlock(&gateway->tls_lock);
        *ret_ok = tls != NULL;
    }
    return tls;
}

/* Counted in both limits already. */
static void open_conn(struct gw_loop *loop,
                      int fd,
                      const uint8_t *key,
                      const struct sockaddr_storage *address)
{
    struct ht_gateway *gateway = loop->gateway;
    struct gw_conn *conn = NULL;
    char text[64];
    bool ok;
    SSL *tls = tls_for(gateway, fd, &ok);

    if (ok) {
        conn = gw_conn_new(gateway, fd, tls, key);
    }
    if (conn == NULL) {
        SSL_free(tls);
        (void)close(fd);
        gw_addresses_leave(gateway->addresses, key);
        atomic_fetch_sub(&gateway->connections, 1);
        return;
    }
    gw_address_text(address, text, sizeof(text));
    gw_count(loop, GW_ACCEPTED, 1);
    if (gw_client_new(loop, conn, text) == HT_OK) {
        start_ticking(loop);
    }
}

static void
accepted(struct gw_loop *loop, int fd, const struct sockaddr_storage *address)
{
    struct ht_gateway *gateway = loop->gateway;
    const ht_gateway_config *config = gateway->view.config;
    uint8_t key[GW_ADDRESS_KEY_BYTES];
    unsigned silence_ms = config->idle_ms;
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    /* Who is gone without a word acknowledges nothing: of those that only
     * listen, nothing else would tell. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms,
                     sizeof(silence_ms));
    if (atomic_fetch_add(&gateway->connections, 1) >= config->connections_max) {
        atomic_fetch_sub(&gateway->connections, 1);
        refuse(loop, fd, GW_REFUSED_CONNECTIONS);
        return;
    }
    gw_address_key(address, key);
    if (gw_addresses_enter(gateway->addresses, key,
                           config->connections_per_address_max) != HT_OK) {
        atomic_fetch_sub(&gateway->connections, 1);
        refuse(loop, fd, GW_REFUSED_ADDRESS);
        return;
    }
    open_conn(loop, fd, key, address);
}

static void pause_accepting(struct gw_loop *loop, int error)
{
    ht_node_log(loop->node, HT_LOG_ERROR, "HT-GATEWAY-ACCEPT", "text=\"%s\"",
                strerror(error));
    if (ht_watch(loop->self, loop->listen_fd, 0, NULL, NULL) != HT_OK) {
        return; /* it never fails to stop */
    }
    loop->accept_after_ms = gw_now_ms() + ACCEPT_PAUSE_MS;
    start_ticking(loop);
}

static ht_err on_accept(ht_actor *self, int fd, int events, void *arg)
{
    struct gw_loop *loop = arg;

    (void)self;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int accepted_fd;

        memset(&peer, 0, sizeof(peer));
        accepted_fd = accept4(fd, (struct sockaddr *)&peer, &len,
                              SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted_fd >= 0) {
            accepted(loop, accepted_fd, &peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
            errno == ENOMEM) {
            pause_accepting(loop, errno);
            break;
        }
        if (errno == EAGAIN) {
            break;
        }
        /* The peer is gone again, or its network is: the next one. */
    }
    return HT_OK;
}

/* ---- the manager --------------------------------------------------------- */

static ht_err init(ht_actor *self, void *arg)
{
    struct gw_loop *loop = arg;

    ht_set_state(self, loop);
    loop->self = self;
    loop->manager = ht_self(self);
    loop->accepting = true;
    return ht_watch(self, loop->listen_fd, HT_READ, on_accept, loop);
}

static void stop_accepting(struct gw_loop *loop)
{
    if (loop->listen_fd >= 0 &&
        ht_watch(loop->self, loop->listen_fd, 0, NULL, NULL) == HT_OK) {
        (void)close(loop->listen_fd);
        loop->listen_fd = -1;
        loop->accept_after_ms = 0;
    }
}

/* Everybody at another moment: those who come back at once come to the same
 * few nodes. */
static void drain(struct gw_loop *loop, const ht_msg *msg)
{
    ht_bytes args = ht_msg_args(msg);
    uint64_t now_ms = gw_now_ms();
    struct gw_conn *conn;
    uint32_t spread_ms;

    if (args.len != sizeof(spread_ms)) {
        return;
    }
    memcpy(&spread_ms, args.data, sizeof(spread_ms));
    stop_accepting(loop);
    TAILQ_FOREACH (conn, &loop->conns, entry) {
        conn->hint_ms = now_ms + 1 + randombytes_uniform(spread_ms);
    }
}

static ht_err handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct gw_loop *loop = ht_state(self);
    const char *variant = ht_msg_variant(msg);

    if (strcmp(variant, FLUSH) == 0) {
        flush(loop);
    } else if (strcmp(variant, DRAIN) == 0) {
        drain(loop, msg);
    } else if (strcmp(variant, GW_CLIENTS) == 0) {
        return gw_clients_tell(loop, msg, call);
    } else if (strcmp(variant, STOP) == 0) {
        return ht_stop(loop->node, loop->manager, "the gateway stops");
    } else {
        return HT_ENOVARIANT;
    }
    return HT_OK;
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    if (event->kind == HT_EVENT_TIMER) {
        tick(ht_state(self));
    }
    return HT_OK;
}

static void terminate(ht_actor *self, const ht_exit *why)
{
    struct gw_loop *loop = ht_state(self);
    struct gw_client *client;

    if (!atomic_load(&loop->gateway->stopping)) {
        ht_node_log(loop->node, HT_LOG_WARN, "HT-GATEWAY-LOOP-ENDED",
                    "loop=%u why=%s text=\"its clients end too\"", loop->index,
                    ht_exit_name(why->kind));
    }
    stop_accepting(loop);
    LIST_FOREACH (client, &loop->clients, entry) {
        (void)ht_stop(loop->node, client->ref, "the gateway stops");
    }
    loop->ended = true;
    gw_release(loop->gateway);
}

static const ht_behavior behavior = {
    .init = init,
    .handle = handle,
    .on_event = on_event,
    .terminate = terminate,
};

/* ---- listening ----------------------------------------------------------- */

static socklen_t
listen_address(const char *ip, bool v6, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons((uint16_t)port)};

    memset(ret, 0, sizeof(*ret));
    if (ip != NULL && inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
        v6 = false;
    } else if (ip != NULL) {
        (void)inet_pton(AF_INET6, ip, &in6.sin6_addr);
        v6 = true;
    }
    if (v6) {
        memcpy(ret, &in6, sizeof(in6));
        return sizeof(in6);
    }
    memcpy(ret, &in, sizeof(in));
    return sizeof(in);
}

static int bind_one(const char *ip, bool v6, int port, bool shared)
{
    struct sockaddr_storage address;
    socklen_t len = listen_address(ip, v6, port, &address);
    int one = 1, only = ip != NULL;
    int fd = socket(address.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int saved;

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (shared) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    }
    if (address.ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    }
    if (bind(fd, (struct sockaddr *)&address, len) == 0 &&
        listen(fd, SOMAXCONN) == 0) {
        return fd;
    }
    saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    memset(&address, 0, sizeof(address));
    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
        return 0;
    }
    memcpy(&in, &address, sizeof(in));
    memcpy(&in6, &address, sizeof(in6));
    return ntohs(address.ss_family == AF_INET ? in.sin_port : in6.sin6_port);
}

static int bind_any(const char *ip, int port, bool shared)
{
    int fd = bind_one(ip, true, port, shared);

    if (fd < 0 && ip == NULL &&
        (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        fd = bind_one(ip, false, port, shared);
    }
    return fd;
}

static ht_err bind_error(const char *ip, int port, char *why, size_t why_len)
{
    int error = errno;

    snprintf(why, why_len, "cannot listen on %s:%d: %s", ip != NULL ? ip : "*",
             port, strerror(error));
    switch (error) {
    case EADDRINUSE:
        return HT_EADDRINUSE;
    case EACCES:
        return HT_EACCES;
    case ENOMEM:
    case ENOBUFS:
        return HT_ENOMEM;
    default:
        return HT_ECONFIG;
    }
}

/* The loops share the port among them, and with nobody else: another program of
 * ours that set the same option would get half of our clients. */
static ht_err
bind_shared(struct gw_loop *loop, int *port, char *why, size_t why_len)
{
    const char *ip = loop->gateway->view.config->address;
    int probe;

    if (loop->index == 0 && *port != 0) {
        probe = bind_any(ip, *port, false);
        if (probe < 0) {
            return bind_error(ip, *port, why, why_len);
        }
        (void)close(probe);
    }
    loop->listen_fd = bind_any(ip, *port, true);
    if (loop->listen_fd < 0) {
        return bind_error(ip, *port, why, why_len);
    }
    *port = port_of(loop->listen_fd);
    return HT_OK;
}

/* ---- life ---------------------------------------------------------------- */

static uint32_t tick_of(const ht_gateway_config *config)
{
    uint32_t ms = config->handshake_timeout_ms;

    ms = config->idle_ms / 2 < ms ? config->idle_ms / 2 : ms;
    ms = config->grace_ms < ms ? config->grace_ms : ms;
    ms = ms / 4;
    return ms < TICK_MS_MIN ? TICK_MS_MIN : ms > TICK_MS_MAX ? TICK_MS_MAX : ms;
}

ht_err gw_loop_open(struct gw_loop *loop,
                    struct ht_gateway *gateway,
                    unsigned index,
                    int *port,
                    char *why,
                    size_t why_len)
{
    loop->gateway = gateway;
    loop->node = gateway->view.node;
    loop->index = index;
    loop->listen_fd = -1;
    loop->ended = true;
    loop->tick_ms = tick_of(gateway->view.config);
    LIST_INIT(&loop->clients);
    TAILQ_INIT(&loop->conns);
    TAILQ_INIT(&loop->dirty);
    TAILQ_INIT(&loop->detached);
    loop->in = malloc(GW_READ_BYTES);
    loop->out = malloc(GW_BATCH_BYTES);
    if (loop->in == NULL || loop->out == NULL) {
        return HT_ENOMEM;
    }
    return bind_shared(loop, port, why, why_len);
}

ht_err gw_loop_start(struct gw_loop *loop)
{
    ht_spawn_opts opts = {.scheduler = gw_loop_scheduler(loop),
                          .local_only = true};
    ht_err err;

    gw_hold(loop->gateway);
    loop->ended = false;
    err = ht_spawn(loop->node, &behavior, loop, &opts, NULL);
    if (err != HT_OK) {
        loop->ended = true;
        gw_release(loop->gateway);
    }
    return err;
}

void gw_loop_stop(struct gw_loop *loop)
{
    (void)ht_stop(loop->node, loop->manager, "the gateway stops");
}

void gw_loop_drain(struct gw_loop *loop, uint32_t spread_ms)
{
    ht_err err = ht_cast(loop->node, loop->manager, DRAIN, &spread_ms,
                         sizeof(spread_ms));

    if (err != HT_OK) {
        ht_node_log(loop->node, HT_LOG_WARN, "HT-GATEWAY-DRAIN",
                    "loop=%u err=\"%s\"", loop->index, ht_strerror(err));
    }
}

void gw_loop_fini(struct gw_loop *loop)
{
    if (loop->gateway == NULL) {
        return;
    }
    gw_loop_messages_fini(loop);
    gw_ws_reader_free(loop->reader);
    gw_deflate_free(loop->deflate);
    free(loop->in);
    free(loop->out);
    if (loop->listen_fd >= 0) {
        (void)close(loop->listen_fd);
    }
}

/* ---- the seam ------------------------------------------------------------ */

struct gw_hubs **gw_loop_hubs(struct gw_loop *loop)
{
    return &loop->hubs;
}

uint32_t gw_loop_scheduler(const struct gw_loop *loop)
{
    return loop->index + 1;
}

struct ht_gateway *gw_loop_gateway(const struct gw_loop *loop)
{
    return loop->gateway;
}
