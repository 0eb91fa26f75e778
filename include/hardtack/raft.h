/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/raft.h - one state on three to seven nodes: a program's own state
 * machine, replicated by Raft over the cluster's links.  Link with
 * libhardtack-raft.
 *
 * A group has a member on each of its nodes.  A member is an actor, named
 * hardtack.raft.GROUP; hardtack/raft.proto is what it can be asked.  The leader
 * takes commands, and a command whose answer was given is on the disks of a
 * majority: it is never lost while a majority of the members has its disk.
 *
 * Threads: functions that say "in a turn" are called only by the member's
 * actor, that is from a callback of ht_raft_machine or of these functions;
 * the others from any thread.  Nothing blocks unless it says so.
 */
#ifndef HARDTACK_RAFT_H
#define HARDTACK_RAFT_H

#include <hardtack/actor.h>
#include <hardtack/base.h>
#include <hardtack/node.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ht_raft ht_raft;

#define HT_RAFT_NAME_MAX    256 /* of a node, with its NUL */
#define HT_RAFT_MEMBERS_MAX 16  /* of a group, learners included */

typedef enum ht_raft_role {
    HT_RAFT_FOLLOWER = 1,
    HT_RAFT_CANDIDATE,
    HT_RAFT_LEADER,
} ht_raft_role;

typedef enum ht_raft_restore {
    HT_RAFT_RESTORE_BEGIN = 1, /* forget everything: the empty state */
    HT_RAFT_RESTORE_DATA,      /* the next piece of a snapshot */
    HT_RAFT_RESTORE_END,       /* the state is complete */
} ht_raft_restore;

/**
 * The program's state machine.  All callbacks run in turns of the member's
 * actor, one at a time; those marked ? may be NULL.  They must not block.
 */
typedef struct ht_raft_machine {
    /* Do a command.  The same commands come in the same order on every member,
     * again after a restart: what it does may depend only on the state before
     * and on its arguments.  time_ms is the leader's wall clock (milliseconds
     * since 1970) when the command was given, but never goes back: it
     * jumps ahead with that clock, and then stands still until real time has
     * caught up.  It is good for "written at"; what ends by time (leases,
     * timeouts) belongs on a clock of the machine's own that goes no faster
     * than real time, as kv/clock.h has it.  *ret_result (set to nothing
     * beforehand; lent until the next callback) goes to done() of
     * ht_raft_propose(), if that was here.  A command that cannot be done is a
     * result too; an error means that this member's state is no longer right,
     * and ends it. */
    ht_err (*apply)(void *machine,
                    uint64_t index,
                    uint64_t time_ms,
                    ht_bytes command,
                    ht_bytes *ret_result);
    /* Begin to read the state as it is now.  apply goes on while it is read,
     * and must not be seen in what is read.  At most one cursor is open. */
    ht_err (*snapshot_open)(void *machine, void **ret_cursor);
    /* Up to cap (64 KiB at least) bytes of it; *ret_len 0 is the end. */
    ht_err (*snapshot_read)(
        void *machine, void *cursor, void *buf, size_t cap, size_t *ret_len);
    void (*snapshot_close)(void *machine, void *cursor);
    /* Replace the state: BEGIN, DATA any number of times (cut anywhere), END.
     * Also when the member starts, without DATA if there is no snapshot yet.
     * An error ends the member. */
    ht_err (*restore)(void *machine, ht_raft_restore what, ht_bytes piece);

    /* ? The member has started, or starts again after a failure: before the
     * first restore.  raft is the same until ht_raft_free(). */
    void (*on_start)(void *machine, ht_raft *raft, ht_actor *self);
    /* ? The role or the term changed.  LEADER is told when everything that was
     * committed before has been applied, so that what is proposed from now on
     * follows what the machine shows. */
    void (*on_role)(void *machine, ht_raft_role role, uint64_t term);
    /* ? Another leader is known, or none (id 0): where to forward to. */
    void (*on_leader)(void *machine);
    /* ? Whether this member is in the group's configuration, as far as it
     * knows.  Not until it is told so for the first time after on_start; false
     * when it was removed: what its machine shows will never be newer. */
    void (*on_member)(void *machine, bool member);
    /* ? Messages and events of the actor that are not the member's own, as
     * handle and on_event of ht_behavior.  An error but HT_ENOVARIANT and
     * HT_EARGS ends the member. */
    ht_err (*on_message)(void *machine,
                         ht_actor *self,
                         const ht_msg *msg,
                         ht_call call);
    ht_err (*on_event)(void *machine, ht_actor *self, const ht_event *event);
    /* ? The actor ends: proposals and reads have been answered HT_ECLOSED. */
    void (*on_stop)(void *machine);
} ht_raft_machine;

