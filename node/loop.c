/* SPDX-License-Identifier: Apache-2.0 */
#include "node/loop.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "node/server.h"

#define STATE_RUNNING  0u
#define STATE_NOTIFIED 1u
#define STATE_SLEEPING 2u

/* Messages a turn may handle before descriptors are looked at again. */
#define TURN_BUDGET 4096
/* Looks at the hot descriptors between two at all of them and a sched_yield(),
 * while polling. */
#define LOOKS_INTERVAL 16
/* Tasks a round takes from other threads. */
#define TASKS_MAX 1024

static _Thread_local struct hti_loop *current_loop;

uint64_t hti_clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool hti_loop_is_current(const struct hti_loop *loop)
{
    return current_loop == loop;
}

/* ---- descriptors -------------------------------------------------------- */

static void io_event(evutil_socket_t fd, short what, void *arg)
{
    struct hti_io *io = arg;
    int events = 0;

    (void)fd;
    if (what & EV_READ) {
        events |= HT_READ;
    }
    if (what & EV_WRITE) {
        events |= HT_WRITE;
    }
    if (io->loop->slept) {
        io->loop->slept = false;
        io->loop->now_ms = hti_clock_ns() / 1000000u;
    }
    io->loop->activity++;
    io->ready(io, events);
}

void hti_io_init(struct hti_io *io,
                 struct hti_loop *loop,
                 int fd,
                 void (*ready)(struct hti_io *io, int events))
{
    memset(io, 0, sizeof(*io));
    io->loop = loop;
    io->fd = fd;
    io->ready = ready;
}

/* Keep the second registration, the one ht_node_fd() shows, as the first. */
static ht_err io_mirror(struct hti_io *io, int events)
{
    struct epoll_event ev = {.data.fd = io->fd};
    int op = EPOLL_CTL_MOD;

    if (io->loop->outer_fd < 0) {
        return HT_OK;
    }
    if (events == 0) {
        op = EPOLL_CTL_DEL;
    } else if (io->events == 0) {
        op = EPOLL_CTL_ADD;
    }
    if (events & HT_READ) {
        ev.events |= EPOLLIN;
    }
    if (events & HT_WRITE) {
        ev.events |= EPOLLOUT;
    }
    if (epoll_ctl(io->loop->outer_fd, op, io->fd, &ev) < 0 && events != 0) {
        return errno == ENOMEM ? HT_ENOMEM : HT_EIO;
    }
    return HT_OK;
}

static ht_err io_apply(struct hti_io *io, int events, short extra)
{
    short what = (short)(EV_PERSIST | extra);

    if (io->events != 0) {
        event_del(&io->event);
    }
    if (events == 0) {
        return HT_OK;
    }
    if (events & HT_READ) {
        what |= EV_READ;
    }
    if (events & HT_WRITE) {
        what |= EV_WRITE;
    }
    if (event_assign(&io->event, io->loop->base, io->fd, what, io_event, io) <
            0 ||
        event_add(&io->event, NULL) < 0) {
        return errno == ENOMEM ? HT_ENOMEM : HT_EIO;
    }
    return HT_OK;
}

static ht_err io_set(struct hti_io *io, int events, short extra)
{
    ht_err err;

    if (io->events == events) {
        return HT_OK;
    }
    err = io_apply(io, events, extra);
    if (err == HT_OK) {
        err = io_mirror(io, events);
    }
    if (err != HT_OK) {
        if (io->event.ev_base != NULL) {
            event_del(&io->event);
        }
        (void)io_mirror(io, 0);
        io->events = 0;
        return err;
    }
    io->events = events;
    return HT_OK;
}

ht_err hti_io_set(struct hti_io *io, int events)
{
    return io_set(io, events, 0);
}

void hti_io_heat(struct hti_io *io)
{
    struct hti_io **hot = io->loop->hot;
    unsigned i = 0;

    io->loop->activity++;
    while (i < HTI_LOOP_HOT - 1 && hot[i] != io) {
        i++;
    }
    for (; i > 0; i--) {
        hot[i] = hot[i - 1];
    }
    hot[0] = io;
}

static void io_cool(const struct hti_io *io)
{
    for (unsigned i = 0; i < HTI_LOOP_HOT; i++) {
        if (io->loop->hot[i] == io) {
            io->loop->hot[i] = NULL;
        }
    }
}

void hti_io_fini(struct hti_io *io)
{
    if (io->loop == NULL) {
        return;
    }
    io_cool(io);
    (void)io_set(io, 0, 0);
    io->loop = NULL;
}

/* ---- waking ------------------------------------------------------------- */

