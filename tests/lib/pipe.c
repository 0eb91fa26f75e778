/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/pipe.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define MS UINT64_C(1000000)

struct pipe_chunk {
    STAILQ_ENTRY(pipe_chunk) entry;
    uint64_t at_ms;
    size_t len; /* 0: the stream ends here */
    uint8_t data[];
};
STAILQ_HEAD(chunks, pipe_chunk);

struct pipe_conn;

struct pipe_end {
    struct pipe_conn *conn;
    struct pipe_node *node; /* NULL: raw */
    struct hti_link *link;  /* NULL: raw, or closed */
    struct chunks in;       /* on the way here */
    _Atomic bool busy;      /* set by whoever pushes, in any thread */
    bool closing, closed, stalled;
    ht_err why;
    uint64_t tick_ms;
};

struct pipe_conn {
    TAILQ_ENTRY(pipe_conn) entry;
    struct pipe_end end[2]; /* 0 dialled */
};
TAILQ_HEAD(conns, pipe_conn);

struct pipe_dial {
    TAILQ_ENTRY(pipe_dial) entry;
    struct pipe_node *from;
    uint64_t id, at_ms;
    bool any_peer;
    char address[256];
};
TAILQ_HEAD(dials, pipe_dial);

struct pipe_world {
    _Atomic uint64_t now_ns;
    uint64_t rng, latency_ms, incarnation;
    bool cookie_mode;
    unsigned dials_count;
    struct pipe_node *nodes;
    struct conns conns;
    struct dials dials;
};

static void must(ht_err err)
{
    if (err != HT_OK) {
        fprintf(stderr, "pipe: %s\n", ht_strerror(err));
        abort();
    }
}

static void *must_alloc(size_t size)
{
    void *p = calloc(1, size);

    if (p == NULL) {
        abort();
    }
    return p;
}

uint64_t pipe_now_ms(const struct pipe_world *w)
{
    return w->now_ns / MS;
}

/* ---- the host ------------------------------------------------------------ */

static uint64_t host_now_ns(void *arg)
{
    const struct pipe_node *n = arg;

    return n->world->now_ns;
}

static void host_random(void *arg, void *buf, size_t len)
{
    struct pipe_node *n = arg;
    uint8_t *out = buf;

    for (size_t i = 0; i < len; i++) {
        uint64_t x = n->world->rng;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        n->world->rng = x;
        out[i] = (uint8_t)(x >> 32);
    }
}

static void host_wake(void *arg, unsigned sched)
{
    struct pipe_node *n = arg;

    (void)sched;
    n->woken = true;
}

static const struct hti_host_ops host_ops = {
    .now_ns = host_now_ns,
    .random = host_random,
    .wake = host_wake,
    .pool_inline = true,
};

/* ---- streams ------------------------------------------------------------- */

static struct pipe_end *other(struct pipe_end *end)
{
    return &end->conn->end[end == &end->conn->end[0]];
}

static void deliver_to(struct pipe_end *end, const void *data, size_t len)
{
    struct pipe_world *w;
    struct pipe_chunk *chunk = must_alloc(sizeof *chunk + len);

    w = end->node != NULL ? end->node->world : other(end)->node->world;
    chunk->at_ms = pipe_now_ms(w) + w->latency_ms;
    chunk->len = len;
    if (len > 0) {
        memcpy(chunk->data, data, len);
    }
    STAILQ_INSERT_TAIL(&end->in, chunk, entry);
}

static void io_wake(void *arg)
{
    struct pipe_end *end = arg;

    end->busy = true;
}

static void io_close(void *arg, ht_err why)
{
    struct pipe_end *end = arg;

    end->closing = true;
    end->why = why;
}

static const struct hti_link_io link_io = {
    .wake = io_wake,
    .close = io_close,
};

static void write_out(struct pipe_end *end)
{
    struct hti_slice slice;

    if (end->link == NULL || !end->busy || (end->stalled && !end->closing)) {
        return;
    }
    end->busy = false;
    do {
        while (hti_link_pop(end->link, &slice)) {
            if (slice.head_len > 0) {
                deliver_to(other(end), slice.head, slice.head_len);
            }
            deliver_to(other(end), slice.data, slice.len);
            hti_link_release(end->link, &slice);
            hti_link_settle(end->link);
        }
    } while (!hti_link_sleep(end->link));
}