/** Zero everywhere is the default.  Strings are copied. */
typedef struct ht_raft_config {
    size_t size;           /* sizeof(ht_raft_config) or 0 */
    const char *group;     /* 1 to 64 of a-z A-Z 0-9 . _ -; required */
    const char *directory; /* made if it is missing; one member's own; required
                            */
    /* Make a new group whose only member is this one, if the directory is
     * empty; nothing if it is not.  Without it an empty member waits to be
     * added. */
    bool bootstrap;
    uint32_t heartbeat_ms;      /* 0: 100 */
    uint32_t election_ms;       /* 0: 1000; at least 3 heartbeats */
    uint32_t command_bytes_max; /* 0: 1 MiB; at most 8 MiB */
    uint32_t pending_max;   /* proposals and reads, 64 MiB at most; 0: 16384 */
    uint32_t segment_bytes; /* of the log's files; 0: 16 MiB */
    uint32_t snapshot_after_entries; /* 0: 100000 */
    uint32_t snapshot_after_bytes;   /* 0: 64 MiB */
    /* Kept for slow members, and not more than snapshot_after_bytes of them;
     * 0: 10000. */
    uint32_t trailing_entries;
} ht_raft_config;

/**
 * Start the member of this node: read its directory, restore the machine, join
 * the group's members.  It is supervised: a failed one starts again, except
 * after an error of its disk, since then only the disk's owner can tell what
 * is on it.  Borrows machine's table and machine until ht_raft_free().
 * Blocks while the directory is read.  From an ordinary thread.
 *
 * Returns HT_OK; HT_EINVAL, HT_ECONFIG (what is in ht_raft_start_error() and
 * the log); HT_EEXIST (the node has a member of that group, or another process
 * the directory); HT_ECORRUPT (where is in ht_raft_start_error()); HT_EACCES,
 * HT_ENOENT, HT_ENOSPC, HT_EIO (of the directory); HT_ENOMEM; HT_ECLOSED.
 */
HT_API HT_MUSTUSE ht_err ht_raft_start(ht_node *node,
                                       const ht_raft_config *config,
                                       const ht_raft_machine *table,
                                       void *machine,
                                       ht_raft **ret_raft);
/** What went wrong in this thread's last failed ht_raft_start(),
 *  ht_raft_verify(), ht_raft_backup() or ht_raft_restore_backup(), in words. */
HT_API const char *ht_raft_start_error(void);
/** End the member and free it.  Blocks until the actor has ended.  From an
 *  ordinary thread, before ht_node_free().  NULL is fine. */
HT_API void ht_raft_free(ht_raft *raft);

/** The member's actor; none while it starts again. */
HT_API ht_ref ht_raft_ref(ht_raft *raft);
HT_API ht_node *ht_raft_node(ht_raft *raft);
HT_API const char *ht_raft_group(const ht_raft *raft);

/** The answer to a proposal, in a turn.  HT_OK: it is committed and was
 *  applied, as the index-th entry; result is lent.  HT_ECANCELLED: it was not
 *  done and never will be.  HT_EUNKNOWN: it may have been done or not (its
 *  fate is in a snapshot that came from the leader).  HT_ECLOSED: the member
 *  ended, and it may have been done. */
typedef void (*ht_raft_done_fn)(void *arg,
                                ht_err err,
                                ht_bytes result,
                                uint64_t index);
