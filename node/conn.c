/* SPDX-License-Identifier: Apache-2.0 */
#include "node/conn_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONN_OF(ptr, member)                                                   \
    ((struct hti_conn *)(void *)((char *)(ptr)-offsetof(struct hti_conn,       \
                                                        member)))

static void on_ready(struct hti_io *io, int events);

/* ---- asked by other threads --------------------------------------------- */

static void ask(struct hti_conn *conn, unsigned what)
{
    if (atomic_fetch_or_explicit(&conn->asked, what, memory_order_acq_rel) ==
        0) {
        hti_loop_post(conn->loop, &conn->task);
    }
}

static void link_wake(void *arg)
{
    struct hti_conn *conn = arg;

    if (hti_loop_is_current(conn->loop)) {
        if (conn->state == HTI_CONN_CLOSED) {
            return; /* from inside hti_link_closed() */
        }
        atomic_fetch_add(&conn->server->unsent, 1);
        conn->awake = true;
        hti_loop_defer(conn->loop, &conn->work);
        return;
    }
    atomic_fetch_add(&conn->server->unsent, 1);
    ask(conn, HTI_CONN_WAKE);
}

static void link_close(void *arg, ht_err why)
{
    struct hti_conn *conn = arg;
    int none = HT_OK;

    atomic_compare_exchange_strong(&conn->close_why, &none, (int)why);
    if (hti_loop_is_current(conn->loop)) {
        if (conn->state == HTI_CONN_CLOSED) {
            return;
        }
        conn->close_asked = true;
        hti_loop_defer(conn->loop, &conn->work);
        return;
    }
    ask(conn, HTI_CONN_CLOSE);
}

static bool link_cert_matches(void *arg, const char *name, bool hardtack)
{
    struct hti_conn *conn = arg;
    char quoted[2 * HTI_NAME_BYTES_MAX];

    if (conn->tls != NULL && hti_tls_cert_matches(conn->tls, name, hardtack)) {
        return true;
    }
    /* The session can only tell that the peer is not trusted. */
    hti_server_log_limited(
        conn->server, &conn->server->log_handshake, HT_LOG_WARN, "HT-CERT-NAME",
        "peer=%s name=%s text=\"%s\"", conn->address,
        hti_quote(quoted, sizeof(quoted), name, strlen(name)),
        hardtack ? "peer's certificate does not hold URI:hardtack: and its name"
                 : "peer's certificate is for another host");
    return false;
}

static const struct hti_link_io link_io = {
    .wake = link_wake,
    .close = link_close,
    .cert_matches = link_cert_matches,
};

void hti_conn_evict(struct hti_pending_entry *entry)
{
    ask(CONN_OF(entry, pending), HTI_CONN_EVICT);
}

struct hti_conn *hti_conn_next(struct hti_conn *conn)
{
    return TAILQ_NEXT(conn, entry);
}

/* ---- closing ------------------------------------------------------------ */

static void conn_free(struct hti_conn *conn)
{
    struct hti_server *server = conn->server;

    hti_conn_write_fini(conn);
    hti_tls_conn_free(conn->tls);
    free(conn->server_name);
    free(conn->host);
    free(conn);
    hti_server_leave(server);
}

/* A stranger's connection ended before it had a link: nobody else tells. */
static void report_acceptor(struct hti_conn *conn, ht_err why, const char *text)
{
    struct hti_server *server = conn->server;
    char quoted[200];

    if (why == HT_ECLOSED) {
        return;
    }
    if (why == HT_EAUTH) {
        hti_pending_blame(&server->pending, conn->pending.key,
                          conn->loop->now_ms);
    }
    hti_server_log_limited(
        server, &server->log_handshake, HT_LOG_WARN, "HT-CONN-REFUSED",
        "peer=%s err=%s text=%s", conn->address, ht_errname(why),
        hti_quote(quoted, sizeof(quoted), text, strlen(text)));
}

static void forget_link(struct hti_conn *conn, ht_err why, const char *text)
{
    struct hti_link *link = conn->link;

    conn->link = NULL;
    if (why == HT_EAUTH && !conn->initiator && !conn->was_open) {
        hti_pending_blame(&conn->server->pending, conn->pending.key,
                          conn->loop->now_ms);
    }
    hti_link_closed(link, why, text);
}