static void end_close(struct pipe_end *end, ht_err why, const char *text)
{
    struct hti_link *link = end->link;

    if (end->closed) {
        return;
    }
    write_out(end);
    end->closed = true;
    end->link = NULL;
    deliver_to(other(end), NULL, 0);
    if (link != NULL) {
        hti_link_closed(link, why, text);
    }
}

static void end_open(struct pipe_end *end, uint64_t dial_id, bool any_peer)
{
    bool cookie = end->node->world->cookie_mode;
    struct hti_link_params params = {
        .dial_id = dial_id,
        .mode = cookie ? HTI_MODE_COOKIE : HTI_MODE_NONE,
        .keys = end->node->keys,
        .tls_key = cookie ? hti_keyring_at(end->node->keys, 0) : NULL,
        .any_peer = any_peer,
        .address = other(end)->node != NULL ? other(end)->node->address : "raw",
    };

    /* wake() may come from inside. */
    if (hti_cluster_link(end->node->cluster, &params, &link_io, end,
                         pipe_now_ms(end->node->world), &end->link) != HT_OK) {
        end->link = NULL;
        end_close(end, HT_OK, NULL);
    }
}

static struct pipe_conn *conn_new(struct pipe_world *w)
{
    struct pipe_conn *conn = must_alloc(sizeof *conn);

    for (unsigned i = 0; i < 2; i++) {
        conn->end[i].conn = conn;
        STAILQ_INIT(&conn->end[i].in);
    }
    TAILQ_INSERT_TAIL(&w->conns, conn, entry);
    return conn;
}

static void conn_free(struct pipe_world *w, struct pipe_conn *conn)
{
    for (unsigned i = 0; i < 2; i++) {
        struct pipe_chunk *chunk;

        while ((chunk = STAILQ_FIRST(&conn->end[i].in)) != NULL) {
            STAILQ_REMOVE_HEAD(&conn->end[i].in, entry);
            free(chunk);
        }
    }
    TAILQ_REMOVE(&w->conns, conn, entry);
    free(conn);
}

/* One thing at most; true: something happened. */
static bool end_step(struct pipe_end *end)
{
    struct pipe_chunk *chunk = STAILQ_FIRST(&end->in);
    uint64_t now_ms;
    ht_err err;

    if (end->node == NULL || end->closed) {
        return false;
    }
    now_ms = pipe_now_ms(end->node->world);
    if (end->closing) {
        end_close(end, end->why, NULL);
        return true;
    }
    if (end->busy && !end->stalled) {
        write_out(end);
        return true;
    }
    if (chunk != NULL && chunk->at_ms <= now_ms) {
        STAILQ_REMOVE_HEAD(&end->in, entry);
        if (chunk->len == 0) {
            end_close(end, HT_OK, NULL);
        } else {
            hti_link_count_received(end->link, chunk->len);
            err = hti_link_receive(end->link, now_ms, chunk->data, chunk->len);
            if (err != HT_OK) {
                end_close(end, err, NULL);
            }
        }
        free(chunk);
        end->tick_ms = 0;
        return true;
    }
    if (end->tick_ms <= now_ms) {
        end->tick_ms = UINT64_MAX;
        err = hti_link_tick(end->link, now_ms, &end->tick_ms);
        if (err != HT_OK) {
            end_close(end, err, NULL);
        }
        return end->closed || end->busy;
    }
    return false;
}

/* ---- dialling ------------------------------------------------------------ */

static void io_dial(void *arg, uint64_t id, const struct hti_target *target)
{
    struct pipe_node *n = arg;
    struct pipe_dial *dial = must_alloc(sizeof *dial);

    dial->from = n;
    dial->id = id;
    dial->any_peer = target->any_peer;
    dial->at_ms = pipe_now_ms(n->world) + n->world->latency_ms;
    snprintf(dial->address, sizeof dial->address, "%s", target->address);
    TAILQ_INSERT_TAIL(&n->world->dials, dial, entry);
    n->world->dials_count++;
}

static void io_tick_at(void *arg, uint64_t at_ms)
{
    struct pipe_node *n = arg;

    if (at_ms < n->tick_ms) {
        n->tick_ms = at_ms;
    }
}

static const struct hti_cluster_io cluster_io = {
    .dial = io_dial,
    .tick_at = io_tick_at,
};

