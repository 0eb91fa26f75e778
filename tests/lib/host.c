/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - see host.h. */
#include "tests/lib/host.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "tests/lib/check.h"

#define TURN_BUDGET 256

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void fill_random(uint64_t *state, void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)buf)[i] = (uint8_t)next_random(state);
    }
}

/* ---- one scheduler
 * ----------------------------------------------------------- */

static uint64_t host_now(void *arg)
{
    return ((struct host *)arg)->now_ns;
}

static void host_random(void *arg, void *buf, size_t len)
{
    fill_random(&((struct host *)arg)->random, buf, len);
}

static void host_wake(void *arg, unsigned sched)
{
    (void)sched;
    atomic_fetch_add(&((struct host *)arg)->wakes, 1);
}

static ht_err host_watch(
    void *arg, unsigned sched, int fd, int events, void *token, void **watch)
{
    struct host *host = arg;
    int free_at = -1;

    (void)sched;
    (void)watch;
    if (events != 0 && host->watch_err != HT_OK) {
        return host->watch_err;
    }
    for (int i = 0; i < HOST_FDS_MAX; i++) {
        if (host->watched[i].events != 0 && host->watched[i].fd == fd) {
            host->watched[i].events = events;
            host->watched[i].token = token;
            return HT_OK;
        }
        if (host->watched[i].events == 0) {
            free_at = i;
        }
    }
    if (free_at < 0) {
        return HT_ENOMEM;
    }
    host->watched[free_at].fd = fd;
    host->watched[free_at].events = events;
    host->watched[free_at].token = token;
    return HT_OK;
}

static const struct hti_host_ops host_ops = {
    .now_ns = host_now,
    .random = host_random,
    .wake = host_wake,
    .watch = host_watch,
    .pool_inline = true,
};

struct hti_rt_config host_config(struct host *host, const char *name)
{
    struct hti_rt_config config = {
        .name = name,
        .scheds = 1,
        .single_threaded = true,
        .local_handle = HOST_HANDLE,
        .host = &host_ops,
        .host_arg = host,
    };

    hti_log_init(&config.log, NULL, NULL, HT_LOG_ERROR);
    return config;
}

ht_err host_start(struct host *host, const struct hti_rt_config *config)
{
    ht_err err = hti_rt_new(config, &host->node);

    if (err == HT_OK) {
        hti_sched_enter(host->node, 0);
    }
    return err;
}

ht_node *host_new(struct host *host)
{
    struct hti_rt_config config;

    *host = (struct host){.now_ns = 1000000000, .random = 1};
    config = host_config(host, "test@localhost");
    for (size_t i = 0; i < sizeof(config.instance); i++) {
        config.instance[i] = (uint8_t)(i + 1);
    }
    CHECK_OK(host_start(host, &config));
    return host->node;
}

void host_run(struct host *host)
{
    while (hti_sched_turn(host->node, 0, TURN_BUDGET).more) {
    }
}

void host_advance(struct host *host, uint64_t ms)
{
    uint64_t end = host->now_ns + ms * 1000000;

    for (;;) {
        struct hti_turn turn = hti_sched_turn(host->node, 0, TURN_BUDGET);

        if (turn.more) {
            continue;
        }
        if (turn.deadline_ns > end) {
            break;
        }
        if (turn.deadline_ns > host->now_ns) {
            host->now_ns = turn.deadline_ns;
        }
    }
    host->now_ns = end;
    host_run(host);
}

void host_free(struct host *host)
{
    if (host->node == NULL) {
        return;
    }
    hti_rt_stop(host->node);
    host_run(host);
    CHECK(hti_rt_is_quiet(host->node));
    hti_sched_leave(host->node);
    hti_rt_free(host->node);
    host->node = NULL;
}

void host_ready(struct host *host, int fd, int events)
{
    for (int i = 0; i < HOST_FDS_MAX; i++) {
        if ((host->watched[i].events & events) != 0 &&
            host->watched[i].fd == fd) {
            hti_rt_fd_ready(host->node, host->watched[i].token,
                            host->watched[i].events & events);
        }
    }
    host_run(host);
}

int host_watched(const struct host *host, int fd)
{
    for (int i = 0; i < HOST_FDS_MAX; i++) {
        if (host->watched[i].events != 0 && host->watched[i].fd == fd) {
            return host->watched[i].events;
        }
    }
    return 0;
}

/* ---- real threads
 * ------------------------------------------------------------- */