void hti_loop_wake(struct hti_loop *loop)
{
    uint64_t one = 1;
    unsigned before;

    /* acq_rel: release publishes what the waker queued to the round that takes
     * the word back; acquire is for the SLEEPING that we answer. */
    before = atomic_exchange_explicit(&loop->state, STATE_NOTIFIED,
                                      memory_order_acq_rel);
    if (before == STATE_SLEEPING) {
        int saved = errno;

        /* Full is as good as written: the descriptor is readable. */
        if (write(loop->wake_fd, &one, sizeof(one)) < 0) {
            assert(errno == EAGAIN);
        }
        errno = saved;
    }
}

void hti_loop_post(struct hti_loop *loop, struct hti_task *task)
{
    hti_mpsc_push(&loop->inbox, &task->node);
    hti_loop_wake(loop);
}

/* Neither this nor the timer is something that happened: what they tell of, the
 * round finds by itself.
 *
 * The eventfd is edge-triggered where a thread waits on it, which saves this
 * read; ht_node_fd() must turn unreadable again, so there it is read. */
static void wake_ready(struct hti_io *io, int events)
{
    uint64_t count;

    (void)events;
    io->loop->activity--;
    if (io->loop->outer_fd >= 0 && read(io->fd, &count, sizeof(count)) < 0) {
        assert(errno == EAGAIN || errno == EINTR);
    }
}

static void timer_ready(struct hti_io *io, int events)
{
    uint64_t count;

    (void)events;
    io->loop->activity--;
    if (read(io->fd, &count, sizeof(count)) > 0) {
        io->loop->armed_ns = UINT64_MAX;
    }
}

/* An earlier setting is left: it costs one idle round, and setting costs a
 * system call each time.  Deadlines of calls, for one, only ever move back. */
static void timer_arm(struct hti_loop *loop, uint64_t at_ns)
{
    struct itimerspec when = {0};

    if (at_ns >= loop->armed_ns) {
        return;
    }
    when.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
    when.it_value.tv_nsec = (long)(at_ns % 1000000000u);
    if (at_ns == 0) {
        when.it_value.tv_nsec = 1;
    }
    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    loop->armed_ns = at_ns;
}

/* ---- a round ------------------------------------------------------------ */

void hti_loop_defer(struct hti_loop *loop, struct hti_work *work)
{
    assert(hti_loop_is_current(loop));

    if (!work->queued) {
        work->queued = true;
        TAILQ_INSERT_TAIL(&loop->works, work, entry);
        loop->works_count++;
    }
}

void hti_loop_undefer(struct hti_loop *loop, struct hti_work *work)
{
    if (work->queued) {
        work->queued = false;
        TAILQ_REMOVE(&loop->works, work, entry);
        loop->works_count--;
    }
}

static void run_tasks(struct hti_loop *loop)
{
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        struct hti_mpsc_node *node = hti_mpsc_pop(&loop->inbox);
        struct hti_task *task;

        if (node == NULL) {
            break;
        }
        loop->activity++;
        task = (struct hti_task *)(void *)((char *)node -
                                           offsetof(struct hti_task, node));
        task->run(task);
    }
}

/* As many as there are now: what this stage itself defers waits for the next
 * round, so that one connection with much to write lets the others in. */
static void run_works(struct hti_loop *loop)
{
    for (unsigned n = loop->works_count; n > 0; n--) {
        struct hti_work *work = TAILQ_FIRST(&loop->works);

        if (work == NULL) {
            break; /* one of them ended another */
        }
        hti_loop_undefer(loop, work);
        loop->activity++;
        work->run(work);
    }
}

static uint64_t ms_to_ns(uint64_t ms)
{
    return ms >= UINT64_MAX / 1000000u ? UINT64_MAX : ms * 1000000u;
}

/* Once over the descriptors that are ready, without waiting.  Without
 * EVLOOP_ONCE libevent goes over them until none is, which one that stays
 * readable prevents for ever. */
