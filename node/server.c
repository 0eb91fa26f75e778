/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - the small services that the parts of a node need from each other,
 * and the functions that the runtime and the cluster call. */
#include "node/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/conn.h"
#include "node/dialer.h"
#include "node/host.h"

#define LOG_BURST 10

struct hti_server *hti_server_of(const ht_node *node)
{
    return hti_rt_slot(node, HTI_SLOT_SERVER);
}

uint64_t hti_server_now_ms(void)
{
    return hti_clock_ns() / 1000000u;
}

struct hti_loop *hti_server_next_loop(struct hti_server *server)
{
    unsigned n =
        atomic_fetch_add_explicit(&server->next_loop, 1, memory_order_relaxed);

    return &server->loops[n % server->settings->scheds];
}

struct hti_tls *hti_server_tls(struct hti_server *server)
{
    struct hti_tls *tls;

    pthread_mutex_lock(&server->lock);
    tls = hti_tls_ref(server->tls);
    pthread_mutex_unlock(&server->lock);
    return tls;
}

struct hti_residents *hti_server_residents(struct hti_server *server,
                                           const struct hti_loop *loop)
{
    return &server->residents[loop->index];
}

void hti_server_lodge(struct hti_server *server)
{
    atomic_fetch_add(&server->lodgers, 1);
}

void hti_server_leave(struct hti_server *server)
{
    atomic_fetch_sub(&server->lodgers, 1);
}

void hti_server_log_limited(struct hti_server *server,
                            struct hti_log_limit *limit,
                            ht_log_level level,
                            const char *id,
                            const char *format,
                            ...)
{
    unsigned suppressed = 0;
    char text[1024];
    va_list args;
    bool allowed;

    pthread_mutex_lock(&server->lock);
    allowed = hti_log_allow(limit, hti_server_now_ms(), LOG_BURST, &suppressed);
    pthread_mutex_unlock(&server->lock);
    if (!allowed) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (suppressed > 0) {
        hti_log(&server->log, level, id, "%s left_out=%u", text, suppressed);
    } else {
        hti_log(&server->log, level, id, "%s", text);
    }
}

/* ---- the round's own stage ---------------------------------------------- */

static uint64_t cluster_tick(struct hti_server *server, uint64_t now_ms)
{
    uint64_t at_ms = atomic_load(&server->tick_at_ms);

    if (at_ms > now_ms || server->cluster == NULL) {
        return at_ms;
    }
    /* Whoever asks while it ticks is asking for another. */
    atomic_store(&server->tick_at_ms, UINT64_MAX);
    at_ms = hti_cluster_tick(server->cluster, now_ms);
    hti_dialer_tell_undialled(server);
    hti_server_tick_at(server, at_ms);
    return atomic_load(&server->tick_at_ms);
}

uint64_t hti_server_round(struct hti_server *server, struct hti_loop *loop)
{
    uint64_t next_ms = UINT64_MAX;

    if (loop->index == 0) {
        next_ms = cluster_tick(server, loop->now_ms);
    }
    /* What they wait for (no actor is left, nothing is unsent) comes about on
     * a loop, and they look for themselves. */
    if (atomic_load_explicit(&server->waiters, memory_order_relaxed) > 0) {
        pthread_mutex_lock(&server->lock);
        server->changes++;
        pthread_cond_broadcast(&server->changed);
        pthread_mutex_unlock(&server->lock);
    }
    return next_ms;
}

/* ---- what the runtime asks for ------------------------------------------ */

static uint64_t host_now_ns(void *arg)
{
    (void)arg;
    return hti_clock_ns();
}

static void host_random(void *arg, void *buf, size_t len)
{
    (void)arg;
    hti_host_random(buf, len);
}

static void host_wake(void *arg, unsigned sched)
{
    struct hti_server *server = arg;

    hti_loop_wake(&server->loops[sched]);
}

/* A descriptor that an actor watches. */
struct watch {
    struct hti_io io;
    ht_node *node;
    void *token;
};

static void watch_ready(struct hti_io *io, int events)
{
    struct watch *w = (struct watch *)io;

    hti_rt_fd_ready(w->node, w->token, events);
}

static ht_err host_watch(
    void *arg, unsigned sched, int fd, int events, void *token, void **watch)
{
    struct hti_server *server = arg;
    struct watch *w = *watch;
    ht_err err;

    if (events == 0) {
        if (w != NULL) {
            hti_io_fini(&w->io);
            free(w);
            *watch = NULL;
        }
        return HT_OK;
    }
    if (w == NULL) {
        w = calloc(1, sizeof(*w));
        if (w == NULL) {
            return HT_ENOMEM;
        }
        hti_io_init(&w->io, &server->loops[sched], fd, watch_ready);
        w->node = server->node;
    }
    w->token = token;
    err = hti_io_set(&w->io, events);
    if (err != HT_OK) {
        if (*watch == NULL) {
            free(w);
        }
        /* A descriptor that cannot be watched is the caller's mistake. */
        return err == HT_ENOMEM ? err : HT_EINVAL;
    }
    *watch = w;
    return HT_OK;
}

const struct hti_host_ops hti_server_host_ops = {
    .now_ns = host_now_ns,
    .random = host_random,
    .wake = host_wake,
    .watch = host_watch,
};

/* ---- what the cluster asks for ------------------------------------------ */

void hti_server_tick_at(void *arg, uint64_t at_ms)
{
    struct hti_server *server = arg;
    uint64_t before = atomic_load(&server->tick_at_ms);

    while (at_ms < before) {
        if (atomic_compare_exchange_weak(&server->tick_at_ms, &before, at_ms)) {
            /* Its own loop looks at the time before it sleeps. */
            if (!hti_loop_is_current(&server->loops[0])) {
                hti_loop_wake(&server->loops[0]);
            }
            return;
        }
    }
}

const struct hti_cluster_io hti_server_cluster_io = {
    .dial = hti_dialer_start,
    .tick_at = hti_server_tick_at,
};