static void cool(struct hti_conn *conn)
{
    struct hti_residents *r = hti_server_residents(conn->server, conn->loop);

    if (conn->warm) {
        TAILQ_REMOVE(&r->warm, conn, warm_entry);
        r->warm_count--;
        conn->warm = false;
        hti_tls_rest(conn->tls);
    }
}

void hti_conn_warm(struct hti_conn *conn)
{
    struct hti_residents *r = hti_server_residents(conn->server, conn->loop);

    if (conn->state == HTI_CONN_CLOSED) {
        return;
    }
    if (conn->warm) {
        TAILQ_REMOVE(&r->warm, conn, warm_entry);
    } else {
        conn->warm = true;
        r->warm_count++;
    }
    TAILQ_INSERT_TAIL(&r->warm, conn, warm_entry);
    if (r->warm_count > HTI_WARM_MAX) {
        cool(TAILQ_FIRST(&r->warm));
    }
}

/* Stop being part of the loop, and give back what is the link's. */
static void withdraw(struct hti_conn *conn)
{
    conn->state = HTI_CONN_CLOSED;
    hti_io_fini(&conn->io);
    hti_timer_detach(&conn->loop->timers, &conn->timer);
    hti_loop_undefer(conn->loop, &conn->work);
    hti_pending_remove(&conn->server->pending, &conn->pending);
    cool(conn);
    TAILQ_REMOVE(&hti_server_residents(conn->server, conn->loop)->conns, conn,
                 entry);
    if (conn->awake) {
        conn->awake = false;
        atomic_fetch_sub(&conn->server->unsent, 1);
    }
    if (conn->has_slice) {
        hti_link_release(conn->link, &conn->slice);
        conn->has_slice = false;
    }
    hti_conn_write_fini(conn);
}

static void report(struct hti_conn *conn, ht_err why, const char *text)
{
    if (conn->link != NULL) {
        forget_link(conn, why, text);
    } else if (conn->reported) {
        return;
    } else if (conn->initiator) {
        hti_cluster_dial_failed(conn->server->cluster, conn->dial_id, why,
                                text);
    } else {
        report_acceptor(conn, why, text);
    }
}

void hti_conn_close(struct hti_conn *conn, ht_err why, const char *text)
{
    bool linked = conn->link != NULL;
    bool whole;

    if (conn->state == HTI_CONN_CLOSED) {
        return;
    }
    /* Last words of a handshake: what the socket takes at once. */
    if (linked && why != HT_ENOCONN) {
        while (hti_conn_flush(conn) == HTI_FLUSH_MORE) {
        }
    }
    conn->loop->cipher.len = 0;
    whole = !hti_conn_has_left(conn);
    withdraw(conn);
    /* Before the peer can see the end: where both ends are of this node, the
     * one that knows why must be the first to tell. */
    report(conn, why, text);
    if (conn->tls != NULL && linked && whole) {
        hti_tls_bye(conn->tls);
        (void)hti_conn_send_cipher(conn);
    }
    close(conn->fd);
    conn->fd = -1;
    /* From here on nobody asks anything; what was asked before comes first. */
    ask(conn, HTI_CONN_FREE);
}

/* ---- the link ----------------------------------------------------------- */

static void tick(struct hti_conn *conn)
{
    uint64_t deadline_ms = UINT64_MAX;
    ht_err err = hti_link_tick(conn->link, conn->loop->now_ms, &deadline_ms);

    if (err != HT_OK) {
        hti_conn_close(conn, err, "");
        return;
    }
    if (deadline_ms == UINT64_MAX) {
        hti_timer_unset(&conn->loop->timers, &conn->timer);
    } else {
        hti_timer_set(&conn->loop->timers, &conn->timer, deadline_ms);
    }
}

/* After every receipt before the peer is trusted: being trusted changes what
 * the session waits for, and how the connection counts. */
void hti_conn_opened(struct hti_conn *conn)
{
    if (conn->was_open) {
        return;
    }
    if (hti_link_is_open(conn->link)) {
        conn->was_open = true;
        hti_pending_remove(&conn->server->pending, &conn->pending);
    }
    tick(conn);
}

