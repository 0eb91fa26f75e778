/* SPDX-License-Identifier: Apache-2.0 */
/* turn.h - one command, or one read, while it is done: its memory, and the
 * revision of what it changes.
 *
 * What a reply shows is lent from versions that the turn holds until the reply
 * is packed, so that a later step may replace them.
 */
#ifndef HTI_KV_TURN_H
#define HTI_KV_TURN_H

#include "kv/state.h"
#include "proto/arena.h"

struct hti_kv_held;

struct hti_kv_turn {
    struct hti_kv *kv;
    struct hti_arena *arena;
    ProtobufCAllocator *allocator;
    struct hti_kv_held *held;
    uint64_t revision; /* of what is changed now */
    bool changed;
};

HT_MUSTUSE ht_err hti_kv_turn_begin(struct hti_kv_turn *turn,
                                    struct hti_kv *kv);
/* What was changed has its revision, and the next change another. */
void hti_kv_turn_commit(struct hti_kv_turn *turn);
void hti_kv_turn_end(struct hti_kv_turn *turn);

/* Of the turn's memory, zeroed; NULL: none left. */
void *hti_kv_turn_alloc(struct hti_kv_turn *turn, size_t size);

/* As a reply shows it.  NULL: no memory. */
KeyValue *hti_kv_show(struct hti_kv_turn *turn,
                      struct hti_kv_version *version,
                      bool as_text,
                      bool keys_only);

/* The steps: their requests are checked, and leases that they name are there.
 * HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_do_get(struct hti_kv_turn *turn,
                                const GetRequest *request,
                                GetReply *ret);
HT_MUSTUSE ht_err hti_kv_do_put(struct hti_kv_turn *turn,
                                const PutRequest *request,
                                PutReply *ret);
HT_MUSTUSE ht_err hti_kv_do_del(struct hti_kv_turn *turn,
                                const DelRequest *request,
                                DelReply *ret);
HT_MUSTUSE ht_err hti_kv_do_swap(struct hti_kv_turn *turn,
                                 const SwapRequest *request,
                                 SwapReply *ret);
HT_MUSTUSE ht_err hti_kv_do_txn(struct hti_kv_turn *turn,
                                const TxnRequest *request,
                                TxnReply *ret);
/* Whether the key is as it is expected to be. */
bool hti_kv_txn_holds(struct hti_kv *kv, const TxnRequest *request);

/* Take one key away; kind is HTI_KV_DEL or HTI_KV_EXPIRED. */
HT_MUSTUSE ht_err hti_kv_take_away(struct hti_kv_turn *turn,
                                   struct hti_kv_item *item,
                                   enum hti_kv_kind kind);
/* End what is due at the store's time, so much as one command may. */
HT_MUSTUSE ht_err hti_kv_expire(struct hti_kv_turn *turn);

#endif /* HTI_KV_TURN_H */
