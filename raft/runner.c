/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/runner.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* How long a log without room waits before it tries again. */
#define ROOM_MS  500
#define SPARE_MS 5

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct hti_jobs jobs;
    bool stop;
    pthread_t thread;
    bool started;
};

struct hti_runner {
    struct hti_store *store;
    struct queue log;
    struct queue files;
    pthread_mutex_t done_lock;
    struct hti_jobs done;
    int fd;
    _Atomic uint64_t busy_us;
};

static void poke(struct hti_runner *runner)
{
    uint64_t one = 1;

    (void)!write(runner->fd, &one, sizeof(one));
}

static void give(struct hti_runner *runner, struct hti_jobs *done)
{
    if (STAILQ_EMPTY(done)) {
        return;
    }
    (void)pthread_mutex_lock(&runner->done_lock);
    STAILQ_CONCAT(&runner->done, done);
    (void)pthread_mutex_unlock(&runner->done_lock);
    poke(runner);
}

static uint64_t now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Until there is a job, or to the end; with ms not 0 no longer than that.
 * False: stopped and nothing is left. */
static bool wait_for(struct queue *queue, struct hti_jobs *jobs, unsigned ms)
{
    struct timespec until;
    bool more;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&queue->lock);
    while (STAILQ_EMPTY(&queue->jobs) && !queue->stop) {
        if (ms == 0) {
            (void)pthread_cond_wait(&queue->more, &queue->lock);
        } else if (pthread_cond_timedwait(&queue->more, &queue->lock, &until) !=
                   0) {
            break;
        }
    }
    STAILQ_CONCAT(jobs, &queue->jobs);
    more = !queue->stop || !STAILQ_EMPTY(jobs);
    (void)pthread_mutex_unlock(&queue->lock);
    return more;
}

static bool stopped(struct queue *queue)
{
    bool stop;

    (void)pthread_mutex_lock(&queue->lock);
    stop = queue->stop;
    (void)pthread_mutex_unlock(&queue->lock);
    return stop;
}

static void *run_log(void *arg)
{
    struct hti_runner *runner = arg;
    struct hti_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
    struct hti_jobs done = STAILQ_HEAD_INITIALIZER(done);
    unsigned wait_ms = 0;
    bool full = false;

    while (wait_for(&runner->log, &jobs, wait_ms)) {
        uint64_t began = now_us();

        hti_store_run_log(runner->store, &jobs, &done);
        atomic_fetch_add(&runner->busy_us, now_us() - began);
        give(runner, &done);
        /* A full disk ends no job that would tell. */
        if (full != atomic_load(&runner->store->full)) {
            full = !full;
            poke(runner);
        }
        wait_ms = 0;
        if (!STAILQ_EMPTY(&jobs)) {
            wait_ms = atomic_load(&runner->store->full) ? ROOM_MS : SPARE_MS;
            if (stopped(&runner->log)) {
                break; /* it was never acknowledged */
            }
        }
    }
    hti_jobs_free(&jobs);
    return NULL;
}

static void *run_files(void *arg)
{
    struct hti_runner *runner = arg;
    struct hti_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
    struct hti_jobs done = STAILQ_HEAD_INITIALIZER(done);

    while (wait_for(&runner->files, &jobs, 0)) {
        struct hti_job *job;

        while ((job = STAILQ_FIRST(&jobs)) != NULL) {
            STAILQ_REMOVE_HEAD(&jobs, link);
            hti_store_run_file(runner->store, job);
            STAILQ_INSERT_TAIL(&done, job, link);
            give(runner, &done);
        }
    }
    return NULL;
}

static bool queue_init(struct queue *queue)
{
    pthread_condattr_t attr;

    STAILQ_INIT(&queue->jobs);
    if (pthread_mutex_init(&queue->lock, NULL) != 0 ||
        pthread_condattr_init(&attr) != 0) {
        return false;
    }
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->more, &attr);
    (void)pthread_condattr_destroy(&attr);
    return true;
}

static void queue_end(struct queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->stop = true;
    (void)pthread_cond_signal(&queue->more);
    (void)pthread_mutex_unlock(&queue->lock);
    if (queue->started) {
        (void)pthread_join(queue->thread, NULL);
    }
    hti_jobs_free(&queue->jobs);
    (void)pthread_cond_destroy(&queue->more);
    (void)pthread_mutex_destroy(&queue->lock);
}

ht_err hti_runner_new(struct hti_store *store, struct hti_runner **ret_runner)
{
    struct hti_runner *runner = calloc(1, sizeof(*runner));

    if (runner == NULL) {
        return HT_ENOMEM;
    }
    runner->store = store;
    STAILQ_INIT(&runner->done);
    runner->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&runner->done_lock, NULL);
    if (!queue_init(&runner->log) || !queue_init(&runner->files) ||
        runner->fd < 0) {
        free(runner);
        return HT_ENOMEM;
    }
    runner->log.started =
        pthread_create(&runner->log.thread, NULL, run_log, runner) == 0;
    runner->files.started =
        pthread_create(&runner->files.thread, NULL, run_files, runner) == 0;
    if (!runner->log.started || !runner->files.started) {
        hti_runner_free(runner);
        return HT_ENOMEM;
    }
    *ret_runner = runner;
    return HT_OK;
}

void hti_runner_free(struct hti_runner *runner)
{
    if (runner == NULL) {
        return;
    }
    queue_end(&runner->files);
    queue_end(&runner->log);
    hti_jobs_free(&runner->done);
    (void)pthread_mutex_destroy(&runner->done_lock);
    (void)close(runner->fd);
    free(runner);
}

void hti_runner_submit(struct hti_runner *runner, struct hti_job *job)
{
    struct queue *queue = hti_job_is_log(job) ? &runner->log : &runner->files;

    (void)pthread_mutex_lock(&queue->lock);
    STAILQ_INSERT_TAIL(&queue->jobs, job, link);
    (void)pthread_cond_signal(&queue->more);
    (void)pthread_mutex_unlock(&queue->lock);
}

int hti_runner_fd(const struct hti_runner *runner)
{
    return runner->fd;
}

void hti_runner_take(struct hti_runner *runner, struct hti_jobs *done)
{
    uint64_t count;

    (void)!read(runner->fd, &count, sizeof(count));
    (void)pthread_mutex_lock(&runner->done_lock);
    STAILQ_CONCAT(done, &runner->done);
    (void)pthread_mutex_unlock(&runner->done_lock);
}

uint64_t hti_runner_busy_us(const struct hti_runner *runner)
{
    return atomic_load(&runner->busy_us);
}