void hti_conn_make_link(struct hti_conn *conn, enum hti_session_mode mode)
{
    bool tls = conn->tls != NULL;
    const struct hti_link_params params = {
        .dial_id = conn->dial_id,
        .address = conn->address,
        .mode = mode,
        .any_peer = conn->any_peer,
        .keys = mode == HTI_MODE_PEERCRED ? conn->server->peercred
                : tls                     ? hti_tls_keyring(conn->tls)
                                          : NULL,
        .tls_key = tls ? hti_tls_key(conn->tls) : NULL,
        .exporter = tls ? hti_tls_exporter(conn->tls) : NULL,
        .admin = mode == HTI_MODE_PEERCRED,
    };
    ht_err err = hti_cluster_link(conn->server->cluster, &params, &link_io,
                                  conn, conn->loop->now_ms, &conn->link);

    if (err != HT_OK) {
        /* The cluster has told whoever dialled, and logged it. */
        conn->link = NULL;
        conn->reported = true;
        hti_conn_close(conn, err, ht_strerror(err));
        return;
    }
    conn->state = HTI_CONN_LINKED;
    tick(conn);
}

/* ---- on the loop -------------------------------------------------------- */

/* Stage 4 of a round. */
static void on_work(struct hti_work *work)
{
    struct hti_conn *conn = CONN_OF(work, work);
    int interest = HT_READ;

    if (conn->state != HTI_CONN_LINKED) {
        return;
    }
    if (conn->close_asked) {
        hti_conn_close(conn, (ht_err)atomic_load(&conn->close_why), "");
        return;
    }
    switch (hti_conn_flush(conn)) {
    case HTI_FLUSH_DONE:
        break;
    case HTI_FLUSH_BLOCKED:
        interest |= HT_WRITE;
        break;
    case HTI_FLUSH_MORE:
        hti_loop_defer(conn->loop, &conn->work);
        break;
    case HTI_FLUSH_FAILED:
        hti_conn_close(conn, HT_ENOCONN, strerror(errno));
        return;
    }
    if (hti_io_set(&conn->io, interest) != HT_OK) {
        hti_conn_close(conn, HT_ENOMEM, "cannot watch the socket");
    }
}

static void on_ready(struct hti_io *io, int events)
{
    struct hti_conn *conn = CONN_OF(io, io);

    switch (conn->state) {
    case HTI_CONN_SNIFF:
        hti_conn_sniff(conn);
        break;
    case HTI_CONN_TLS:
        if (events & HT_WRITE) {
            (void)hti_conn_send_cipher(conn);
        }
        if (events & HT_READ) {
            hti_conn_read_handshake(conn);
        }
        break;
    case HTI_CONN_LINKED:
        if (events & HT_WRITE) {
            hti_loop_defer(conn->loop, &conn->work);
        }
        if (events & HT_READ) {
            hti_conn_read(conn);
        }
        break;
    case HTI_CONN_NEW:
    case HTI_CONN_CLOSED:
        break;
    }
    if (conn->state != HTI_CONN_CLOSED && conn->state != HTI_CONN_LINKED &&
        hti_io_set(&conn->io, hti_conn_has_left(conn) ? HT_READ | HT_WRITE
                                                      : HT_READ) != HT_OK) {
        hti_conn_close(conn, HT_ENOMEM, "cannot watch the socket");
    }
}

static void on_timer(struct hti_timer *timer, uint64_t now_ms)
{
    struct hti_conn *conn = CONN_OF(timer, timer);

    (void)now_ms;
    if (conn->state == HTI_CONN_LINKED) {
        tick(conn);
        return;
    }
    hti_conn_close(conn, HT_ETIMEDOUT,
                   conn->state == HTI_CONN_SNIFF
                       ? "peer sent nothing"
                       : "TLS handshake took too long");
}

