/* SPDX-License-Identifier: Apache-2.0 */
/* core_internal.h - shared by the core's own files only. */
#ifndef HTI_RAFT_CORE_INTERNAL_H
#define HTI_RAFT_CORE_INTERNAL_H

#include "raft/conf.h"
#include "raft/core.h"
#include "raft/wire.h"

/* Ahead of a command, in its entry: the leader's clock. */
#define HTI_STAMP_BYTES 8
/* An append that is longer goes as several messages. */
#define HTI_APPEND_BYTES_MAX (1u << 20)
/* Entries of that many bytes may be on their way to a member. */
#define HTI_AHEAD_BYTES_MAX (4u << 20)
/* Bytes of proposals that wait; one is taken in any case. */
#define HTI_PENDING_BYTES_MAX (64u << 20)
/* Messages that wait for a vote to be durable. */
#define HTI_HELD_MAX 1024
/* Pieces of a snapshot on their way to one member. */
#define HTI_PIECES_AHEAD 4

/* A proposal: until it is submitted it has its entry, then index and term. */
struct hti_proposal {
    struct hti_entry *entry;
    uint64_t index;
    uint64_t term;
    uint64_t began_us;
    size_t bytes;
    ht_raft_done_fn done;
    void *arg;
};

struct hti_read {
    uint64_t index; /* to be applied first; 0: not confirmed */
    ht_raft_ready_fn ready;
    void *arg;
};

/* A ring of fixed-size items. */
struct hti_ring {
    uint8_t *items;
    size_t item;
    size_t cap; /* a power of two */
    size_t head;
    size_t count;
};
void *hti_ring_push(struct hti_ring *ring); /* zeroed; NULL: no memory */
void *hti_ring_at(const struct hti_ring *ring, size_t i);
void hti_ring_pop(struct hti_ring *ring);
void hti_ring_fini(struct hti_ring *ring);

struct hti_held {
    STAILQ_ENTRY(hti_held) link;
    uint64_t id;
    char *node;
    struct hti_wbuf buf;
};
STAILQ_HEAD(hti_helds, hti_held);

/* A snapshot's way to a member. */
struct hti_xfer {
    uint64_t id; /* 0: unused */
    char node[HT_RAFT_NAME_MAX];
    uint64_t index;
    uint64_t size;
    uint64_t acked;
    uint64_t asked; /* read or being read up to here */
    unsigned reading;
    uint64_t moved_us;  /* when something was heard last */
    uint64_t wanted_us; /* when libraft last asked for it */
};

/* And from the leader. */
struct hti_intake {
    uint64_t from;
    uint64_t term;
    uint64_t index;
    uint64_t size;
    uint64_t written; /* durable or not */
    uint64_t asked;   /* being written up to here */
    uint64_t moved_us;
    bool ending;     /* being checked */
    bool installing; /* libraft has it */
    bool owed;       /* its name, once the term is durable */
    struct hti_snap_info info;
    struct raft_snapshot_metadata meta;
};

enum hti_taking {
    HTI_TAKING_NONE,
    HTI_TAKING_BEGIN, /* the file is being made */
    HTI_TAKING_DATA,  /* a piece is being written */
    HTI_TAKING_END,
};

enum hti_change_kind {
    HTI_CHANGE_NONE,
    HTI_CHANGE_HELLO,   /* waits for the node's answer */
    HTI_CHANGE_LEARN,   /* it becomes a learner */
    HTI_CHANGE_CATCH,   /* until it has caught up */
    HTI_CHANGE_PROMOTE, /* it becomes a voter */
    HTI_CHANGE_REMOVE,
    HTI_CHANGE_TRANSFER,
    HTI_CHANGE_LEAVE, /* the leader itself: transfer, then ask to be removed */
};

struct hti_change {
    enum hti_change_kind kind;
    char node[HT_RAFT_NAME_MAX];
    uint64_t id;
    bool voter;
    uint64_t index; /* of the configuration's entry */
    uint64_t until_us;
    uint64_t seen; /* its match index when it last moved */
    uint64_t goal; /* of this round of catching up */
    uint64_t round_us;
    uint64_t asked_us;
    ht_raft_change_fn done;
    void *arg;
};

