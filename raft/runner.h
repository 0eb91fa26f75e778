/* SPDX-License-Identifier: Apache-2.0 */
/* runner.h - the two threads that do a member's disk work.
 *
 * Threads of their own and not the node's pool: a commit waits for the log's
 * sync, and a pool's other jobs (or a snapshot of gigabytes) would stand in its
 * way.  Finished jobs are taken by the member's actor, which an eventfd wakes;
 * they cannot be refused as a mailbox refuses.
 */
#ifndef HTI_RAFT_RUNNER_H
#define HTI_RAFT_RUNNER_H

#include "raft/store.h"

struct hti_runner;

/* Borrows the store. */
HT_MUSTUSE ht_err hti_runner_new(struct hti_store *store,
                                 struct hti_runner **ret_runner);
/* Finish what is queued, end the threads, free what nobody took. */
void hti_runner_free(struct hti_runner *runner);
/* Takes the job. Any thread. */
void hti_runner_submit(struct hti_runner *runner, struct hti_job *job);
/* Readable while finished jobs wait. */
int hti_runner_fd(const struct hti_runner *runner);
/* All that are finished, in order, moved to done. */
void hti_runner_take(struct hti_runner *runner, struct hti_jobs *done);
/* Time spent in the log's batches, in us; and whether it waits for room. */
uint64_t hti_runner_busy_us(const struct hti_runner *runner);

#endif /* HTI_RAFT_RUNNER_H */