static void adopt(struct hti_conn *conn)
{
    struct hti_timers *timers = &conn->loop->timers;
    const unsigned plain = HT_ENCRYPT_BIT(HT_ENCRYPT_NONE);
    ht_err err;

    TAILQ_INSERT_TAIL(&hti_server_residents(conn->server, conn->loop)->conns,
                      conn, entry);
    hti_io_init(&conn->io, conn->loop, conn->fd, on_ready);
    conn->state = HTI_CONN_SNIFF;
    err = hti_timer_attach(timers, &conn->timer, on_timer);
    if (err == HT_OK) {
        err = hti_io_set(&conn->io, HT_READ);
    }
    if (err != HT_OK) {
        hti_conn_close(conn, err, ht_strerror(err));
        return;
    }
    if (atomic_load(&conn->server->closing)) {
        hti_conn_close(conn, HT_ECLOSED, "node is stopping");
        return;
    }
    hti_timer_set(timers, &conn->timer,
                  conn->loop->now_ms +
                      conn->server->settings->c.handshake_timeout_ms);
    if (!conn->initiator) {
        return; /* until the first byte */
    }
    if (conn->admin) {
        if (hti_conn_peer_is_us(conn)) {
            hti_conn_make_link(conn, HTI_MODE_PEERCRED);
        } else {
            hti_conn_close(conn, HT_EDENIED, "socket is another user's");
        }
    } else if (conn->encryption == plain) {
        hti_conn_make_link(conn, HTI_MODE_NONE);
    } else {
        hti_conn_start_tls(conn);
    }
}

static void on_task(struct hti_task *task)
{
    struct hti_conn *conn = CONN_OF(task, task);
    unsigned asked =
        atomic_exchange_explicit(&conn->asked, 0, memory_order_acq_rel);

    if (asked & HTI_CONN_ADOPT) {
        adopt(conn);
    }
    if (conn->state != HTI_CONN_CLOSED) {
        if (asked & HTI_CONN_WAKE) {
            conn->awake = true;
            hti_loop_defer(conn->loop, &conn->work);
        }
        if (asked & HTI_CONN_CLOSE) {
            conn->close_asked = true;
            hti_loop_defer(conn->loop, &conn->work);
        }
        if (asked & HTI_CONN_EVICT) {
            hti_conn_close(conn, HT_EBUSY, "too many wait to authenticate");
        }
    } else if (asked & HTI_CONN_WAKE) {
        /* Counted by link_wake(), and nobody will write it. */
        atomic_fetch_sub(&conn->server->unsent, 1);
    }
    if (asked & HTI_CONN_FREE) {
        conn_free(conn);
    }
}

/* ---- opening ------------------------------------------------------------ */

static ht_err copy_strings(struct hti_conn *conn,
                           const struct hti_conn_params *params)
{
    snprintf(conn->address, sizeof(conn->address), "%s", params->address);
    if (params->server_name != NULL) {
        conn->server_name = strdup(params->server_name);
        if (conn->server_name == NULL) {
            return HT_ENOMEM;
        }
    }
    if (params->host != NULL) {
        conn->host = strdup(params->host);
        if (conn->host == NULL) {
            return HT_ENOMEM;
        }
    }
    return HT_OK;
}

ht_err hti_conn_open(struct hti_server *server,
                     struct hti_loop *loop,
                     const struct hti_conn_params *params)
{
    struct hti_conn *conn = calloc(1, sizeof(*conn));
    int one = 1;

    if (conn == NULL) {
        return HT_ENOMEM;
    }
    hti_server_lodge(server);
    conn->server = server;
    conn->loop = loop;
    conn->task.run = on_task;
    conn->work.run = on_work;
    conn->fd = params->fd;
    conn->initiator = params->initiator;
    conn->dial_id = params->dial_id;
    conn->encryption = params->encryption;
    conn->any_peer = params->any_peer;
    conn->is_unix = params->is_unix;
    conn->admin = params->admin;
    conn->cert_optional = params->cert_optional;
    if (copy_strings(conn, params) != HT_OK) {
        conn_free(conn);
        return HT_ENOMEM;
    }
    if (!conn->is_unix) {
        /* Batches are made here; the kernel must not wait for more. */
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    /* Asked before it is counted: who evicts it at once then only adds to what
     * is asked, and the loop adopts it first. */
    atomic_init(&conn->asked, HTI_CONN_ADOPT);
    if (!conn->initiator) {
        if (params->peer != NULL) {
            hti_sockaddr_key(params->peer, conn->pending.key);
        }
        hti_pending_add(&server->pending, &conn->pending);
    }
    hti_loop_post(loop, &conn->task);
    return HT_OK;
}
