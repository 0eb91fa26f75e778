/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "actor/internal.h"

#define THREADS_MAX 1024

struct job {
    struct hti_done_item done; /* first: what comes back is the job */
    struct hti_pool *pool;
    uint64_t pid;
    void (*work)(void *arg);
    void (*on_done)(ht_actor *self, void *arg);
    void (*drop)(void *arg);
    void *arg;
    bool delivered;
    STAILQ_ENTRY(job) entry;
};
STAILQ_HEAD(job_queue, job);

struct hti_pool {
    ht_node *node;
    bool run_inline;
    unsigned threads_max;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under lock */
    struct job_queue queue;
    struct job_queue left; /* not begun when it was stopped */
    unsigned queued;
    unsigned idle; /* threads that wait */
    uint64_t refused;
    bool stopping;
    unsigned threads_count;
    pthread_t threads[];
};

ht_err hti_pool_new(ht_node *node,
                    unsigned threads,
                    bool run_inline,
                    struct hti_pool **ret_pool)
{
    struct hti_pool *pool;

    if (threads == 0) {
        threads = HTI_POOL_THREADS_DEFAULT;
    }
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    pool = calloc(1, sizeof *pool + threads * sizeof pool->threads[0]);
    if (pool == NULL) {
        return HT_ENOMEM;
    }
    pool->node = node;
    pool->run_inline = run_inline;
    pool->threads_max = threads;
    STAILQ_INIT(&pool->queue);
    STAILQ_INIT(&pool->left);
    if (pthread_mutex_init(&pool->lock, NULL) != 0) {
        free(pool);
        return HT_ENOMEM;
    }
    if (pthread_cond_init(&pool->wake, NULL) != 0) {
        pthread_mutex_destroy(&pool->lock);
        free(pool);
        return HT_ENOMEM;
    }
    *ret_pool = pool;
    return HT_OK;
}

/* ---- a job --------------------------------------------------------------- */

static void job_run(ht_actor *self, struct hti_item *item)
{
    struct job *job = (struct job *)(void *)item;

    /* Before, since the callback may end the actor in ways of its own. */
    job->delivered = true;
    job->on_done(self, job->arg);
}

static void job_release(struct hti_item *item)
{
    struct job *job = (struct job *)(void *)item;

    if (!job->delivered && job->drop != NULL) {
        job->drop(job->arg);
    }
    hti_free(job);
}

/* Work, then hand it to the actor, which owns it from then on. */
static void job_work(struct job *job)
{
    job->work(job->arg);
    hti_post(job->pool->node, job->pid, &job->done.item);
}

/* ---- threads ------------------------------------------------------------- */

static void *pool_thread(void *arg)
{
    struct hti_pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct job *job = STAILQ_FIRST(&pool->queue);

        if (job == NULL && pool->stopping) {
            break;
        }
        if (job == NULL) {
            pool->idle++;
            pthread_cond_wait(&pool->wake, &pool->lock);
            pool->idle--;
            continue;
        }
        STAILQ_REMOVE_HEAD(&pool->queue, entry);
        pool->queued--;
        pthread_mutex_unlock(&pool->lock);
        job_work(job);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With every signal blocked, which the thread inherits: a program's handlers
 * run in its own threads. */
static bool thread_start(struct hti_pool *pool)
{
    pthread_t *thread = &pool->threads[pool->threads_count];
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(thread, NULL, pool_thread, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err == 0) {
        pool->threads_count++;
    }
    return err == 0;
}

/* Under the lock. */
static ht_err pool_push(struct hti_pool *pool, struct job *job)
{
    if (pool->stopping) {
        return HT_ECLOSED;
    }
    if (pool->queued >= HTI_POOL_JOBS_MAX) {
        pool->refused++;
        return HT_EBUSY;
    }
    if (pool->queued >= pool->idle && pool->threads_count < pool->threads_max &&
        !thread_start(pool) && pool->threads_count == 0) {
        return HT_ENOMEM;
    }
    STAILQ_INSERT_TAIL(&pool->queue, job, entry);
    pool->queued++;
    pthread_cond_signal(&pool->wake);
    return HT_OK;
}

ht_err ht_block(ht_actor *self,
                void (*work)(void *arg),
                void (*done)(ht_actor *self, void *arg),
                void (*drop)(void *arg),
                void *arg)
{
    struct hti_pool *pool = ht_actor_node(self)->pool;
    struct job *job;
    ht_err err;

    if (work == NULL || done == NULL) {
        return HT_EINVAL;
    }
    job = hti_zalloc(sizeof *job);
    if (job == NULL) {
        return HT_ENOMEM;
    }
    job->done.item.kind = HTI_ITEM_DONE;
    job->done.run = job_run;
    job->done.release = job_release;
    job->pool = pool;
    job->pid = ht_self(self).pid;
    job->work = work;
    job->on_done = done;
    job->drop = drop;
    job->arg = arg;
    if (pool->run_inline) {
        job_work(job);
        return HT_OK;
    }
    pthread_mutex_lock(&pool->lock);
    err = pool_push(pool, job);
    pthread_mutex_unlock(&pool->lock);
    if (err != HT_OK) {
        hti_free(job);
    }
    return err;
}

void hti_pool_stop(struct hti_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    STAILQ_CONCAT(&pool->left, &pool->queue);
    pool->queued = 0;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads_count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pool->threads_count = 0;
}

void hti_pool_free(struct hti_pool *pool)
{
    struct job_queue left = STAILQ_HEAD_INITIALIZER(left);

    if (pool == NULL) {
        return;
    }
    hti_pool_stop(pool);
    STAILQ_CONCAT(&left, &pool->left);
    while (!STAILQ_EMPTY(&left)) {
        struct job *job = STAILQ_FIRST(&left);

        STAILQ_REMOVE_HEAD(&left, entry);
        job_release(&job->done.item);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

uint64_t hti_pool_refused(struct hti_pool *pool)
{
    uint64_t refused;

    pthread_mutex_lock(&pool->lock);
    refused = pool->refused;
    pthread_mutex_unlock(&pool->lock);
    return refused;
}
