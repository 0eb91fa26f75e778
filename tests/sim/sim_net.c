/* SPDX-License-Identifier: Apache-2.0 */
/* sim_net.c - the simulated network: dials, streams of bytes, their ends. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_internal.h"

/* ---- dialling ---- */

static void
io_dial(void *arg, uint64_t dial_id, const struct hti_target *target)
{
    struct sim_node *n = arg;
    struct sim_dial *dial = calloc(1, sizeof(*dial));

    assert(dial != NULL);
    dial->at_ms = n->sim->now_ms + 1 + sim_below(n->sim, n->sim->latency_ms);
    dial->dial_id = dial_id;
    dial->from = n->index;
    dial->to = SIM_NODES_MAX;
    for (unsigned i = 0; i < n->sim->nodes_count; i++) {
        if (strcmp(n->sim->nodes[i].address, target->address) == 0) {
            dial->to = i;
        }
    }
    TAILQ_INSERT_TAIL(&n->sim->dials, dial, entry);
}

static void io_tick_at(void *arg, uint64_t at_ms)
{
    struct sim_node *n = arg;

    if (at_ms < n->tick_ms) {
        n->tick_ms = at_ms;
    }
}

const struct hti_cluster_io sim_cluster_io = {
    .dial = io_dial,
    .tick_at = io_tick_at,
};

/* ---- one end of a stream ---- */

static void end_wake(void *io_arg)
{
    struct sim_end *end = io_arg;

    end->dirty = true;
}

static void end_close(void *io_arg, ht_err why)
{
    struct sim_end *end = io_arg;

    if (!end->closing) {
        end->closing = true;
        end->close_why = why;
    }
}

static bool end_cert_matches(void *io_arg, const char *name, bool hardtack)
{
    (void)io_arg;
    (void)name;
    (void)hardtack;
    return true;
}

static const struct hti_link_io end_io = {
    .wake = end_wake,
    .close = end_close,
    .cert_matches = end_cert_matches,
};

static struct sim_end *other(struct sim_end *end)
{
    return &end->conn->end[end == &end->conn->end[0]];
}

/* A stream keeps its order: a chunk is never due before the one it follows. */
static void
put(struct sim *sim, struct sim_end *to, const uint8_t *data, size_t len)
{
    struct sim_chunk *last = TAILQ_LAST(&to->in, sim_chunks);
    struct sim_chunk *chunk = malloc(sizeof(*chunk) + len);
    uint64_t at = sim->now_ms + 1 + sim_below(sim, sim->latency_ms);

    assert(chunk != NULL);
    chunk->at_ms = last != NULL && last->at_ms > at ? last->at_ms : at;
    chunk->len = len;
    if (len > 0) {
        memcpy(chunk->data, data, len);
    }
    TAILQ_INSERT_TAIL(&to->in, chunk, entry);
}

/* The end of the stream as the transport sees it. */
static void closed(struct sim *sim, struct sim_end *end, ht_err why)
{
    struct hti_link *link = end->link;

    if (link == NULL) {
        return;
    }
    end->link = NULL;
    end->closing = false;
    sim_note(sim, "%s > conn %llu closed: %s", sim->nodes[end->node].name,
             (unsigned long long)end->conn->id,
             why == HT_OK ? "end of stream" : ht_errname(why));
    hti_link_closed(link, why, "");
}

static void close_end(struct sim *sim, struct sim_end *end, ht_err why)
{
    if (end->link == NULL) {
        return;
    }
    closed(sim, end, why);
    if (!end->conn->silent) {
        put(sim, other(end), NULL, 0);
    }
}

static void flush_end(struct sim *sim, struct sim_end *end)
{
    struct hti_slice slice;

    while (end->link != NULL && hti_link_pop(end->link, &slice)) {
        if (!end->conn->silent) {
            /* No bytes would read as the end of the stream. */
            if (slice.head_len > 0) {
                put(sim, other(end), slice.head, slice.head_len);
            }
            put(sim, other(end), slice.data, slice.len);
        }
        hti_link_release(end->link, &slice);
        hti_link_settle(end->link);
    }
}

void sim_net_flush(struct sim *sim)
{
    struct sim_conn *conn;

    TAILQ_FOREACH (conn, &sim->conns, entry) {
        for (unsigned i = 0; i < 2; i++) {
            struct sim_end *end = &conn->end[i];
            if (sim_is_frozen(sim, end->node)) {
                continue;
            }
            while (end->link != NULL && end->dirty) {
                end->dirty = false;
                flush_end(sim, end);
                end->dirty = !hti_link_sleep(end->link);
            }
            if (end->closing) {
                close_end(sim, end, end->close_why);
            }
        }
    }
}

/* ---- what is due ---- */

static void tick_end(struct sim *sim, struct sim_end *end)
{
    uint64_t deadline = UINT64_MAX;
    ht_err err = hti_link_tick(end->link, sim->now_ms, &deadline);

    end->tick_ms = deadline;
    if (err != HT_OK) {
        close_end(sim, end, err);
    }
}

