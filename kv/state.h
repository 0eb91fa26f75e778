/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - the store as a state machine: commands in, answers out.
 *
 * It knows no log, no network and no clock.  The same commands in the same
 * order make the same state and the same answers on every member, whatever the
 * machine; a snapshot stands for all commands before it.
 *
 *      command (command.proto) --> hti_kv_apply --> answer (error.h)
 *      request (kv.proto)      --> hti_kv_get, _range, _changes --> answer
 *
 * Thread: one.  Answers are lent until the next call.
 */
#ifndef HTI_KV_STATE_H
#define HTI_KV_STATE_H

#include "kv/dedupe.h"
#include "kv/error.h"
#include "kv/history.h"
#include "kv/lease.h"
#include "kv/map.h"
#include "kv/messages.h"

/* What one member may bound for itself: the history is nobody else's. */
struct hti_kv_opts {
    size_t history_max;       /* changes; 0: 100000 */
    size_t history_bytes_max; /* 0: 64 MiB */
};

struct hti_kv {
    struct hti_kv_map map;
    struct hti_kv_leases leases;
    struct hti_kv_dedupe dedupe;
    struct hti_kv_history history;
    uint64_t revision;
    uint64_t time_ms;  /* the greatest of all commands */
    uint64_t expired;  /* keys that ended, since ever */
    uint64_t repeated; /* requests that were answered again here */
    struct hti_kv_buf answer;
    struct hti_kv_restore *restore; /* under way; NULL */
};

struct hti_kv *hti_kv_new(const struct hti_kv_opts *opts); /* NULL: no memory */
void hti_kv_free(struct hti_kv *kv);                       /* NULL is fine */

/* Do a command.  HT_OK also for one that is refused; HT_EPROTO: it cannot be
 * read, and nothing was done; HT_ENOMEM: the state is broken, and its member
 * has to end. */
HT_MUSTUSE ht_err hti_kv_apply(struct hti_kv *kv,
                               ht_bytes command,
                               ht_bytes *ret_answer);

/* Read what is there now.  HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_get(struct hti_kv *kv,
                             const GetRequest *request,
                             ht_bytes *ret_answer);
HT_MUSTUSE ht_err hti_kv_range(struct hti_kv *kv,
                               const RangeRequest *request,
                               ht_bytes *ret_answer);
HT_MUSTUSE ht_err hti_kv_lease_info(struct hti_kv *kv,
                                    const LeaseRequest *request,
                                    ht_bytes *ret_answer);

/* When something ends, in the store's time; UINT64_MAX: nothing does. */
uint64_t hti_kv_due_ms(const struct hti_kv *kv);

/* ---- snapshots ------------------------------------------------------------
 */

/* A reader of the state as it is now, while commands go on; one at a time.
 * HT_EBUSY, HT_ENOMEM. */
struct hti_kv_cursor;
HT_MUSTUSE ht_err hti_kv_snapshot_open(struct hti_kv *kv,
                                       struct hti_kv_cursor **ret_cursor);
/* Up to cap bytes, at least one; *ret_len 0: that was all.  HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_snapshot_read(struct hti_kv *kv,
                                       struct hti_kv_cursor *cursor,
                                       void *buf,
                                       size_t cap,
                                       size_t *ret_len);
void hti_kv_snapshot_close(struct hti_kv *kv, struct hti_kv_cursor *cursor);

/* Replace the state.  begin makes it empty; data may be cut anywhere; end says
 * whether all was there.  HT_EPROTO: it is no snapshot of this format;
 * HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_restore_begin(struct hti_kv *kv);
HT_MUSTUSE ht_err hti_kv_restore_data(struct hti_kv *kv, ht_bytes piece);
HT_MUSTUSE ht_err hti_kv_restore_end(struct hti_kv *kv);

/* ---- for the parts of the store -------------------------------------------
 */

/* Everything away. */
void hti_kv_clear(struct hti_kv *kv);
/* What a restore that was not ended holds. */
void hti_kv_restore_drop(struct hti_kv *kv);

#endif /* HTI_KV_STATE_H */
