/* SPDX-License-Identifier: Apache-2.0 */
/* Looking groups up and sending to them.  What is found is copied under the
 * lock and used after it. */
#include <stdlib.h>
#include <string.h>

#include "actor/groups.h"
#include "actor/internal.h"

/* How many members a snapshot tells at a time. */
#define SNAPSHOT_BATCH 256
/* Members that ht_group_cast() keeps on the stack. */
#define CAST_STACK 64

static size_t members_copy(ht_node *node,
                           const char *scope,
                           const char *group,
                           bool only_local,
                           ht_ref *ret_refs,
                           size_t max)
{
    struct hti_directory *dir = node->directory;
    const struct hti_dir_group *found;
    struct hti_dir_key key;
    size_t count = 0;

    if (hti_dir_key_make(&key, scope, group) != HT_OK) {
        return 0;
    }
    pthread_mutex_lock(&dir->lock);
    found = hti_dir_group_find(dir, &key);
    if (found != NULL) {
        size_t copied;

        count = only_local ? found->local_count : found->count;
        copied = count < max ? count : max;
        if (copied > 0) {
            memcpy(ret_refs, found->refs, copied * sizeof *ret_refs);
        }
    }
    pthread_mutex_unlock(&dir->lock);
    return count;
}

size_t ht_group_members(ht_node *node,
                        const char *scope,
                        const char *group,
                        ht_ref *ret_refs,
                        size_t max)
{
    return members_copy(node, scope, group, false, ret_refs, max);
}

size_t ht_group_local_members(ht_node *node,
                              const char *scope,
                              const char *group,
                              ht_ref *ret_refs,
                              size_t max)
{
    return members_copy(node, scope, group, true, ret_refs, max);
}

ht_err ht_group_pick(ht_node *node,
                     const char *scope,
                     const char *group,
                     bool prefer_local,
                     ht_ref *ret_ref)
{
    struct hti_directory *dir = node->directory;
    struct hti_dir_group *found;
    struct hti_dir_key key;

    if (hti_dir_key_make(&key, scope, group) != HT_OK) {
        return HT_EINVAL;
    }
    pthread_mutex_lock(&dir->lock);
    found = hti_dir_group_find(dir, &key);
    if (found != NULL) {
        size_t count = prefer_local && found->local_count > 0
                           ? found->local_count
                           : found->count;

        *ret_ref = found->refs[found->turn++ % count];
    }
    pthread_mutex_unlock(&dir->lock);
    return found != NULL ? HT_OK : HT_ENOENT;
}

size_t ht_group_cast(ht_node *node,
                     const char *scope,
                     const char *group,
                     const char *variant,
                     const void *args,
                     size_t args_len)
{
    ht_ref stack[CAST_STACK], *refs = stack, *larger = NULL;
    size_t cap = CAST_STACK, count, accepted = 0;

    /* The group may grow between the two. */
    while ((count = ht_group_members(node, scope, group, refs, cap)) > cap) {
        free(larger);
        cap = count + count / 4;
        larger = malloc(cap * sizeof *larger);
        if (larger == NULL) {
            return 0;
        }
        refs = larger;
    }
    for (size_t i = 0; i < count; i++) {
        accepted += ht_cast(node, refs[i], variant, args, args_len) == HT_OK;
    }
    free(larger);
    return accepted;
}

void ht_group_each(ht_node *node,
                   void (*fn)(const char *scope,
                              const char *group,
                              const ht_ref *refs,
                              size_t count,
                              void *arg),
                   void *arg)
{
    struct hti_directory *dir = node->directory;
    const struct hti_dir_group *group;

    pthread_mutex_lock(&dir->lock);
    for (group = dir->groups; group != NULL; group = group->hh.next) {
        fn(group->key, group->group, group->refs, group->count, arg);
    }
    pthread_mutex_unlock(&dir->lock);
}

/* ---- what a peer is told first ------------------------------------------- */

static void snapshot_group(const struct hti_dir_group *group,
                           const struct hti_snapshot_ops *ops,
                           void *arg)
{
    uint64_t pids[SNAPSHOT_BATCH];
    const char *names[SNAPSHOT_BATCH];
    size_t count = 0;

    for (size_t i = 0; i < group->local_count; i++) {
        const struct hti_dir_actor *actor = group->members[i]->actor;

        if (!actor->advertised) {
            continue;
        }
        pids[count] = actor->ref.pid;
        names[count++] = hti_dir_actor_name(actor);
        if (count == SNAPSHOT_BATCH) {
            ops->group(arg, group->key, group->group, pids, names, count);
            count = 0;
        }
    }
    if (count > 0) {
        ops->group(arg, group->key, group->group, pids, names, count);
    }
}

void hti_rt_snapshot(ht_node *node,
                     const struct hti_snapshot_ops *ops,
                     void *arg)
{
    struct hti_directory *dir = node->directory;
    const struct hti_dir_actor *actor;
    const struct hti_dir_group *group;

    pthread_mutex_lock(&dir->lock);
    for (actor = dir->actors; actor != NULL; actor = actor->hh.next) {
        if (actor->advertised) {
            ops->actor(arg, actor->ref.pid, hti_dir_actor_name(actor));
        }
    }
    for (group = dir->groups; group != NULL; group = group->hh.next) {
        snapshot_group(group, ops, arg);
    }
    ops->done(arg);
    pthread_mutex_unlock(&dir->lock);
}