static void dial_done(struct pipe_world *w, struct pipe_dial *dial)
{
    struct pipe_node *to = w->nodes;
    struct pipe_conn *conn;

    while (to != NULL && (to->node == NULL || !to->up ||
                          strcmp(to->address, dial->address) != 0)) {
        to = to->next;
    }
    if (to == NULL) {
        hti_cluster_dial_failed(dial->from->cluster, dial->id, HT_ENOCONN,
                                "connection refused");
        return;
    }
    conn = conn_new(w);
    conn->end[0].node = dial->from;
    conn->end[1].node = to;
    end_open(&conn->end[0], dial->id, dial->any_peer);
    end_open(&conn->end[1], 0, to->opts.any_peer);
}

static bool dials_step(struct pipe_world *w)
{
    struct pipe_dial *dial = TAILQ_FIRST(&w->dials);

    if (dial == NULL || dial->at_ms > pipe_now_ms(w)) {
        return false;
    }
    TAILQ_REMOVE(&w->dials, dial, entry);
    dial_done(w, dial);
    free(dial);
    return true;
}

/* ---- time ---------------------------------------------------------------- */

static bool node_step(struct pipe_node *n, uint64_t *next_ms)
{
    uint64_t now_ms = pipe_now_ms(n->world);
    bool busy = false;
    struct hti_turn turn;

    if (n->node == NULL) {
        return false;
    }
    if (n->tick_ms <= now_ms) {
        uint64_t at_ms;

        n->tick_ms = UINT64_MAX;
        at_ms = hti_cluster_tick(n->cluster, now_ms);
        if (at_ms < n->tick_ms) {
            n->tick_ms = at_ms;
        }
        busy = n->tick_ms <= now_ms;
    }
    n->woken = false;
    turn = hti_sched_turn(n->node, 0, 64);
    if (turn.deadline_ns != UINT64_MAX &&
        (turn.deadline_ns + MS - 1) / MS < *next_ms) {
        *next_ms = (turn.deadline_ns + MS - 1) / MS;
    }
    if (n->tick_ms < *next_ms) {
        *next_ms = n->tick_ms;
    }
    return busy || turn.more || n->woken;
}

/* One round over everything; *next_ms: when there will be more to do. */
static bool round_step(struct pipe_world *w, uint64_t *next_ms)
{
    struct pipe_conn *conn, *next;
    struct pipe_dial *dial;
    bool busy = false;

    *next_ms = UINT64_MAX;
    for (struct pipe_node *n = w->nodes; n != NULL; n = n->next) {
        busy = node_step(n, next_ms) || busy;
    }
    while (dials_step(w)) {
        busy = true;
    }
    TAILQ_FOREACH (dial, &w->dials, entry) {
        if (dial->at_ms < *next_ms) {
            *next_ms = dial->at_ms;
        }
    }
    for (conn = TAILQ_FIRST(&w->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, entry);
        for (unsigned i = 0; i < 2; i++) {
            struct pipe_end *end = &conn->end[i];
            const struct pipe_chunk *chunk;

            while (end_step(end)) {
                busy = true;
            }
            chunk = STAILQ_FIRST(&end->in);
            if (end->node == NULL || end->closed) {
                continue;
            }
            if (chunk != NULL && chunk->at_ms < *next_ms) {
                *next_ms = chunk->at_ms;
            }
            if (end->tick_ms < *next_ms) {
                *next_ms = end->tick_ms;
            }
        }
        if (conn->end[0].closed && conn->end[1].closed) {
            conn_free(w, conn);
        }
    }
    return busy;
}

static void settle(struct pipe_world *w, uint64_t *next_ms)
{
    unsigned rounds = 0;

    while (round_step(w, next_ms) || *next_ms <= pipe_now_ms(w)) {
        if (++rounds > 1000000) {
            fprintf(stderr, "pipe: the world does not settle\n");
            abort();
        }
    }
}

void pipe_settle(struct pipe_world *w)
{
    uint64_t next_ms;

    settle(w, &next_ms);
}

bool pipe_until(struct pipe_world *w,
                bool (*done)(void *arg),
                void *arg,
                uint64_t ms)
{
    uint64_t end_ms = pipe_now_ms(w) + ms;
    uint64_t next_ms;

    for (;;) {
        settle(w, &next_ms);
        if (done != NULL && done(arg)) {
            return true;
        }
        if (next_ms > end_ms) {
            w->now_ns = end_ms * MS;
            return done != NULL && done(arg);
        }
        w->now_ns = next_ms * MS;
    }
}

