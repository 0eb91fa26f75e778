/* SPDX-License-Identifier: Apache-2.0 */
/* groups.h - what directory.c (actors, names), groups.c (members),
 * group_watch.c (watchers) and group_read.c share.  Everything here is guarded
 * by the directory lock and reached with it held.
 *
 *   actor --< name            an actor may have several names
 *   actor --< member >-- group
 *   actor --< watch  >-- topic    a topic is a pattern of groups
 *
 * An actor's record exists while one of these hangs on it or it is advertised.
 * A group exists while it has a member, a topic while it has a watch.
 */
#ifndef HTI_ACTOR_GROUPS_H
#define HTI_ACTOR_GROUPS_H

#include <pthread.h>
#include <sys/queue.h>

#include "actor/directory.h"
#include "base/table.h"

struct hti_dir_name {
    UT_hash_handle hh; /* by text */
    struct hti_dir_actor *actor;
    TAILQ_ENTRY(hti_dir_name) of_actor;
    size_t len;
    bool private; /* a supervisor's name for its child: never shown */
    char text[];
};

struct hti_dir_actor {
    UT_hash_handle hh; /* by ref */
    ht_ref ref;
    bool advertised;           /* own actors only */
    uint64_t last_change;      /* that it was told of, as a watcher */
    struct hti_dir_peer *peer; /* NULL: an own actor */
    LIST_ENTRY(hti_dir_actor) of_peer;
    TAILQ_HEAD(, hti_dir_name) names; /* the first public one is shown */
    LIST_HEAD(, hti_dir_member) members;
    LIST_HEAD(, hti_dir_watch) watches;
};

/* The actors of one other node. */
struct hti_dir_peer {
    UT_hash_handle hh; /* by node */
    uint64_t node;
    LIST_HEAD(, hti_dir_actor) actors;
};

struct hti_dir_member_key {
    struct hti_dir_group *group;
    ht_ref ref;
};

struct hti_dir_member {
    UT_hash_handle hh; /* by key */
    struct hti_dir_member_key key;
    struct hti_dir_actor *actor;
    size_t index; /* in the group's arrays */
    LIST_ENTRY(hti_dir_member) of_actor;
    SLIST_ENTRY(hti_dir_member) of_change;
};
/* The members that one change added or removed. */
SLIST_HEAD(hti_dir_change, hti_dir_member);

struct hti_dir_group {
    UT_hash_handle hh; /* by key */
    ht_ref *refs;      /* own members first, then those of other nodes */
    struct hti_dir_member **members; /* of refs[i] */
    size_t count;
    size_t local_count;
    size_t cap;
    size_t turn;                /* of ht_group_pick() */
    struct hti_dir_change gone; /* while a node goes down */
    SLIST_ENTRY(hti_dir_group) of_down;
    const char *group; /* in key, after the scope */
    size_t key_len;
    char key[]; /* scope NUL group NUL */
};

struct hti_dir_topic {
    UT_hash_handle hh; /* by key */
    LIST_HEAD(, hti_dir_watch) watches;
    size_t key_len;
    char key[];
};

struct hti_dir_watch {
    struct hti_dir_topic *topic;
    struct hti_dir_actor *actor;
    LIST_ENTRY(hti_dir_watch) of_topic;
    LIST_ENTRY(hti_dir_watch) of_actor;
};

struct hti_directory {
    ht_node *node;
    pthread_mutex_t lock;
    struct hti_dir_actor *actors;
    struct hti_dir_name *names;
    struct hti_dir_peer *peers;
    struct hti_dir_group *groups;
    struct hti_dir_member *members;
    struct hti_dir_topic *topics;
    uint64_t changes; /* numbers what watchers are told */
};

/* scope NUL group NUL.  Neither has a NUL inside, so no two groups share one.
 */
struct hti_dir_key {
    char bytes[2 * (HTI_NAME_BYTES_MAX + 1)];
    size_t len;
    size_t scope_len;
    unsigned hash;
};

/* directory.c */

struct hti_dir_actor *hti_dir_actor_find(struct hti_directory *dir, ht_ref ref);
/* Find or make; NULL: no memory. */
struct hti_dir_actor *hti_dir_actor_get(struct hti_directory *dir, ht_ref ref);
/* Free the record if nothing hangs on it. */
void hti_dir_actor_tidy(struct hti_directory *dir, struct hti_dir_actor *actor);
/* An own actor has got its first name or group. */
void hti_dir_advertise(struct hti_directory *dir, struct hti_dir_actor *actor);
const char *hti_dir_actor_name(const struct hti_dir_actor *actor);

/* groups.c */

/* HT_EINVAL: not names. scope NULL: the default one. */
ht_err
hti_dir_key_make(struct hti_dir_key *key, const char *scope, const char *group);
/* NULL: it has no members. */
struct hti_dir_group *hti_dir_group_find(struct hti_directory *dir,
                                         const struct hti_dir_key *key);

/* Leave every group, telling watchers, not peers. */
void hti_dir_leave_all(struct hti_directory *dir, struct hti_dir_actor *actor);
/* The actors of a node leave every group. */
void hti_dir_peer_down(struct hti_directory *dir, struct hti_dir_peer *peer);

/* group_watch.c */

/* What change added to the group or took from it. */
void hti_dir_tell_watchers(struct hti_directory *dir,
                           const struct hti_dir_group *group,
                           bool joined,
                           const struct hti_dir_change *change);
void hti_dir_unwatch_all(struct hti_directory *dir,
                         struct hti_dir_actor *actor);

#endif /* HTI_ACTOR_GROUPS_H */
