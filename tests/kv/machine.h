/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - the store's state machine for tests: commands by a line each, and
 * the answers decoded. */
#ifndef TESTS_KV_MACHINE_H
#define TESTS_KV_MACHINE_H

#include "kv/state.h"
#include "tests/lib/check.h"

struct machine {
    struct hti_kv *kv;
    uint64_t time_ms;   /* of the next commands */
    const char *client; /* of the next commands' request ids; NULL: none */
    uint64_t sequence;
    enum hti_kv_error error; /* of the last answer */
    char words[300];         /* why, "" if it was done */
    uint64_t revision;       /* in the last reply */
};

void machine_start(struct machine *m);
void machine_end(struct machine *m);

/* Apply; the reply is decoded into *ret (freed by the caller), NULL if it was
 * refused.  Without ret it is only looked at. */
void machine_put(struct machine *m, const char *key, const char *text);
void machine_put_more(struct machine *m, const PutRequest *put, PutReply **ret);
uint64_t machine_del(struct machine *m, const char *key);
DelReply *machine_del_prefix(struct machine *m, const char *prefix);
SwapReply *machine_swap(struct machine *m, const SwapRequest *swap);
TxnReply *machine_txn(struct machine *m, const TxnRequest *txn);
uint64_t machine_grant(struct machine *m, uint64_t ttl_ms);
void machine_keep_alive(struct machine *m, uint64_t lease);
void machine_revoke(struct machine *m, uint64_t lease);
void machine_tick(struct machine *m);

/* The text of a key, lent until the next call; NULL: it is not there. */
const char *machine_get(struct machine *m, const char *key);
RangeReply *machine_range(struct machine *m, const RangeRequest *range);
/* Everything that a snapshot has, malloc'd. */
ht_bytes machine_snapshot(struct hti_kv *kv, size_t piece);
/* HT_OK, or what was wrong with it. */
ht_err machine_restore(struct hti_kv *kv, ht_bytes snapshot, size_t piece);
/* The bytes of a command. */
ht_bytes machine_command(struct machine *m, Command *command);

#endif /* TESTS_KV_MACHINE_H */
