/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - threads for work that blocks, so that schedulers never do.
 *
 * Threads start when there is more work than idle threads, up to the limit, and
 * stay.  They take no signals.  The queue holds HTI_POOL_JOBS_MAX jobs that no
 * thread has taken yet, and refuses more.
 *
 * Of a job, exactly one of done and drop runs: done as a turn of the actor that
 * asked, drop on the pool's thread when that actor is gone.
 *
 * Thread: any.  Lifetime: from hti_rt_new() to hti_rt_free(), which waits for
 * the work that has begun; work that has not is dropped.
 */
#ifndef HTI_ACTOR_POOL_H
#define HTI_ACTOR_POOL_H

#include "actor/runtime.h"

#define HTI_POOL_JOBS_MAX        1024
#define HTI_POOL_THREADS_DEFAULT 4

struct hti_pool;

/* threads 0: the default.  run_inline: no threads; work runs where ht_block()
 * was called (simulation). */
ht_err hti_pool_new(ht_node *node,
                    unsigned threads,
                    bool run_inline,
                    struct hti_pool **ret_pool);
/* Wait for the work that has begun and refuse more; work that has not begun is
 * dropped by hti_pool_free().  Twice is fine. */
void hti_pool_stop(struct hti_pool *pool);
void hti_pool_free(struct hti_pool *pool);
/* How often it was full, so far. */
uint64_t hti_pool_refused(struct hti_pool *pool);

#endif /* HTI_ACTOR_POOL_H */