/**
 * Have a command replicated and done.  In a turn.  Copies command.  done (may
 * be NULL) runs exactly once, in a later turn, unless an error is returned.
 * There is no time limit: without a majority it waits.
 *
 * Returns HT_OK, or
 *   HT_ENOTLEADER  this member does not lead: see ht_raft_leader();
 *   HT_EBUSY       pending_max proposals wait;
 *   HT_ENOSPC      the disk of the leader, or of a majority, is full;
 *   HT_ETOOBIG     more than command_bytes_max;
 *   HT_EINVAL, HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_raft_propose(ht_raft *raft,
                                         ht_bytes command,
                                         ht_raft_done_fn done,
                                         void *arg);
/** In a turn.  HT_OK: what the machine shows now has everything that was
 *  answered, anywhere, before ht_raft_read() was called.  HT_ENOTLEADER: this
 *  member does not lead any more; HT_ECLOSED. */
typedef void (*ht_raft_ready_fn)(void *arg, ht_err err);
/**
 * Wait until a read of the machine is linearizable, without a write to the log:
 * the leader asks a majority whether it still leads, once for all the reads
 * that wait.  In a turn.  ready runs exactly once, maybe before this returns,
 * unless an error is returned.  HT_ENOTLEADER, HT_EBUSY, HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_raft_read(ht_raft *raft,
                                      ht_raft_ready_fn ready,
                                      void *arg);
/** Whether this member leads.  In a turn. */
HT_API bool ht_raft_leads(const ht_raft *raft);
/** The leader that this member knows: the name of its node ("" if none; lent
 *  for the turn) and its actor, none while it is not known; a call to
 *  hardtack.raft.GROUP on that node reaches it all the same.  In a turn. */
HT_API const char *ht_raft_leader(const ht_raft *raft, ht_ref *ret_ref);

/** The end of a change, in a turn.  err as of the functions below; text says
 *  more, never NULL. */
typedef void (*ht_raft_change_fn)(void *arg, ht_err err, const char *text);
/**
 * Change who is a member; one change at a time, on the leader, in a turn; the
 * service of hardtack/raft.proto does the same on any member.  done (may be
 * NULL) runs once, unless an error is returned.
 *
 * add: the member that waits on that node becomes a learner, which gets the log
 * and does not vote, and then, if voter, a voter once it has caught up.  A
 * learner is promoted so too.  remove: by node, a dead one too; a leader that
 * removes itself hands the group over first.  transfer: let the member on that
 * node lead, the one that is furthest if NULL.
 *
 * Returns HT_OK, HT_ENOTLEADER, HT_EBUSY (another change is under way, the
 * leader is so new that nothing of its own is committed yet, or those who would
 * stay do not all know yet that they vote),
 * HT_EEXIST (add: it is a voter, or a learner and so it stays), HT_ENOENT (no
 * member there), HT_EINVAL (the last voter), HT_ENOMEM.  done gets also
 * HT_ENOCONN (the node is not connected, or has no member that waits),
 * HT_EDENIED (its member belongs to another group of that name), HT_ETIMEDOUT
 * (it does not catch up; a learner it stays), HT_ECANCELLED (the leader lost
 * the lead).
 */
HT_API HT_MUSTUSE ht_err ht_raft_add(ht_raft *raft,
                                     const char *node_name,
                                     bool voter,
                                     ht_raft_change_fn done,
                                     void *arg);
HT_API HT_MUSTUSE ht_err ht_raft_remove(ht_raft *raft,
                                        const char *node_name,
                                        ht_raft_change_fn done,
                                        void *arg);
HT_API HT_MUSTUSE ht_err ht_raft_transfer(ht_raft *raft,
                                          const char *node_name,
                                          ht_raft_change_fn done,
                                          void *arg);
/** Take a snapshot now and drop the log before it.  In a turn, on any member.
 *  done gets HT_OK, HT_ENOSPC, HT_EIO.  HT_EBUSY (one is being taken or
 *  received), HT_ENOENT (nothing is new since the last). */