/* Deliver a chunk in pieces of any size: a reader must not care. */
static void deliver(struct sim *sim, struct sim_end *end)
{
    struct sim_chunk *chunk = TAILQ_FIRST(&end->in);
    size_t at = 0;

    TAILQ_REMOVE(&end->in, chunk, entry);
    if (end->link != NULL && chunk->len == 0) {
        closed(sim, end, HT_OK);
    }
    while (end->link != NULL && at < chunk->len) {
        size_t n = 1 + sim_below(sim, (unsigned)(chunk->len - at));
        ht_err err =
            hti_link_receive(end->link, sim->now_ms, chunk->data + at, n);
        at += n;
        if (err != HT_OK) {
            close_end(sim, end, err);
        } else if (end->tick_ms > sim->now_ms) {
            tick_end(sim, end);
        }
    }
    sim->signature = sim->signature * 1099511628211u ^ chunk->len;
    free(chunk);
}

static bool make_end(struct sim *sim, struct sim_end *end, uint64_t dial_id)
{
    struct sim_node *n = &sim->nodes[end->node];
    struct hti_link_params params = {
        .dial_id = dial_id,
        .address = sim->nodes[other(end)->node].address,
        .mode = sim->mode,
        .keys = sim->keys,
        .tls_key =
            sim->mode == HTI_MODE_COOKIE ? hti_keyring_at(sim->keys, 0) : NULL,
        .exporter = end->conn->exporter,
    };
    ht_err err = hti_cluster_link(n->cluster, &params, &end_io, end,
                                  sim->now_ms, &end->link);

    if (err != HT_OK) {
        end->link = NULL;
        return false;
    }
    end->dirty = true;
    end->tick_ms = sim->now_ms;
    return true;
}

static void dialled(struct sim *sim, struct sim_dial *dial)
{
    struct sim_node *from = &sim->nodes[dial->from];
    struct sim_conn *conn;

    if (from->node == NULL) {
        return;
    }
    if (dial->to == SIM_NODES_MAX || sim->nodes[dial->to].node == NULL ||
        (dial->from < SIM_NODES_MAX &&
         sim->partitioned[dial->from][dial->to])) {
        hti_cluster_dial_failed(from->cluster, dial->dial_id, HT_ENOCONN,
                                "refused");
        return;
    }
    conn = calloc(1, sizeof(*conn));
    assert(conn != NULL);
    conn->id = ++sim->next_conn;
    for (unsigned i = 0; i < 2; i++) {
        conn->end[i].conn = conn;
        TAILQ_INIT(&conn->end[i].in);
    }
    conn->end[0].node = dial->from;
    conn->end[1].node = dial->to;
    for (size_t i = 0; i < sizeof(conn->exporter); i++) {
        conn->exporter[i] = (uint8_t)sim_random(sim);
    }
    TAILQ_INSERT_TAIL(&sim->conns, conn, entry);
    sim_note(sim, "%s > conn %llu to %s", from->name,
             (unsigned long long)conn->id, sim->nodes[dial->to].name);
    if (!make_end(sim, &conn->end[0], dial->dial_id)) {
        hti_cluster_dial_failed(from->cluster, dial->dial_id, HT_ENOMEM,
                                "no link");
    } else if (!make_end(sim, &conn->end[1], 0)) {
        put(sim, &conn->end[0], NULL, 0);
    }
}

static uint64_t end_next(const struct sim *sim, const struct sim_end *end)
{
    const struct sim_chunk *first = TAILQ_FIRST(&end->in);
    uint64_t next = end->link != NULL ? end->tick_ms : UINT64_MAX;

    if (first != NULL && first->at_ms < next) {
        next = first->at_ms;
    }
    return sim->nodes[end->node].frozen_ms > next
               ? sim->nodes[end->node].frozen_ms
               : next;
}

uint64_t sim_net_next(struct sim *sim)
{
    uint64_t next = UINT64_MAX;
    struct sim_conn *conn;
    struct sim_dial *dial;

    TAILQ_FOREACH (dial, &sim->dials, entry) {
        next = dial->at_ms < next ? dial->at_ms : next;
    }
    TAILQ_FOREACH (conn, &sim->conns, entry) {
        for (unsigned i = 0; i < 2; i++) {
            uint64_t at = end_next(sim, &conn->end[i]);
            next = at < next ? at : next;
        }
    }
    return next;
}

static void free_conn(struct sim *sim, struct sim_conn *conn)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sim_chunk *chunk;
        while ((chunk = TAILQ_FIRST(&conn->end[i].in)) != NULL) {
            TAILQ_REMOVE(&conn->end[i].in, chunk, entry);
            free(chunk);
        }
    }
    TAILQ_REMOVE(&sim->conns, conn, entry);
    free(conn);
}

