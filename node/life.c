/* SPDX-License-Identifier: Apache-2.0 */
/* life.c - the public functions of a node that runs. */
#include "node/life.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "node/listener.h"

/* How long a waiter trusts that it would have been told. */
#define LOOK_AGAIN_MS 50

/* ---- waiting ------------------------------------------------------------ */

void hti_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

bool hti_cond_wait_until(pthread_cond_t *cond,
                         pthread_mutex_t *lock,
                         uint64_t at_ms)
{
    struct timespec ts = {
        .tv_sec = (time_t)(at_ms / 1000u),
        .tv_nsec = (long)(at_ms % 1000u) * 1000000,
    };

    return pthread_cond_timedwait(cond, lock, &ts) != ETIMEDOUT;
}

static bool wait_single(struct hti_server *server,
                        bool (*is)(struct hti_server *server),
                        uint64_t until_ms)
{
    while (!is(server)) {
        uint64_t now = hti_server_now_ms();

        if (now >= until_ms) {
            return false;
        }
        if (until_ms - now > LOOK_AGAIN_MS) {
            now = until_ms - LOOK_AGAIN_MS;
        }
        hti_loop_poll(&server->loops[0], (until_ms - now) * 1000000u);
    }
    return true;
}

bool hti_server_wait(struct hti_server *server,
                     bool (*is)(struct hti_server *server),
                     uint64_t until_ms)
{
    bool holds = false;

    if (server->settings->c.single_threaded) {
        return wait_single(server, is, until_ms);
    }
    atomic_fetch_add(&server->waiters, 1);
    for (;;) {
        uint64_t seen, now;

        pthread_mutex_lock(&server->lock);
        seen = server->changes;
        pthread_mutex_unlock(&server->lock);
        holds = is(server);
        now = hti_server_now_ms();
        if (holds || now >= until_ms) {
            break;
        }
        pthread_mutex_lock(&server->lock);
        if (server->changes == seen) {
            uint64_t at_ms = now + LOOK_AGAIN_MS;

            (void)hti_cond_wait_until(&server->changed, &server->lock,
                                      at_ms < until_ms ? at_ms : until_ms);
        }
        pthread_mutex_unlock(&server->lock);
    }
    atomic_fetch_sub(&server->waiters, 1);
    return holds;
}

/* ---- running ------------------------------------------------------------ */

static bool is_stopped(struct hti_server *server)
{
    return atomic_load(&server->stopped);
}

static void wait_stop_fd(struct hti_server *server)
{
    struct pollfd fd = {.fd = server->stop_fd, .events = POLLIN};
    uint64_t count;

    while (!is_stopped(server)) {
        (void)poll(&fd, 1, -1);
    }
    /* Nothing is in it if somebody else got here first. */
    if (read(server->stop_fd, &count, sizeof(count)) < 0 && errno != EAGAIN) {
        return;
    }
}

ht_err ht_node_run(ht_node *node)
{
    struct hti_server *server = hti_server_of(node);

    if (ht_current() != NULL) {
        return HT_EINVAL;
    }
    if (server->settings->c.single_threaded) {
        (void)hti_server_wait(server, is_stopped, UINT64_MAX);
    }
    wait_stop_fd(server);
    atomic_store(&server->stopped, false);
    return HT_OK;
}

/* Only atomics and write(): also from a signal handler. */
void ht_node_stop(ht_node *node)
{
    struct hti_server *server = hti_server_of(node);
    uint64_t one = 1;
    int saved = errno;

    atomic_store(&server->stopped, true);
    if (write(server->stop_fd, &one, sizeof(one)) < 0) {
        errno = saved; /* full: readable, which is what counts */
    }
    if (server->settings->c.single_threaded) {
        hti_loop_wake(&server->loops[0]);
    }
    errno = saved;
}

/* ---- draining ----------------------------------------------------------- */

void hti_server_stop_listening(struct hti_server *server)
{
    if (atomic_exchange(&server->deaf, true)) {
        return;
    }
    for (size_t i = 0; i < server->listeners_count; i++) {
        hti_listener_stop(&server->listeners[i]);
    }
}

/* Asked twice: a mailbox may fill an outbox between two looks, and the other
 * way round. */
static bool is_drained(struct hti_server *server)
{
    return hti_rt_is_idle(server->node) && atomic_load(&server->unsent) == 0 &&
           hti_rt_is_idle(server->node);
}

ht_err ht_node_drain(ht_node *node, uint32_t timeout_ms)
{
    struct hti_server *server = hti_server_of(node);
    uint64_t until_ms = UINT64_MAX;

    if (ht_current() != NULL) {
        return HT_EINVAL;
    }
    if (timeout_ms == 0) {
        timeout_ms = server->settings->c.drain_ms;
    }
    if (timeout_ms != HT_INFINITE) {
        until_ms = hti_server_now_ms() + timeout_ms;
    }
    hti_server_stop_listening(server);
    hti_rt_refuse(node);
    return hti_server_wait(server, is_drained, until_ms) ? HT_OK : HT_ETIMEDOUT;
}

/* ---- single-threaded ---------------------------------------------------- */

int ht_node_fd(ht_node *node)
{
    return hti_server_of(node)->loops[0].outer_fd;
}

ht_err ht_node_poll(ht_node *node, uint32_t timeout_ms)
{
    struct hti_server *server = hti_server_of(node);

    if (!server->settings->c.single_threaded || ht_current() != NULL) {
        return HT_EINVAL;
    }
    hti_loop_poll(&server->loops[0], timeout_ms == HT_INFINITE
                                         ? UINT64_MAX
                                         : (uint64_t)timeout_ms * 1000000u);
    return HT_OK;
}

/* ---- looking ------------------------------------------------------------ */

void ht_node_strangers(ht_node *node, ht_strangers *ret_strangers)
{
    struct hti_pending_stats stats;

    hti_pending_stats(&hti_server_of(node)->pending, &stats);
    *ret_strangers = (ht_strangers){
        .waiting = stats.waiting,
        .evicted = stats.evicted,
        .barred = stats.barred,
    };
}

const char *ht_node_name(const ht_node *node)
{
    return hti_rt_name(node);
}

int ht_node_port(const ht_node *node)
{
    return hti_server_of(node)->port;
}

uint64_t ht_node_incarnation(const ht_node *node)
{
    return hti_server_of(node)->incarnation;
}