HT_API HT_MUSTUSE ht_err ht_raft_snapshot(ht_raft *raft,
                                          ht_raft_change_fn done,
                                          void *arg);

typedef struct ht_raft_member {
    uint64_t id; /* drawn when its directory was made */
    char node[HT_RAFT_NAME_MAX];
    bool voter;
    bool leader;
    /* What the leader knows; 0 and false elsewhere. */
    bool online; /* it answered within the election timeout */
    uint64_t match_index;
    uint64_t snapshot_sent_bytes; /* of the snapshot on its way to it */
} ht_raft_member;

typedef struct ht_raft_status {
    char group[65];
    char node[HT_RAFT_NAME_MAX];
    uint64_t id;
    ht_raft_role role;
    bool member;      /* in the group's configuration */
    bool voter;       /* and votes */
    bool removed;     /* it was told that it is no member any more */
    bool disk_full;   /* nothing can be written until there is room */
    char failed[256]; /* why it ended for good, "" if it did not */
    char leader[HT_RAFT_NAME_MAX]; /* "" if none is known */
    uint64_t term;
    uint64_t first_index; /* of the log on this member's disk */
    uint64_t last_index;
    uint64_t stored_index; /* durable here */
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t snapshot_index;
    uint64_t log_bytes; /* since the last snapshot */
    /* Since the member started. */
    uint64_t fsyncs;
    uint64_t fsync_us; /* all of them together */
    uint64_t proposals;
    uint64_t commits;   /* proposals of this member that were applied */
    uint64_t commit_us; /* from ht_raft_propose() to done(), together */
    uint64_t commit_us_bucket[24]; /* commits that took less than 2^i us */
    uint64_t reads;
    uint64_t read_rounds; /* a round answers all reads that wait */
    uint64_t elections;   /* that it began */
    uint64_t snapshots;   /* that it took */
    uint64_t messages_sent, messages_received, messages_refused;
    uint64_t pending; /* proposals and reads that wait now */
    uint32_t members_count;
    ht_raft_member members[HT_RAFT_MEMBERS_MAX];
} ht_raft_status;

/** In a turn as of now, elsewhere as of a heartbeat ago, or so.  Any thread. */
HT_API void ht_raft_status_get(ht_raft *raft, ht_raft_status *ret_status);
/** Call fn for every member that runs in this node; lent for the call. */
HT_API void
ht_raft_each(ht_node *node, void (*fn)(ht_raft *raft, void *arg), void *arg);

/** What a directory holds. */
typedef struct ht_raft_check {
    uint64_t id;
    uint64_t term;
    uint64_t snapshot_index; /* 0: none */
    uint64_t snapshot_bytes;
    uint64_t first_index; /* 0: the log is empty */
    uint64_t last_index;
    uint64_t entries;
    uint64_t torn_bytes; /* of a write that was cut off by a crash: harmless */
} ht_raft_check;

/**
 * Read every byte of a stopped member's directory.  Blocks.  Returns HT_OK, or
 * HT_ECORRUPT: file, offset and what is wrong are in ht_raft_start_error();
 * HT_EEXIST (a process has it), HT_ENOENT, HT_EACCES, HT_EIO, HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_raft_verify(const char *directory,
                                        ht_raft_check *ret_check);
/** Copy the newest snapshot of a directory, of a running member too, to a new
 *  file, checked and durable.  Blocks.  HT_ENOENT: there is none yet (take one
 *  first); HT_EEXIST: the file exists; otherwise as ht_raft_verify(). */
HT_API HT_MUSTUSE ht_err ht_raft_backup(const char *directory,
                                        const char *file);
/** Make a directory, which must be empty or missing, that holds the state of a
 *  backup as the only member of a new group, on the node of that name.  It is
 *  started without bootstrap; others are added to it.  Blocks.  HT_EEXIST: the
 *  directory is not empty; otherwise as ht_raft_verify(). */
HT_API HT_MUSTUSE ht_err ht_raft_restore_backup(const char *file,
                                                const char *directory,
                                                const char *node_name);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_RAFT_H */