/* When both ends of a dial can see to it. */
static uint64_t dial_thaws(const struct sim *sim, const struct sim_dial *dial)
{
    uint64_t from_ms = sim->nodes[dial->from].frozen_ms;
    uint64_t to_ms =
        dial->to < SIM_NODES_MAX ? sim->nodes[dial->to].frozen_ms : 0;

    return from_ms > to_ms ? from_ms : to_ms;
}

bool sim_net_step(struct sim *sim)
{
    struct sim_dial *dial;
    struct sim_conn *conn;
    struct sim_conn *next;

    TAILQ_FOREACH (dial, &sim->dials, entry) {
        if (dial->at_ms <= sim->now_ms) {
            uint64_t thaw_ms = dial_thaws(sim, dial);
            if (thaw_ms > sim->now_ms) {
                dial->at_ms = thaw_ms;
                continue;
            }
            TAILQ_REMOVE(&sim->dials, dial, entry);
            dialled(sim, dial);
            free(dial);
            return true;
        }
    }
    for (conn = TAILQ_FIRST(&sim->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, entry);
        for (unsigned i = 0; i < 2; i++) {
            struct sim_end *end = &conn->end[i];
            struct sim_chunk *first = TAILQ_FIRST(&end->in);
            bool ticks = end->link != NULL && end->tick_ms <= sim->now_ms;
            if (sim_is_frozen(sim, end->node)) {
                continue;
            }
            if (first != NULL && first->at_ms <= sim->now_ms &&
                !(ticks && sim_below(sim, 2))) {
                deliver(sim, end);
                return true;
            }
            if (ticks) {
                tick_end(sim, end);
                return true;
            }
        }
        if (conn->end[0].link == NULL && conn->end[1].link == NULL) {
            free_conn(sim, conn);
        }
    }
    return false;
}

/* ---- faults ---- */

/* Keep a random part of what is on its way, cut inside a chunk, then end. */
static void cut_stream(struct sim *sim, struct sim_end *end)
{
    struct sim_chunk *chunk;
    size_t total = 0;
    size_t keep;

    TAILQ_FOREACH (chunk, &end->in, entry) {
        total += chunk->len;
    }
    keep = total > 0 ? sim_below(sim, (unsigned)total + 1) : 0;
    TAILQ_FOREACH (chunk, &end->in, entry) {
        if (chunk->len > keep) {
            chunk->len = keep;
        }
        keep -= chunk->len;
        if (chunk->len == 0) {
            break; /* reads as the end of the stream */
        }
    }
    while (chunk != NULL && TAILQ_NEXT(chunk, entry) != NULL) {
        struct sim_chunk *gone = TAILQ_NEXT(chunk, entry);
        TAILQ_REMOVE(&end->in, gone, entry);
        free(gone);
    }
    put(sim, end, NULL, 0);
}

void sim_net_cut(struct sim *sim, struct sim_conn *conn)
{
    sim_note(sim, "cut conn %llu", (unsigned long long)conn->id);
    cut_stream(sim, &conn->end[0]);
    cut_stream(sim, &conn->end[1]);
    conn->silent = true; /* nothing more after the cut */
}

struct sim_conn *sim_net_random(struct sim *sim)
{
    struct sim_conn *conn;
    unsigned n = 0;

    TAILQ_FOREACH (conn, &sim->conns, entry) {
        n++;
    }
    if (n == 0) {
        return NULL;
    }
    n = sim_below(sim, n);
    conn = TAILQ_FIRST(&sim->conns);
    while (n-- > 0) {
        conn = TAILQ_NEXT(conn, entry);
    }
    return conn;
}

/* A node is gone: its own links end at once; its peers see the end of the
 * stream, or nothing at all. */
void sim_net_drop_node(struct sim *sim, unsigned node, bool tell_peers)
{
    struct sim_conn *conn;
    struct sim_dial *dial;
    struct sim_dial *next;

    TAILQ_FOREACH (conn, &sim->conns, entry) {
        for (unsigned i = 0; i < 2; i++) {
            struct sim_end *end = &conn->end[i];
            if (end->node == node && end->link != NULL) {
                closed(sim, end, HT_ECLOSED);
                if (tell_peers && !conn->silent) {
                    put(sim, other(end), NULL, 0);
                }
                conn->silent = true;
            }
        }
    }
    for (dial = TAILQ_FIRST(&sim->dials); dial != NULL; dial = next) {
        next = TAILQ_NEXT(dial, entry);
        if (dial->from == node) {
            TAILQ_REMOVE(&sim->dials, dial, entry);
            free(dial);
        }
    }
}

void sim_net_free(struct sim *sim)
{
    struct sim_conn *conn;
    struct sim_dial *dial;

    while ((conn = TAILQ_FIRST(&sim->conns)) != NULL) {
        free_conn(sim, conn);
    }
    while ((dial = TAILQ_FIRST(&sim->dials)) != NULL) {
        TAILQ_REMOVE(&sim->dials, dial, entry);
        free(dial);
    }
}
