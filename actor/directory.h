/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h - who is who on this node: names, process groups, and who watches
 * them.
 *
 * One mutex, the directory lock, guards all of it.  Reads copy out under it and
 * act after it; only what peers are told (hti_remote_ops: advertise, withdraw,
 * joined, left) and what watchers are told happens inside, so that both come in
 * the order of the changes.  Whoever calls in here holds no lock that
 * hti_actor_is_live(), hti_actor_flags(), hti_actor_set_advertised(),
 * hti_post() or those operations take.
 *
 * An actor is advertised when it first gets a name or joins a group, unless it
 * is local_only or unlisted, and stays so until it ends.
 *
 * Thread: any.  Lifetime: from hti_rt_new() to hti_rt_free().
 */
#ifndef HTI_ACTOR_DIRECTORY_H
#define HTI_ACTOR_DIRECTORY_H

#include "actor/runtime.h"

/* Of a name, a scope or a group, without the NUL. */
#define HTI_NAME_BYTES_MAX 255

/* Group events that one watcher has not handled yet; more are lost, and counted
 * as dropped. */
#define HTI_GROUP_EVENTS_MAX 65536

struct hti_directory;

/* The length of a name, scope or group; -1 if it cannot be one. */
int hti_name_len(const char *text);

ht_err hti_directory_new(ht_node *node, struct hti_directory **ret_directory);
void hti_directory_free(struct hti_directory *directory);

/* Give a local actor a name. HT_EEXIST, HT_EINVAL (the name), HT_ENOPROC,
 * HT_ENOMEM. */
ht_err hti_directory_register(struct hti_directory *directory,
                              uint64_t pid,
                              const char *name);
/* 0: nobody has it.  len: without a NUL; names that came from a peer are looked
 * up as they are. */
uint64_t hti_directory_find(struct hti_directory *directory,
                            const void *name,
                            size_t len);
/* The first name of a local actor, "" if it has none; returns buf. */
const char *hti_directory_name(struct hti_directory *directory,
                               uint64_t pid,
                               char buf[HTI_NAME_BYTES_MAX + 1]);

/* A name that only the actor owner knows it by: a supervisor's child.  It goes
 * with pid; find gives 0 if nobody has it. */
ht_err hti_directory_register_child(struct hti_directory *directory,
                                    uint64_t owner,
                                    const char *id,
                                    uint64_t pid);
uint64_t hti_directory_find_child(struct hti_directory *directory,
                                  uint64_t owner,
                                  const char *id);

/* A local actor begins to stop; called once, after it has ceased to be live.
 * Peers are told that it ended (which takes it out of their groups), then it
 * leaves its groups, its names are free and its monitors gone. */
void hti_directory_actor_ended(struct hti_directory *directory, uint64_t pid);
/* Every actor of that node leaves every group. */
void hti_directory_node_down(struct hti_directory *directory, uint64_t node);

#endif /* HTI_ACTOR_DIRECTORY_H */
