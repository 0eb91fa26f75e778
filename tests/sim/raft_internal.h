/* SPDX-License-Identifier: Apache-2.0 */
/* raft_internal.h - shared by the files of the Raft simulation. */
#ifndef TESTS_SIM_RAFT_INTERNAL_H
#define TESTS_SIM_RAFT_INTERNAL_H

#include "tests/sim/raft_disk.h"
#include "tests/sim/raft_sim.h"

enum rsim_kind {
    RSIM_MESSAGE,
    RSIM_LOG,  /* the jobs of the log's queue that wait are run */
    RSIM_FILE, /* the first of the files' queue */
    RSIM_TICK,
    RSIM_FLUSH,
    RSIM_ACT,   /* clients */
    RSIM_FAULT, /* the next one */
};

struct rsim_event {
    uint64_t at_us;
    uint64_t number; /* ties are broken by it */
    enum rsim_kind kind;
    unsigned member;
    unsigned life;
    unsigned from; /* of a message */
    uint8_t *data;
    size_t len;
};

struct rsim_member {
    struct rsim *sim;
    unsigned number;
    unsigned life; /* 0: never started */
    char name[32];
    struct rdisk *disk;
    struct hti_disk as_disk;
    struct hti_store *store;
    struct hti_core *core; /* NULL: it is down */
    void *machine;
    struct hti_jobs log_jobs;
    struct hti_jobs file_jobs;
    bool log_due;
    bool file_due;
    bool flush_due;
    uint64_t tick_at;
    uint64_t paused_until_us;
    int64_t clock_ms; /* its wall clock is off by */
    bool slow;
    bool damaged; /* a flipped bit: it must not start */
    uint64_t flip_at;
    char flip_name[32];
    bool meta_hit; /* since it started last */

    /* For the checks. */
    struct hti_entry **shadow; /* of its log, from shadow_first on */
    uint64_t shadow_first;
    size_t shadow_count;
    size_t shadow_cap;
    uint64_t led_term;
    uint64_t commit;
    uint64_t term;
    uint64_t applied;
};

/* What some log holds at an index: all of one term are equal. */
struct rsim_version {
    uint64_t term;
    uint64_t hash;
    uint64_t prev_term;
};

struct rsim_index {
    struct rsim_version *versions;
    size_t count;
    uint64_t committed_term; /* of the entry; 0: not known to be */
    uint64_t committed_in;   /* the leader's term when it was */
    uint64_t applied_hash;
    bool applied;
};

struct rsim {
    struct rsim_options options;
    uint64_t random;
    uint64_t now_us;
    uint64_t events_done;
    uint64_t signature;
    struct rsim_event *heap;
    size_t heap_count;
    size_t heap_cap;
    uint64_t next_number;
    unsigned voters; /* how many there should be */
    unsigned count;  /* of members, spares included */
    struct rsim_member members[RSIM_MEMBERS_MAX];
    uint8_t blocked[RSIM_MEMBERS_MAX][RSIM_MEMBERS_MAX];
    unsigned lose; /* of 1000 messages */
    unsigned twice;
    unsigned delay_us;
    bool faults;
    bool changing; /* a change of the members is under way */
    unsigned change_target;
    bool change_removes;
    unsigned wipe; /* the member of that number less one gets a new disk */

    uint64_t *leaders; /* id by term */
    size_t leaders_cap;
    struct rsim_index *log;
    size_t log_cap;
    uint64_t committed; /* the highest index that is known to be */
    void *own_app;
};

/* raft_sim.c */
void rsim_note(struct rsim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void rsim_post(struct rsim *sim, uint64_t after_us, struct rsim_event event);
void rsim_start_member(struct rsim *sim, unsigned i);
/* power: with what the disk loses then. */
void rsim_crash_member(struct rsim *sim, unsigned i, bool power);
void rsim_after(struct rsim *sim, struct rsim_member *m, ht_err err);
/* Whether its log on disk has a later batch than its first record; the name of
 * the oldest file is noted. */
bool rsim_log_has_more(struct rsim_member *m);
struct hti_when rsim_when(const struct rsim_member *m);

/* raft_fault.c */
void rsim_fault(struct rsim *sim);
void rsim_heal(struct rsim *sim);
/* Have the group's size as it should be. */
void rsim_grow(struct rsim *sim);

/* raft_check.c */
void rsim_check(struct rsim *sim, struct rsim_member *m);
void rsim_check_apply(struct rsim *sim,
                      struct rsim_member *m,
                      uint64_t index,
                      uint64_t time_ms,
                      ht_bytes command);
void rsim_check_down(struct rsim_member *m);
void rsim_check_fini(struct rsim *sim);

/* raft_app.c */
extern const struct rsim_app rsim_list_app;
void *rsim_list_new(void);
void rsim_list_free(void *app);

#endif /* TESTS_SIM_RAFT_INTERNAL_H */