struct hti_core {
    struct raft raft;
    bool raft_made;
    struct hti_core_config config;
    char group[65];
    char node[HT_RAFT_NAME_MAX];
    const struct hti_core_ops *ops;
    void *ops_arg;
    const ht_raft_machine *table;
    void *machine;
    struct hti_when now;
    bool started;

    struct hti_meta meta; /* as it was last sent to the disk */
    struct hti_cache cache;
    struct hti_ring appends; /* uint64_t: last index of each on its way */
    unsigned metas;          /* on their way */
    struct hti_helds held;
    size_t held_count;
    bool batch_kept; /* libraft handed entries on, their batch is ours */
    struct hti_entry **submitting; /* what libraft is about to hand back */

    uint64_t applied;
    uint64_t applied_term;
    uint64_t last_time_ms;    /* of the newest entry */
    uint64_t applied_time_ms; /* of the last applied */
    uint8_t *conf;            /* as applied, encoded */
    size_t conf_len;
    uint64_t conf_index;
    uint64_t alone_term; /* that the only voter has for itself */
    bool hasty;          /* the leader's node is gone: elect soon */
    bool full;
    bool removed;

    ht_raft_role role; /* as told */
    uint64_t role_term;
    uint64_t leader_told;
    bool member_told;

    struct hti_ring batch;     /* struct hti_proposal: not submitted yet */
    struct hti_ring proposals; /* submitted */
    size_t pending_bytes;      /* of both */
    struct hti_ring asking;    /* struct hti_read: wait for a round */
    struct hti_ring asked;     /* in the round that is under way */
    struct hti_ring reads;     /* confirmed: wait to be applied */
    bool round;                /* under way */
    uint64_t round_number;
    uint64_t round_index;
    uint64_t round_us;
    uint64_t round_acks[HT_RAFT_MEMBERS_MAX];
    unsigned round_acked;

    struct hti_snap_info snap; /* the newest on the disk; index 0: none */
    enum hti_taking taking;
    struct hti_snap_info taking_info;
    void *cursor;
    bool cursor_open;
    bool taking_asked; /* take one, whatever the log's size */
    uint64_t taking_not_before_us;
    ht_raft_change_fn taking_done;
    void *taking_arg;
    bool restoring;
    uint64_t restoring_index;
    uint64_t since_bytes; /* applied since the snapshot */
    struct hti_xfer xfers[HT_RAFT_MEMBERS_MAX];
    struct hti_intake intake;
    char intake_node[HT_RAFT_NAME_MAX];

    struct hti_change change;
    struct {
        uint64_t id;
        uint64_t us;
        bool full;                /* its disk is, as it said last */
    } heard[HT_RAFT_MEMBERS_MAX]; /* when members spoke last */
    ht_err failed;
    char failure[256];
    ht_raft_status stats; /* the counters of it */
};

/* ---- core.c ------------------------------------------------------------ */

