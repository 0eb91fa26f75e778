/* SPDX-License-Identifier: Apache-2.0 */
/* front.h - the actor that answers for a store on a node, with or without a
 * member there: the service hardtack.kv.Store.
 *
 * It checks requests, sends them to the member that leads (or any, for what any
 * can answer), and again to another when that fails, until time is up.  A write
 * that has no request id is given one, so that sending it again is safe:
 *
 *   asked --> sent to a member --> answered --> the caller is
 *                 ^    |
 *                 |    v        elsewhere, no leader, node down, silence
 *                waiting a little
 *
 * The names for those ids are *slots*: each is used by one request at a time,
 * so that the store has to remember one answer for each.
 *
 * Thread: turns of its actor; the rest says otherwise.
 */
#ifndef HTI_KV_FRONT_H
#define HTI_KV_FRONT_H

#include <sys/queue.h>

#include <hardtack/actor.h>
#include <hardtack/raft.h>

#include "kv/check.h"
#include "kv/messages.h"

#define HTI_KV_SCOPE "hardtack.kv" /* of the fronts that have a member */

struct hti_kv_front_ask;
struct hti_kv_slot;
TAILQ_HEAD(hti_kv_front_asks, hti_kv_front_ask);
SLIST_HEAD(hti_kv_slots, hti_kv_slot);

struct hti_kv_front_opts {
    const char *store;
    bool member; /* one runs in this node */
    uint32_t requests_max;
    uint32_t timeout_ms;
};

struct hti_kv_front {
    Hardtack__Kv__Store_Service service; /* first */
    ht_node *node;
    ht_actor *self;
    bool member;
    bool owned; /* freed with its actor */
    char store[65];
    char member_name[80];
    char leader[HT_RAFT_NAME_MAX]; /* a node; "": not known */
    char prefix[24];               /* of its slots' names */
    uint32_t requests_max, timeout_ms;
    struct hti_kv_front_asks asks;
    size_t asks_count, asks_bytes;
    struct hti_kv_slots slots; /* free */
    uint32_t slots_count;
    uint32_t turn; /* whose turn it is among the members */
    uint64_t forwarded, refused;
};

/* The name of a store's front. */
void hti_kv_front_name(const char *store, char ret[80]);
bool hti_kv_store_name_valid(const char *store);

/* Start it; front lives until its actor has ended.  Any thread.  As
 * ht_spawn_service(); HT_EEXIST: the node has one. */
HT_MUSTUSE ht_err hti_kv_front_start(struct hti_kv_front *front,
                                     ht_node *node,
                                     const struct hti_kv_front_opts *opts,
                                     ht_ref *ret_ref);

/* ---- for service.c, the requests -------------------------------------------
 */

/* NULL: it was refused. */
struct hti_kv_front_ask *
hti_kv_front_begin(struct hti_kv_front *front,
                   const ProtobufCMessageDescriptor *reply,
                   ProtobufCClosure closure,
                   void *closure_data);
/* The request id to send: the one given, or one of a slot; valid until the ask
 * is sent. */
RequestId *hti_kv_front_identify(struct hti_kv_front_ask *ask,
                                 RequestId *given,
                                 RequestId *own);
/* Takes ask.  again: it may be sent twice; anywhere: to any member. */
void hti_kv_front_send(struct hti_kv_front_ask *ask,
                       const ProtobufCMessage *message,
                       bool again,
                       bool anywhere,
                       uint32_t more_ms);
/* A cast to every member that is seen. */
void hti_kv_front_tell_all(struct hti_kv_front *front,
                           const ProtobufCMessage *message);
void hti_kv_front_fill_service(Hardtack__Kv__Store_Service *service);

#endif /* HTI_KV_FRONT_H */
