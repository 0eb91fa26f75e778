/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/client.h"
#include "gateway/conn_write.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/loop.h"
#include "gateway/tls.h"
#include "gateway/ws.h"

/* ---- life ---------------------------------------------------------------- */

struct gw_conn *gw_conn_new(struct ht_gateway *gateway,
                            int fd,
                            SSL *tls,
                            const uint8_t address[GW_ADDRESS_KEY_BYTES])
{
    const ht_gateway_config *config = gateway->view.config;
    struct gw_conn *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->gateway = gateway;
    c->fd = fd;
    c->tls = tls;
    c->phase = GW_PHASE_REQUEST;
    STAILQ_INIT(&c->control);
    memcpy(c->address, address, sizeof(c->address));
    c->heard_ms = gw_now_ms();
    c->deadline_ms = c->heard_ms + config->handshake_timeout_ms;
    gw_bucket_init(&c->bucket, config->messages_burst_max, c->heard_ms);
    return c;
}

void gw_conn_free(struct gw_conn *c)
{
    if (c == NULL) {
        return;
    }
    assert(c->client == NULL && c->watching == 0);
    gw_conn_drop_output(c);
    gw_http_free(c->http);
    gw_ws_free(c->ws);
    free(c->held);
    SSL_free(c->tls);
    (void)close(c->fd);
    gw_addresses_leave(c->gateway->addresses, c->address);
    atomic_fetch_sub(&c->gateway->connections, 1);
    free(c);
}

/* ---- watching ------------------------------------------------------------ */

/* Whether what comes can be handled now.  Answers that are not read bound how
 * many requests are handled. */
static bool may_take(const struct gw_conn *c)
{
    if (c->lost || c->paused) {
        return false;
    }
    switch ((enum gw_phase)c->phase) {
    case GW_PHASE_ANSWER:
        return false;
    case GW_PHASE_REQUEST:
        return !c->finishing &&
               c->control_bytes <= c->gateway->view.config->queued_bytes_max;
    case GW_PHASE_MESSAGES:
    case GW_PHASE_STREAM:
    case GW_PHASE_CLOSING:
        return true;
    }
    return false;
}

static bool may_read(const struct gw_conn *c)
{
    return may_take(c) && c->held_len == 0 && !c->eof;
}

static ht_err on_ready(ht_actor *self, int fd, int events, void *arg);

/* In the client's turn. */
static void watch(struct gw_conn *c, int events)
{
    if (events == c->watching) {
        return;
    }
    if (ht_watch(c->client->self, c->fd, events, on_ready, c->client) !=
        HT_OK) {
        c->lost = true;
        return;
    }
    c->watching = (uint8_t)events;
}

ht_err gw_conn_attach(struct gw_conn *c, struct gw_client *client)
{
    struct gw_loop *loop = client->loop;

    assert(c->client == NULL && client->conn == NULL);
    c->client = client;
    c->loop = loop;
    watch(c, HT_READ);
    if (c->lost) {
        c->client = NULL;
        c->loop = NULL;
        return HT_ENOMEM;
    }
    client->conn = c;
    TAILQ_INSERT_TAIL(&loop->conns, c, entry);
    gw_gauge(loop, GW_CONNECTIONS, 1);
    gw_gauge(loop, GW_WEBSOCKETS, c->ws != NULL);
    return HT_OK;
}

void gw_conn_detach(struct gw_conn *c)
{
    struct gw_client *client = c->client;
    struct gw_loop *loop = c->loop;

    watch(c, 0);
    /* An epoll that forgets nothing would tell of a stranger's descriptor. */
    assert(c->watching == 0);
    if (c->dirty) {
        TAILQ_REMOVE(&loop->dirty, c, dirty_entry);
        c->dirty = false;
    }
    TAILQ_REMOVE(&loop->conns, c, entry);
    gw_gauge(loop, GW_CONNECTIONS, -1);
    gw_gauge(loop, GW_WEBSOCKETS, -(c->ws != NULL));
    gw_gauge(loop, GW_STREAMS, -(client->transport == GW_EVENTS));
    gw_gauge(loop, GW_QUEUED_BYTES, -(int64_t)c->control_bytes);
    client->conn = NULL;
    c->client = NULL;
    c->loop = NULL;
}

void gw_conn_kick(struct gw_conn *c)
{
    /* If its mailbox is full it has a turn anyway; if memory is out, the next
     * tick comes. */
    if (c->client != NULL && !c->kicked) {
        c->kicked =
            ht_cast(c->loop->node, c->client->ref, GW_KICK, NULL, 0) == HT_OK;
    }
}

void gw_conn_lose(struct gw_conn *c)
{
    c->lost = true;
    gw_conn_kick(c);
}

/* ---- reading ------------------------------------------------------------- */

/* Keep what cannot be handled yet. */
static void hold(struct gw_conn *c, const uint8_t *data, size_t len)
{
    uint8_t *held;

    if (len == 0) {
        return;
    }
    held = malloc(len);
    if (held == NULL) {
        c->lost = true;
        return;
    }
    memcpy(held, data, len);
    c->held = held;
    c->held_len = len;
}

static size_t feed(struct gw_conn *c, const uint8_t *data, size_t len)
{
    if (c->ws != NULL) {
        return gw_ws_feed(c, data, len);
    }
    switch ((enum gw_phase)c->phase) {
    case GW_PHASE_REQUEST:
        return gw_http_feed(c, data, len);
    case GW_PHASE_ANSWER:
    case GW_PHASE_MESSAGES:
    case GW_PHASE_STREAM:
    case GW_PHASE_CLOSING:
        break;
    }
    return len;
}