static void poll_descriptors(struct hti_loop *loop)
{
    event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* Stages 1 to 5.  Returns whether there is work left, so that the descriptors
 * must be looked at without waiting; *ret_deadline_ns is when there is some at
 * the latest. */
static bool loop_round(struct hti_loop *loop, uint64_t *ret_deadline_ns)
{
    struct hti_turn turn;
    uint64_t next_ms;

    atomic_exchange_explicit(&loop->state, STATE_RUNNING, memory_order_acq_rel);
    loop->now_ms = hti_clock_ns() / 1000000u;

    (void)hti_sched_turn(loop->node, loop->index, TURN_BUDGET);
    run_tasks(loop);
    run_works(loop);
    loop->activity += hti_timers_run(&loop->timers, loop->now_ms);
    next_ms = hti_server_round(loop->server, loop);

    if (hti_timers_next(&loop->timers) < next_ms) {
        next_ms = hti_timers_next(&loop->timers);
    }
    /* What came after the turn may have made actors runnable again. */
    turn = hti_sched_peek(loop->node, loop->index);
    *ret_deadline_ns = ms_to_ns(next_ms);
    if (turn.deadline_ns < *ret_deadline_ns) {
        *ret_deadline_ns = turn.deadline_ns;
    }
    return turn.more || loop->works_count > 0;
}

/* All six stages, for whoever cannot leave the last one to the sleep. */
static bool loop_round_and_poll(struct hti_loop *loop,
                                uint64_t *ret_deadline_ns)
{
    bool more;

    loop->activity = 0;
    more = loop_round(loop, ret_deadline_ns);
    poll_descriptors(loop);
    return more || loop->activity > 0;
}

/* True: nothing to do, and the word says that whoever has something must write
 * the eventfd. */
static bool try_sleep(struct hti_loop *loop)
{
    unsigned expected = STATE_RUNNING;

    /* A push that is half done is not empty, and its poster's wake may have
     * been answered already. */
    if (!hti_mpsc_is_empty(&loop->inbox)) {
        return false;
    }
    return atomic_compare_exchange_strong_explicit(
        &loop->state, &expected, STATE_SLEEPING, memory_order_acq_rel,
        memory_order_relaxed);
}

static void loop_sleep(struct hti_loop *loop, uint64_t deadline_ns)
{
    if (!try_sleep(loop)) {
        /* Whoever wakes us again and again must not keep us from reading. */
        poll_descriptors(loop);
        return;
    }
    timer_arm(loop, deadline_ns);
    loop->slept = true;
    event_base_loop(loop->base, EVLOOP_ONCE);
    loop->slept = false;
}

static void try_hot(struct hti_loop *loop)
{
    for (unsigned i = 0; i < HTI_LOOP_HOT; i++) {
        if (loop->hot[i] != NULL) {
            loop->hot[i]->ready(loop->hot[i], HT_READ);
        }
    }
}

/* Not all each time: asking epoll costs more than a read that finds nothing.
 * Nor yielding: where threads outnumber cores, whoever we wait for may be
 * waiting for this one. */
static void loop_look(struct hti_loop *loop)
{
    if (++loop->looks % LOOKS_INTERVAL == 0) {
        sched_yield();
    } else if (loop->hot[0] != NULL) {
        try_hot(loop);
        return;
    }
    poll_descriptors(loop);
}

/* Waking a sleeping thread costs more than a message: wait a little for the
 * next one.  True if something came. */
static bool loop_spin(struct hti_loop *loop, uint64_t deadline_ns)
{
    uint64_t end;

    if (loop->spin_ns == 0) {
        return false;
    }
    end = hti_clock_ns() + loop->spin_ns;
    if (deadline_ns < end) {
        end = deadline_ns;
    }
    loop->activity = 0;
    do {
        loop_look(loop);
        if (loop->activity > 0 ||
            atomic_load_explicit(&loop->state, memory_order_relaxed) ==
                STATE_NOTIFIED) {
            return true;
        }
    } while (hti_clock_ns() < end);
    return false;
}

static void *loop_main(void *arg)
{
    struct hti_loop *loop = arg;
    char name[16];

    snprintf(name, sizeof(name), "ht-loop-%u", loop->index % 100);
    pthread_setname_np(pthread_self(), name);
    current_loop = loop;
    hti_sched_enter(loop->node, loop->index);
    while (!atomic_load_explicit(&loop->exit, memory_order_acquire)) {
        uint64_t deadline_ns;

        /* One look at the descriptors a round: a message that is answered
         * costs one epoll_wait(), not three. */
        if (loop_round(loop, &deadline_ns)) {
            poll_descriptors(loop);
        } else if (!loop_spin(loop, deadline_ns) &&
                   !hti_sched_steal(loop->node, loop->index)) {
            loop_sleep(loop, deadline_ns);
        }
    }
    hti_sched_leave(loop->node);
    current_loop = NULL;
    return NULL;
}

void hti_loop_poll(struct hti_loop *loop, uint64_t wait_ns)
{
    uint64_t deadline_ns = 0;
    uint64_t end_ns;
    bool more;

    current_loop = loop;
    hti_sched_enter(loop->node, loop->index);
    more = loop_round_and_poll(loop, &deadline_ns);
    if (!more && wait_ns > 0) {
        end_ns = hti_clock_ns();
        end_ns = wait_ns > UINT64_MAX - end_ns ? UINT64_MAX : end_ns + wait_ns;
        loop_sleep(loop, deadline_ns < end_ns ? deadline_ns : end_ns);
        more = loop_round_and_poll(loop, &deadline_ns);
    }
    /* The runtime goes on taking this thread for its scheduler, so that it need
     * not wait for itself between polls; the loop does not: what is posted now
     * must show in ht_node_fd(). */
    current_loop = NULL;

    /* From here on ht_node_fd() must tell when to poll again. */
    if (more || !try_sleep(loop)) {
        atomic_store_explicit(&loop->state, STATE_SLEEPING,
                              memory_order_release);
        hti_loop_wake(loop);
        return;
    }
    timer_arm(loop, deadline_ns);
}

/* ---- life --------------------------------------------------------------- */

#define DESCRIPTORS_OF_A_BASE 6

/* libevent ends the process if it finds no descriptors for the signals that we
 * do not use: so look whether there are some, with a few to spare. */
static bool has_descriptors(void)
{
    int fds[DESCRIPTORS_OF_A_BASE];
    int count = 0, saved;

    while (count < DESCRIPTORS_OF_A_BASE &&
           (fds[count] = eventfd(0, EFD_CLOEXEC)) >= 0) {
        count++;
    }
    saved = errno;
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    errno = saved;
    return count == DESCRIPTORS_OF_A_BASE;
}

static struct event_base *base_new(void)
{
    struct event_config *config;
    struct event_base *base = NULL;

    if (!has_descriptors()) {
        return NULL;
    }
    config = event_config_new();
    if (config == NULL) {
        return NULL;
    }
    /* One thread touches a base, so it needs no lock; it has no timers of
     * libevent's, so it need not look at the clock. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

ht_err hti_loop_init(struct hti_loop *loop,
                     struct hti_server *server,
                     unsigned index,
                     bool single_threaded,
                     uint64_t spin_ns)
{
    ht_err err;

    memset(loop, 0, sizeof(*loop));
    loop->index = index;
    loop->server = server;
    loop->spin_ns = spin_ns;
    loop->armed_ns = UINT64_MAX;
    loop->wake_fd = loop->timer_fd = loop->outer_fd = -1;
    TAILQ_INIT(&loop->works);
    hti_mpsc_init(&loop->inbox);
    atomic_init(&loop->state, single_threaded ? STATE_SLEEPING : STATE_RUNNING);

    loop->base = base_new();
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (single_threaded) {
        loop->outer_fd = epoll_create1(EPOLL_CLOEXEC);
    }
    loop->read_buf = malloc(HTI_LOOP_READ_BYTES);
    loop->batch = malloc(HTI_LOOP_BATCH_BYTES);
    loop->cipher.buf = malloc(HTI_LOOP_CIPHER_BYTES);
    loop->cipher.cap = HTI_LOOP_CIPHER_BYTES;
    if (loop->base == NULL || loop->read_buf == NULL || loop->batch == NULL ||
        loop->cipher.buf == NULL) {
        return HT_ENOMEM;
    }
    if (loop->wake_fd < 0 || loop->timer_fd < 0 ||
        (single_threaded && loop->outer_fd < 0)) {
        return HT_EIO;
    }
    hti_io_init(&loop->wake_io, loop, loop->wake_fd, wake_ready);
    hti_io_init(&loop->timer_io, loop, loop->timer_fd, timer_ready);
    err = io_set(&loop->wake_io, HT_READ, single_threaded ? 0 : EV_ET);
    if (err == HT_OK) {
        err = hti_io_set(&loop->timer_io, HT_READ);
    }
    return err;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void hti_loop_fini(struct hti_loop *loop)
{
    if (loop->server == NULL) {
        return;
    }
    assert(!loop->has_thread);
    hti_io_fini(&loop->wake_io);
    hti_io_fini(&loop->timer_io);
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    close_fd(loop->wake_fd);
    close_fd(loop->timer_fd);
    close_fd(loop->outer_fd);
    hti_timers_fini(&loop->timers);
    free(loop->read_buf);
    free(loop->batch);
    free(loop->cipher.buf);
    memset(loop, 0, sizeof(*loop));
}

ht_err hti_loop_start(struct hti_loop *loop, ht_node *node)
{
    sigset_t all, before;
    int rc;

    loop->node = node;
    if (loop->outer_fd >= 0) {
        return HT_OK;
    }
    /* The program's signals are the program's threads' business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&loop->thread, NULL, loop_main, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        return HT_ENOMEM;
    }
    loop->has_thread = true;
    return HT_OK;
}

void hti_loop_join(struct hti_loop *loop)
{
    if (!loop->has_thread) {
        return;
    }
    atomic_store_explicit(&loop->exit, true, memory_order_release);
    hti_loop_wake(loop);
    pthread_join(loop->thread, NULL);
    loop->has_thread = false;
}