static uint64_t threads_now(void *arg)
{
    struct timespec t;

    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void threads_random(void *arg, void *buf, size_t len)
{
    uint64_t state = threads_now(arg);

    fill_random(&state, buf, len);
}

static void threads_wake(void *arg, unsigned sched)
{
    struct host_threads *host = arg;
    struct host_thread *t = &host->threads[sched];

    atomic_fetch_add(&host->wakes, 1);
    pthread_mutex_lock(&t->lock);
    t->woken = true;
    pthread_cond_signal(&t->cond);
    pthread_mutex_unlock(&t->lock);
}

/* On the thread of that scheduler. */
static ht_err threads_watch(
    void *arg, unsigned sched, int fd, int events, void *token, void **watch)
{
    struct host_thread *t = &((struct host_threads *)arg)->threads[sched];
    int free_at = -1;

    (void)watch;
    for (int i = 0; i < HOST_FDS_MAX; i++) {
        if (t->watched[i].events != 0 && t->watched[i].fd == fd) {
            t->watched[i].events = events;
            t->watched[i].token = token;
            return HT_OK;
        }
        if (t->watched[i].events == 0) {
            free_at = i;
        }
    }
    if (free_at < 0) {
        return HT_ENOMEM;
    }
    t->watched[free_at].fd = fd;
    t->watched[free_at].events = events;
    t->watched[free_at].token = token;
    return HT_OK;
}

static const struct hti_host_ops threads_ops = {
    .now_ns = threads_now,
    .random = threads_random,
    .wake = threads_wake,
    .watch = threads_watch,
};

/* Returns whether any descriptor is watched. */
static bool poll_watched(struct host_thread *t)
{
    bool any = false;

    for (int i = 0; i < HOST_FDS_MAX; i++) {
        int events = t->watched[i].events;
        struct pollfd p = {.fd = t->watched[i].fd,
                           .events =
                               (short)((events & HT_READ ? POLLIN : 0) |
                                       (events & HT_WRITE ? POLLOUT : 0))};

        if (events == 0) {
            continue;
        }
        any = true;
        if (poll(&p, 1, 0) > 0) {
            hti_rt_fd_ready(
                t->host->node, t->watched[i].token,
                (p.revents & (POLLIN | POLLHUP | POLLERR) ? HT_READ : 0) |
                    (p.revents & POLLOUT ? HT_WRITE : 0));
        }
    }
    return any;
}

static void wait_until(struct host_thread *t, uint64_t deadline_ns)
{
    struct timespec at = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                          .tv_nsec = (long)(deadline_ns % 1000000000)};

    pthread_mutex_lock(&t->lock);
    while (!t->woken) {
        if (deadline_ns == UINT64_MAX) {
            pthread_cond_wait(&t->cond, &t->lock);
        } else if (pthread_cond_timedwait(&t->cond, &t->lock, &at) ==
                   ETIMEDOUT) {
            break;
        }
    }
    t->woken = false;
    pthread_mutex_unlock(&t->lock);
}

static void *thread_main(void *arg)
{
    struct host_thread *t = arg;
    ht_node *node = t->host->node;

    hti_sched_enter(node, t->index);
    while (!atomic_load(&t->host->stop)) {
        struct hti_turn turn = hti_sched_turn(node, t->index, TURN_BUDGET);

        if (turn.more || hti_sched_steal(node, t->index)) {
            continue;
        }
        if (poll_watched(t)) {
            /* Descriptors cannot end the wait here: look often. */
            uint64_t soon = threads_now(NULL) + 200000;

            turn.deadline_ns =
                turn.deadline_ns < soon ? turn.deadline_ns : soon;
        }
        wait_until(t, turn.deadline_ns);
    }
    hti_sched_leave(node);
    return NULL;
}

ht_node *host_threads_new(struct host_threads *host, unsigned count)
{
    struct hti_rt_config config = {
        .name = "threads@localhost",
        .scheds = count,
        .local_handle = HOST_HANDLE,
        .host = &threads_ops,
        .host_arg = host,
    };
    pthread_condattr_t attr;

    memset(host, 0, sizeof(*host));
    hti_log_init(&config.log, NULL, NULL, HT_LOG_ERROR);
    host->count = count;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    for (unsigned i = 0; i < count; i++) {
        host->threads[i].host = host;
        host->threads[i].index = i;
        pthread_mutex_init(&host->threads[i].lock, NULL);
        pthread_cond_init(&host->threads[i].cond, &attr);
    }
    pthread_condattr_destroy(&attr);
    CHECK_OK(hti_rt_new(&config, &host->node));
    for (unsigned i = 0; i < count; i++) {
        CHECK(pthread_create(&host->threads[i].thread, NULL, thread_main,
                             &host->threads[i]) == 0);
    }
    return host->node;
}

void host_threads_free(struct host_threads *host)
{
    hti_rt_stop(host->node);
    while (!hti_rt_is_quiet(host->node)) {
        sched_yield();
    }
    atomic_store(&host->stop, true);
    for (unsigned i = 0; i < host->count; i++) {
        threads_wake(host, i);
        pthread_join(host->threads[i].thread, NULL);
    }
    hti_rt_free(host->node);
    for (unsigned i = 0; i < host->count; i++) {
        pthread_mutex_destroy(&host->threads[i].lock);
        pthread_cond_destroy(&host->threads[i].cond);
    }
}