static void input(struct gw_conn *c, const uint8_t *data, size_t len)
{
    c->feeding = true;
    while (len > 0 && may_take(c)) {
        size_t used = feed(c, data, len);

        assert(used <= len && (used > 0 || !may_take(c)));
        data += used;
        len -= used;
    }
    c->feeding = false;
    if (!c->lost) {
        hold(c, data, len);
    }
}

/* What was held, and what a WebSocket's reader has in it. */
static void go_on(struct gw_conn *c)
{
    if (c->ws != NULL && may_take(c) && gw_ws_has_more(c)) {
        c->feeding = true;
        (void)gw_ws_feed(c, NULL, 0);
        c->feeding = false;
    }
    while (c->held_len > 0 && may_take(c)) {
        uint8_t *data = c->held;
        size_t len = c->held_len;

        c->held = NULL;
        c->held_len = 0;
        input(c, data, len);
        free(data);
    }
}

/* Bytes, 0 for none now, -1: it is over. */
static ssize_t read_some(struct gw_conn *c, uint8_t *buf, size_t len)
{
    ssize_t n;

    if (c->tls != NULL) {
        return gw_tls_read(c, buf, len);
    }
    do {
        n = recv(c->fd, buf, len, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return 0;
    }
    return n > 0 ? n : -1;
}

static void readable(struct gw_conn *c)
{
    ssize_t n = read_some(c, c->loop->in, GW_READ_BYTES);

    if (n < 0) {
        c->eof = true;
        /* Who has asked and then closed its side still gets the answer. */
        if (c->ws != NULL || gw_conn_unsent(c) == 0 || c->shut) {
            c->lost = true;
        } else {
            gw_conn_finish(c);
        }
        return;
    }
    if (n > 0) {
        c->heard_ms = gw_now_ms();
        gw_count(c->loop, GW_BYTES_IN, (uint64_t)n);
        input(c, c->loop->in, (size_t)n);
    }
}

static ht_err on_ready(ht_actor *self, int fd, int events, void *arg)
{
    struct gw_client *client = arg;
    struct gw_conn *c = client->conn;

    (void)self;
    (void)fd;
    if (c == NULL) {
        return HT_OK;
    }
    if ((events & HT_WRITE) || (c->tls != NULL && c->blocked)) {
        gw_conn_flush(c);
    }
    if (((events & HT_READ) || gw_tls_is_shaking(c)) && may_read(c)) {
        readable(c);
    } else if (events & HT_READ) {
        c->unread = true;
    }
    return gw_client_settle(client);
}

void gw_conn_settle(struct gw_conn *c)
{
    int events = c->blocked ? HT_WRITE : 0;

    c->kicked = false;
    go_on(c);
    if (c->lost) {
        return;
    }
    /* Most answers come before the next request does: what is not wanted yet
     * is watched for until it comes, which costs no system call. */
    if (may_read(c)) {
        c->unread = false;
        events |= HT_READ;
    } else if (!c->unread && !c->eof) {
        events |= c->watching & HT_READ;
    }
    watch(c, events);
}

/* ---- the end ------------------------------------------------------------- */

void gw_conn_finish(struct gw_conn *c)
{
    if (c->phase == GW_PHASE_CLOSING) {
        return;
    }
    c->phase = GW_PHASE_CLOSING;
    c->paused = false;
    c->deadline_ms = gw_now_ms() + GW_LINGER_MS;
    gw_loop_dirty(c->loop, c);
}

void gw_conn_finish_later(struct gw_conn *c)
{
    if (c->phase != GW_PHASE_CLOSING) {
        c->finishing = true;
        c->deadline_ms = gw_now_ms() + GW_LINGER_MS;
        gw_loop_dirty(c->loop, c);
    }
}

/* It hears nothing: ask, and if that helps nothing, close. */
static void late_silence(struct gw_conn *c, uint64_t now_ms)
{
    uint32_t idle_ms = c->gateway->view.config->idle_ms;

    if (now_ms - c->heard_ms >= idle_ms) {
        gw_count(c->loop, GW_CLOSED_IDLE, 1);
        gw_ws_close(c, 1001, "idle");
        return;
    }
    if (now_ms - c->heard_ms >= idle_ms / 2) {
        gw_ws_ping(c);
        c->deadline_ms = c->heard_ms + idle_ms;
    } else {
        c->deadline_ms = c->heard_ms + idle_ms / 2;
    }
}

void gw_conn_late(struct gw_conn *c, uint64_t now_ms)
{
    uint32_t idle_ms = c->gateway->view.config->idle_ms;

    if (c->finishing) {
        gw_conn_lose(c);
        return;
    }
    switch ((enum gw_phase)c->phase) {
    case GW_PHASE_REQUEST:
        gw_count(c->loop, c->asked ? GW_CLOSED_IDLE : GW_REFUSED_HANDSHAKE, 1);
        gw_conn_lose(c);
        return;
    case GW_PHASE_MESSAGES:
        late_silence(c, now_ms);
        return;
    case GW_PHASE_STREAM:
        /* A comment; who is gone will be noticed by TCP. */
        gw_conn_put_bytes(c, ":\n\n", 3);
        c->deadline_ms = now_ms + idle_ms / 2;
        return;
    case GW_PHASE_ANSWER: /* calls have a time limit of their own */
        c->deadline_ms = UINT64_MAX;
        return;
    case GW_PHASE_CLOSING:
        gw_conn_lose(c);
        return;
    }
}
