/* SPDX-License-Identifier: Apache-2.0 */
/* member.h - a member in a node: the core, its store and its threads, as an
 * actor.
 *
 * ht_raft lives from ht_raft_start() to ht_raft_free(), and the actor's lives
 * in between each have a core, a store and a runner of their own.  All of it
 * belongs to the actor's turns, but for the copy of the status, which has a
 * lock.
 */
#ifndef HTI_RAFT_MEMBER_H
#define HTI_RAFT_MEMBER_H

#include <hardtack/raft.h>
#include <pthread.h>

#include "raft/bytes.h"
#include "raft/core.h"
#include "raft/runner.h"

#define HTI_RAFT_VARIANT "HtRaft"
#define HTI_RAFT_SCOPE   "hardtack.raft"

struct hti_peer {
    uint64_t id;
    ht_ref ref; /* its actor, once it spoke */
};

struct ht_raft {
    ht_node *node;
    ht_raft_config config;
    char group[65];
    char name[96]; /* of the actor */
    char *directory;
    const ht_raft_machine *table;
    void *machine;
    struct hti_disk disk; /* locked while it lives */
    ht_ref supervisor;
    ht_raft *next; /* of all in the process */

    /* The actor's. */
    ht_actor *self;
    struct hti_core *core;
    struct hti_store *store;
    struct hti_runner *runner;
    struct hti_peer peers[HT_RAFT_MEMBERS_MAX];
    uint64_t timer;
    uint64_t timer_us; /* when it fires; 0: none */
    bool flush_owed;   /* a message to self is on its way */
    bool stopping;
    uint64_t status_us;

    pthread_mutex_t lock;
    bool alive;   /* the actor */
    bool closing; /* it does not start again */
    ht_raft_status status;
    bool broken; /* its disk failed: it does not start again */
    char failed[256];
};

extern const ht_behavior hti_member_behavior;

struct hti_when hti_member_now(void);
/* See to it that hti_core_flush() runs, after the messages that wait now. */
void hti_member_owe_flush(ht_raft *raft);
/* Open store and core for a life of the actor; a reason in text. */
ht_err hti_member_open(ht_raft *raft, char *text, size_t text_len);
/* Bring the status that others see up to date. */
void hti_member_publish(ht_raft *raft);
void hti_member_close(ht_raft *raft);

/* service.c: the messages of hardtack/raft.proto.  HT_ENOVARIANT: not one. */
ht_err hti_member_service(ht_raft *raft,
                          ht_actor *self,
                          const ht_msg *msg,
                          ht_call call);

#endif /* HTI_RAFT_MEMBER_H */