void pipe_run(struct pipe_world *w, uint64_t ms)
{
    (void)pipe_until(w, NULL, NULL, ms);
}

/* ---- nodes --------------------------------------------------------------- */

struct pipe_world *pipe_new(uint64_t seed)
{
    struct pipe_world *w = must_alloc(sizeof *w);

    w->rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->now_ns = 1000 * MS;
    w->incarnation = 1000;
    TAILQ_INIT(&w->conns);
    TAILQ_INIT(&w->dials);
    return w;
}

static ht_bytes text(const char *s)
{
    ht_bytes b = {s, strlen(s)};

    return b;
}

static void node_keys(struct pipe_node *n)
{
    ht_bytes cookie =
        text(n->opts.cookie != NULL ? n->opts.cookie
                                    : "0123456789abcdef0123456789abcdef");
    ht_bytes ractor =
        text(n->opts.ractor_cookie != NULL ? n->opts.ractor_cookie : "");

    must(hti_keyring_new(&cookie, 1, &ractor, ractor.len > 0 ? 1 : 0, "test",
                         HTI_KDF_FAST, &n->keys));
}

static void node_runtime(struct pipe_node *n)
{
    struct hti_rt_config config = {
        .name = n->name,
        .scheds = 1,
        .single_threaded = true,
        .pool_threads = 1,
        .local_handle = HTI_LOCAL_HANDLE,
        .host = &host_ops,
        .host_arg = n,
    };

    host_random(n, config.instance, sizeof config.instance);
    hti_log_init(&config.log, NULL, NULL, HT_LOG_ERROR);
    if (getenv("PIPE_LOG") != NULL) {
        hti_log_init(&config.log, NULL, NULL, HT_LOG_DEBUG);
    }
    must(hti_rt_new(&config, &n->node));
    hti_sched_enter(n->node, 0);
}

struct pipe_node *
pipe_start(struct pipe_world *w, const char *name, const struct pipe_opts *opts)
{
    struct pipe_node *n = must_alloc(sizeof *n);
    struct hti_cluster_config config = {0};

    if (opts != NULL) {
        n->opts = *opts;
    }
    n->world = w;
    n->up = true;
    n->tick_ms = 0;
    snprintf(n->name, sizeof n->name, "%s@test", name);
    snprintf(n->address, sizeof n->address, "%s:1", name);
    if (n->opts.address != NULL) {
        snprintf(n->address, sizeof n->address, "%s", n->opts.address);
    }
    node_keys(n);
    node_runtime(n);
    w->incarnation++;
    config.name = n->name;
    config.connection_string = n->address;
    config.incarnation =
        n->opts.incarnation != 0 ? n->opts.incarnation : w->incarnation;
    config.hidden = n->opts.hidden;
    config.transitive = n->opts.transitive;
    config.keys = n->keys;
    config.any_peer = n->opts.any_peer;
    config.encryption = HT_ENCRYPT_NONE; /* of those it is told of */
    config.handshake_ms = 5000;
    config.heartbeat_ms = 1000;
    config.silence_ms = 5000;
    config.outbox_bytes_max = n->opts.outbox_bytes_max;
    config.calls_max = n->opts.calls_max;
    config.frame_max = n->opts.frame_max;
    config.message_max = n->opts.message_max;
    must(hti_cluster_new(n->node, &config, &cluster_io, n, &n->cluster));
    n->next = w->nodes;
    w->nodes = n;
    return n;
}

static void drop_dials(struct pipe_node *n)
{
    struct pipe_dial *dial = TAILQ_FIRST(&n->world->dials);

    while (dial != NULL) {
        struct pipe_dial *next = TAILQ_NEXT(dial, entry);

        if (dial->from == n) {
            TAILQ_REMOVE(&n->world->dials, dial, entry);
            free(dial);
        }
        dial = next;
    }
}

void pipe_stop(struct pipe_node *n)
{
    struct pipe_node **at = &n->world->nodes;
    struct pipe_conn *conn;

    n->up = false;
    hti_cluster_stop(n->cluster);
    hti_rt_stop(n->node);
    while (!hti_cluster_is_quiet(n->cluster) || !hti_rt_is_quiet(n->node)) {
        pipe_settle(n->world);
    }
    drop_dials(n);
    TAILQ_FOREACH (conn, &n->world->conns, entry) {
        for (unsigned i = 0; i < 2; i++) {
            if (conn->end[i].node == n) {
                assert(conn->end[i].closed);
                conn->end[i].node = other(&conn->end[i])->node;
            }
        }
    }
    hti_sched_leave(n->node);
    hti_rt_free(n->node);
    hti_cluster_free(n->cluster);
    hti_keyring_unref(n->keys);
    while (*at != n) {
        at = &(*at)->next;
    }
    *at = n->next;
    free(n);
}

