/* SPDX-License-Identifier: Apache-2.0 */
/* kv_app.h - the store and its clients, for the simulation of Raft. */
#ifndef TESTS_SIM_KV_APP_H
#define TESTS_SIM_KV_APP_H

#include "tests/sim/raft_sim.h"

struct kv_app;

extern const struct rsim_app kv_sim_app;

struct kv_app *kv_app_new(void);
/* Before it runs. */
void kv_app_begin(struct kv_app *app, struct rsim *sim);
void kv_app_free(struct kv_app *app);
/* Operations that were answered, requests that were sent again, times that the
 * lock was taken. */
void kv_app_counts(const struct kv_app *app,
                   uint64_t *ret_answered,
                   uint64_t *ret_again,
                   uint64_t *ret_locked);

#endif /* TESTS_SIM_KV_APP_H */