/* Remember why, once; returns err. */
ht_err hti_core_fail(struct hti_core *core, ht_err err, const char *why);
void hti_core_say(struct hti_core *core,
                  ht_log_level level,
                  const char *id,
                  const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
/* The beginning of every event. */
ht_err hti_core_event(struct hti_core *core, struct hti_when now);
/* Before libraft may make a follower that is the only voter the leader. */
ht_err hti_core_lead_alone(struct hti_core *core);
uint64_t hti_core_index(const struct hti_core *core); /* the last one */
bool hti_core_is(const struct hti_core *core, unsigned short state);
/* The term that the last election was about has been served: an entry of it is
 * applied. */
bool hti_core_settled(const struct hti_core *core);

/* ---- core_step.c ------------------------------------------------------- */

/* Let libraft handle an event and do what it wants.  *ret_rv (may be NULL: any
 * error fails the member) is what it answered. */
ht_err
hti_core_step(struct hti_core *core, struct raft_event *event, int *ret_rv);
void hti_core_submit(struct hti_core *core, struct hti_job *job);
/* Submit new entries as leader; their term is set.  Borrows. */
ht_err hti_core_submit_entries(struct hti_core *core,
                               struct hti_entry **entries,
                               size_t count,
                               int *ret_rv);
/* Tell libraft that the configuration it takes for uncommitted is not. */
ht_err hti_core_conf_committed(struct hti_core *core);

/* ---- core_settle.c ----------------------------------------------------- */

/* The end of every event. */
ht_err hti_core_settle(struct hti_core *core);

/* ---- core_send.c ------------------------------------------------------- */

/* Fills in from and group. */
void hti_core_send(struct hti_core *core,
                   uint64_t id,
                   const char *node,
                   struct hti_wire *wire);
void hti_core_send_raft(struct hti_core *core,
                        const struct raft_message *message);
void hti_core_release(struct hti_core *core); /* what was held */
void hti_core_send_fini(struct hti_core *core);

/* ---- core_client.c ----------------------------------------------------- */

ht_err hti_core_submit_batch(struct hti_core *core);
/* An entry was applied, with that result. */
void hti_core_applied_entry(struct hti_core *core,
                            uint64_t index,
                            uint64_t term,
                            ht_bytes result);
/* All up to index was applied, by a snapshot. */
void hti_core_skipped(struct hti_core *core, uint64_t index, uint64_t term);
void hti_core_reads_run(struct hti_core *core);
void hti_core_read_ack(struct hti_core *core, const struct hti_wire *wire);
void hti_core_read_tick(struct hti_core *core);
void hti_core_reads_fail(struct hti_core *core, ht_err err);
void hti_core_client_fini(struct hti_core *core);

/* ---- core_snap.c ------------------------------------------------------- */

void hti_core_snap_run(struct hti_core *core);
ht_err hti_core_snap_done(struct hti_core *core, struct hti_job *job);
ht_err hti_core_restore_start(struct hti_core *core, uint64_t index);
ht_err hti_core_restore_done(struct hti_core *core, struct hti_job *job);
ht_err hti_core_conf_applied(struct hti_core *core,
                             const uint8_t *data,
                             size_t len,
                             uint64_t index);
/* Give up the snapshot that is being taken: a newer one comes. */
void hti_core_snap_cancel(struct hti_core *core);
void hti_core_snap_fini(struct hti_core *core);

/* ---- core_xfer.c ------------------------------------------------------- */

void hti_core_xfer_want(struct hti_core *core, uint64_t id, const char *node);
void hti_core_xfer_ack(struct hti_core *core, const struct hti_wire *wire);
ht_err hti_core_xfer_done(struct hti_core *core, struct hti_job *job);
void hti_core_xfer_tick(struct hti_core *core);
bool hti_core_xfer_busy(const struct hti_core *core);
ht_err hti_core_intake(struct hti_core *core,
                       const char *node,
                       const struct hti_wire *wire);
ht_err hti_core_intake_done(struct hti_core *core, struct hti_job *job);
/* libraft took the snapshot that was received. */
ht_err hti_core_install(struct hti_core *core,
                        const struct raft_update *update);
/* Term and vote are durable. */
ht_err hti_core_install_owed(struct hti_core *core);
void hti_core_intake_tick(struct hti_core *core);
void hti_core_xfer_fini(struct hti_core *core);

/* ---- core_change.c ----------------------------------------------------- */

ht_err hti_core_change_run(struct hti_core *core);
void hti_core_hello_ack(struct hti_core *core,
                        const char *node,
                        const struct hti_wire *wire);
void hti_core_change_end(struct hti_core *core, ht_err err, const char *text);
void hti_core_change_applied(struct hti_core *core, uint64_t index);
/* A member asks to be taken out; it was, says the leader. */
void hti_core_asked_to_remove(struct hti_core *core, const char *node);
void hti_core_was_removed(struct hti_core *core);

#endif /* HTI_RAFT_CORE_INTERNAL_H */