void pipe_free(struct pipe_world *w)
{
    if (w == NULL) {
        return;
    }
    while (w->nodes != NULL) {
        pipe_stop(w->nodes);
    }
    while (!TAILQ_EMPTY(&w->conns)) {
        conn_free(w, TAILQ_FIRST(&w->conns));
    }
    free(w);
}

/* ---- what a test does to them -------------------------------------------- */

void pipe_set_latency(struct pipe_world *w, uint64_t ms)
{
    w->latency_ms = ms;
}

static bool is_between(const struct pipe_conn *conn,
                       const struct pipe_node *a,
                       const struct pipe_node *b)
{
    return (conn->end[0].node == a && conn->end[1].node == b) ||
           (conn->end[0].node == b && conn->end[1].node == a);
}

void pipe_set_encrypted(struct pipe_world *world)
{
    world->cookie_mode = true;
}

void pipe_cut(struct pipe_node *a, struct pipe_node *b)
{
    struct pipe_conn *conn;

    TAILQ_FOREACH (conn, &a->world->conns, entry) {
        if (is_between(conn, a, b)) {
            end_close(&conn->end[0], HT_EIO, "cut");
            end_close(&conn->end[1], HT_EIO, "cut");
        }
    }
}

void pipe_stall(struct pipe_node *a, struct pipe_node *b, bool on)
{
    struct pipe_conn *conn;

    TAILQ_FOREACH (conn, &a->world->conns, entry) {
        if (is_between(conn, a, b)) {
            conn->end[conn->end[1].node == a].stalled = on;
        }
    }
}

void pipe_set_listening(struct pipe_node *node, bool on)
{
    node->up = on;
}

size_t pipe_connections(struct pipe_world *w)
{
    struct pipe_conn *conn;
    size_t count = 0;

    TAILQ_FOREACH (conn, &w->conns, entry) {
        count++;
    }
    return count;
}

unsigned pipe_dials(const struct pipe_world *w)
{
    return w->dials_count;
}

ht_err pipe_connect(struct pipe_node *from,
                    const char *address,
                    const char *name,
                    bool once,
                    void (*on_result)(void *arg, ht_err err, const char *text),
                    void *arg)
{
    struct hti_target target = {
        .address = address,
        .name = name,
        .encryption = HT_ENCRYPT_NONE,
        .any_peer = from->opts.any_peer,
    };

    return hti_cluster_connect(from->cluster, &target, once, on_result, arg);
}

/* ---- raw peers ----------------------------------------------------------- */

struct pipe_end *pipe_raw(struct pipe_node *to)
{
    struct pipe_conn *conn = conn_new(to->world);

    conn->end[1].node = to;
    end_open(&conn->end[1], 0, to->opts.any_peer);
    return &conn->end[0];
}

void pipe_raw_send(struct pipe_end *end, const void *data, size_t len)
{
    deliver_to(other(end), data, len);
}

void pipe_raw_send_frame(struct pipe_end *end, struct hti_frame *frame)
{
    assert(frame != NULL);
    pipe_raw_send(end, frame->bytes, frame->len);
    hti_frame_free(frame);
}

/* What is sent is never cut inside a frame, so a chunk is a frame. */
long pipe_raw_receive(struct pipe_end *end, void *buf, size_t buf_len)
{
    struct pipe_chunk *chunk = STAILQ_FIRST(&end->in);
    size_t len;

    if (chunk == NULL) {
        return 0;
    }
    if (chunk->len == 0) {
        return -1;
    }
    STAILQ_REMOVE_HEAD(&end->in, entry);
    assert(chunk->len > HTI_FRAME_HEAD);
    len = chunk->len - HTI_FRAME_HEAD;
    assert(len <= buf_len);
    memcpy(buf, chunk->data + HTI_FRAME_HEAD, len);
    free(chunk);
    return (long)len;
}

void pipe_raw_close(struct pipe_end *end)
{
    end->closed = true;
    deliver_to(other(end), NULL, 0);
}
