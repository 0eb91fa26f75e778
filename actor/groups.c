/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups: who joins and leaves. */
#include "actor/groups.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actor/internal.h"

/* ---- keys ---------------------------------------------------------------- */

ht_err
hti_dir_key_make(struct hti_dir_key *key, const char *scope, const char *group)
{
    int scope_len, group_len;

    scope = scope != NULL ? scope : HT_SCOPE_DEFAULT;
    scope_len = hti_name_len(scope);
    group_len = hti_name_len(group);
    if (scope_len < 0 || group_len < 0) {
        return HT_EINVAL;
    }
    key->scope_len = (size_t)scope_len;
    key->len = (size_t)scope_len + (size_t)group_len + 2;
    memcpy(key->bytes, scope, (size_t)scope_len + 1);
    memcpy(key->bytes + scope_len + 1, group, (size_t)group_len + 1);
    key->hash = hti_hash(key->bytes, key->len);
    return HT_OK;
}

/* ---- groups -------------------------------------------------------------- */

struct hti_dir_group *hti_dir_group_find(struct hti_directory *dir,
                                         const struct hti_dir_key *key)
{
    struct hti_dir_group *group;

    HASH_FIND_BYHASHVALUE(hh, dir->groups, key->bytes, key->len, key->hash,
                          group);
    return group;
}

static struct hti_dir_group *group_get(struct hti_directory *dir,
                                       const struct hti_dir_key *key)
{
    struct hti_dir_group *group = hti_dir_group_find(dir, key);

    if (group != NULL) {
        return group;
    }
    group = calloc(1, sizeof *group + key->len);
    if (group == NULL) {
        return NULL;
    }
    memcpy(group->key, key->bytes, key->len);
    group->key_len = key->len;
    group->group = group->key + key->scope_len + 1;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, dir->groups, group->key, key->len,
                                key->hash, group);
    if (!hti_in_table(&group->hh)) {
        free(group);
        return NULL;
    }
    return group;
}

static void group_tidy(struct hti_directory *dir, struct hti_dir_group *group)
{
    if (group->count == 0) {
        HASH_DEL(dir->groups, group);
        free(group->refs);
        free(group->members);
        free(group);
    }
}

static ht_err group_grow(struct hti_dir_group *group)
{
    size_t cap = group->cap > 0 ? 2 * group->cap : 4;
    struct hti_dir_member **members;
    ht_ref *refs;

    if (group->count < group->cap) {
        return HT_OK;
    }
    refs = realloc(group->refs, cap * sizeof *refs);
    if (refs == NULL) {
        return HT_ENOMEM;
    }
    group->refs = refs;
    members = realloc(group->members, cap * sizeof(struct hti_dir_member *));
    if (members == NULL) {
        return HT_ENOMEM;
    }
    group->members = members;
    group->cap = cap;
    return HT_OK;
}

static void
group_place(struct hti_dir_group *group, size_t at, struct hti_dir_member *m)
{
    group->refs[at] = m->key.ref;
    group->members[at] = m;
    m->index = at;
}

/* ---- members ------------------------------------------------------------- */

static struct hti_dir_member *
member_find(struct hti_directory *dir, struct hti_dir_group *group, ht_ref ref)
{
    struct hti_dir_member_key key = {group, ref};
    struct hti_dir_member *m;

    HASH_FIND(hh, dir->members, &key, sizeof key, m);
    return m;
}

static void member_place(struct hti_dir_group *group, struct hti_dir_member *m)
{
    size_t at = group->count++;

    if (m->actor->peer == NULL) {
        size_t first_remote = group->local_count++;

        if (first_remote < at) {
            group_place(group, at, group->members[first_remote]);
        }
        at = first_remote;
    }
    group_place(group, at, m);
}

/* Adds to change what was not a member before. */
static ht_err member_add(struct hti_directory *dir,
                         struct hti_dir_group *group,
                         struct hti_dir_actor *actor,
                         struct hti_dir_change *change)
{
    struct hti_dir_member *m;

    if (member_find(dir, group, actor->ref) != NULL) {
        return HT_OK;
    }
    if (group_grow(group) != HT_OK) {
        return HT_ENOMEM;
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return HT_ENOMEM;
    }
    m->key.group = group;
    m->key.ref = actor->ref;
    m->actor = actor;
    HASH_ADD(hh, dir->members, key, sizeof m->key, m);
    if (!hti_in_table(&m->hh)) {
        free(m);
        return HT_ENOMEM;
    }
    LIST_INSERT_HEAD(&actor->members, m, of_actor);
    member_place(group, m);
    SLIST_INSERT_HEAD(change, m, of_change);
    return HT_OK;
}

/* Moves m into change, which then owns it. */
static void member_remove(struct hti_directory *dir,
                          struct hti_dir_member *m,
                          struct hti_dir_change *change)
{
    struct hti_dir_group *group = m->key.group;
    size_t hole = m->index;

    HASH_DEL(dir->members, m);
    LIST_REMOVE(m, of_actor);
    if (hole < group->local_count) {
        size_t last_local = --group->local_count;

        group_place(group, hole, group->members[last_local]);
        hole = last_local;
    }
    /* Not if the hole is the end: what stands there has just been moved. */
    if (hole != --group->count) {
        group_place(group, hole, group->members[group->count]);
    }
    SLIST_INSERT_HEAD(change, m, of_change);
}

static void change_free(struct hti_dir_change *change)
{
    while (!SLIST_EMPTY(change)) {
        struct hti_dir_member *m = SLIST_FIRST(change);

        SLIST_REMOVE_HEAD(change, of_change);
        free(m);
    }
}

/* ---- joining and leaving ------------------------------------------------- */

static void tell_peers(struct hti_directory *dir,
                       const struct hti_dir_group *group,
                       bool joined,
                       const struct hti_dir_actor *actor)
{
    const struct hti_remote_ops *remote = dir->node->remote;
    const char *name = hti_dir_actor_name(actor);
    uint64_t pid = actor->ref.pid;

    if (remote == NULL || !actor->advertised) {
        return;
    }
    if (joined) {
        remote->joined(dir->node->remote_arg, group->key, group->group, &pid,
                       &name, 1);
    } else {
        remote->left(dir->node->remote_arg, group->key, group->group, &pid,
                     &name, 1);
    }
}

static ht_err
join_own(struct hti_directory *dir, const struct hti_dir_key *key, ht_ref ref)
{
    struct hti_dir_change change = SLIST_HEAD_INITIALIZER(change);
    struct hti_dir_group *group;
    struct hti_dir_actor *actor;
    ht_err err = HT_ENOMEM;

    /* Under the lock; see register_locked(). */
    if (!hti_actor_is_live(dir->node, ref.pid)) {
        return HT_ENOPROC;
    }
    group = group_get(dir, key);
    if (group == NULL) {
        return HT_ENOMEM;
    }
    actor = hti_dir_actor_get(dir, ref);
    if (actor != NULL) {
        err = member_add(dir, group, actor, &change);
        if (err == HT_OK && !SLIST_EMPTY(&change)) {
            hti_dir_advertise(dir, actor);
            tell_peers(dir, group, true, actor);
            hti_dir_tell_watchers(dir, group, true, &change);
        }
        hti_dir_actor_tidy(dir, actor);
    }
    group_tidy(dir, group);
    return err;
}

/* With an actor of our own, as scope and group say, under the lock. */
static ht_err with_own(ht_node *node,
                       const char *scope,
                       const char *group,
                       ht_ref ref,
                       ht_err (*fn)(struct hti_directory *dir,
                                    const struct hti_dir_key *key,
                                    ht_ref ref))
{
    struct hti_directory *dir = node->directory;
    struct hti_dir_key key;
    ht_err err = hti_dir_key_make(&key, scope, group);

    if (err != HT_OK || ref.node != hti_rt_local_handle(node)) {
        return HT_EINVAL;
    }
    pthread_mutex_lock(&dir->lock);
    err = fn(dir, &key, ref);
    pthread_mutex_unlock(&dir->lock);
    return err;
}

ht_err ht_group_join_scoped(ht_node *node,
                            const char *scope,
                            const char *group,
                            ht_ref ref)
{
    return with_own(node, scope, group, ref, join_own);
}

ht_err ht_group_join(ht_node *node, const char *group, ht_ref ref)
{
    return ht_group_join_scoped(node, NULL, group, ref);
}

static ht_err
leave_own(struct hti_directory *dir, const struct hti_dir_key *key, ht_ref ref)
{
    struct hti_dir_change change = SLIST_HEAD_INITIALIZER(change);
    struct hti_dir_group *group = hti_dir_group_find(dir, key);
    struct hti_dir_member *m;
    struct hti_dir_actor *actor;

    m = group != NULL ? member_find(dir, group, ref) : NULL;
    if (m == NULL) {
        return HT_ENOENT;
    }
    actor = m->actor;
    member_remove(dir, m, &change);
    tell_peers(dir, group, false, actor);
    hti_dir_tell_watchers(dir, group, false, &change);
    change_free(&change);
    group_tidy(dir, group);
    hti_dir_actor_tidy(dir, actor);
    return HT_OK;
}

ht_err ht_group_leave_scoped(ht_node *node,
                             const char *scope,
                             const char *group,
                             ht_ref ref)
{
    return with_own(node, scope, group, ref, leave_own);
}

ht_err ht_group_leave(ht_node *node, const char *group, ht_ref ref)
{
    return ht_group_leave_scoped(node, NULL, group, ref);
}

void hti_dir_leave_all(struct hti_directory *dir, struct hti_dir_actor *actor)
{
    while (!LIST_EMPTY(&actor->members)) {
        struct hti_dir_change change = SLIST_HEAD_INITIALIZER(change);
        struct hti_dir_member *m = LIST_FIRST(&actor->members);
        struct hti_dir_group *group = m->key.group;

        member_remove(dir, m, &change);
        hti_dir_tell_watchers(dir, group, false, &change);
        change_free(&change);
        group_tidy(dir, group);
    }
}

/* ---- members on other nodes ---------------------------------------------- */

static ht_err join_remote(struct hti_directory *dir,
                          const struct hti_dir_key *key,
                          const ht_ref *refs,
                          size_t count)
{
    struct hti_dir_change change = SLIST_HEAD_INITIALIZER(change);
    struct hti_dir_group *group = group_get(dir, key);
    ht_err err = group != NULL ? HT_OK : HT_ENOMEM;

    for (size_t i = 0; err == HT_OK && i < count; i++) {
        struct hti_dir_actor *actor = hti_dir_actor_get(dir, refs[i]);

        if (actor == NULL) {
            err = HT_ENOMEM;
        } else {
            err = member_add(dir, group, actor, &change);
            hti_dir_actor_tidy(dir, actor);
        }
    }
    if (group != NULL) {
        /* Those that joined before memory ran out did join. */
        hti_dir_tell_watchers(dir, group, true, &change);
        group_tidy(dir, group);
    }
    return err;
}

ht_err hti_rt_group_join_remote(ht_node *node,
                                const char *scope,
                                const char *group,
                                const ht_ref *refs,
                                size_t count)
{
    struct hti_directory *dir = node->directory;
    struct hti_dir_key key;
    ht_err err = hti_dir_key_make(&key, scope, group);

    for (size_t i = 0; i < count; i++) {
        assert(refs[i].node != 0);
        assert(refs[i].node != hti_rt_local_handle(node));
    }
    if (err != HT_OK) {
        return err;
    }
    pthread_mutex_lock(&dir->lock);
    err = join_remote(dir, &key, refs, count);
    pthread_mutex_unlock(&dir->lock);
    return err;
}

static void leave_remote(struct hti_directory *dir,
                         struct hti_dir_group *group,
                         const ht_ref *refs,
                         size_t count)
{
    struct hti_dir_change change = SLIST_HEAD_INITIALIZER(change);

    for (size_t i = 0; i < count; i++) {
        struct hti_dir_member *m = member_find(dir, group, refs[i]);

        if (m != NULL && m->actor->peer != NULL) {
            struct hti_dir_actor *actor = m->actor;

            member_remove(dir, m, &change);
            hti_dir_actor_tidy(dir, actor);
        }
    }
    hti_dir_tell_watchers(dir, group, false, &change);
    change_free(&change);
    group_tidy(dir, group);
}

void hti_rt_group_leave_remote(ht_node *node,
                               const char *scope,
                               const char *group,
                               const ht_ref *refs,
                               size_t count)
{
    struct hti_directory *dir = node->directory;
    struct hti_dir_group *found;
    struct hti_dir_key key;

    if (hti_dir_key_make(&key, scope, group) != HT_OK) {
        return;
    }
    pthread_mutex_lock(&dir->lock);
    found = hti_dir_group_find(dir, &key);
    if (found != NULL) {
        leave_remote(dir, found, refs, count);
    }
    pthread_mutex_unlock(&dir->lock);
}

void hti_rt_group_leave_all(ht_node *node, ht_ref ref)
{
    struct hti_directory *dir = node->directory;
    struct hti_dir_actor *actor;

    pthread_mutex_lock(&dir->lock);
    actor = hti_dir_actor_find(dir, ref);
    if (actor != NULL && actor->peer != NULL) {
        hti_dir_leave_all(dir, actor);
        hti_dir_actor_tidy(dir, actor);
    }
    pthread_mutex_unlock(&dir->lock);
}

/* One event a group, however many of the node's actors were in it. */
void hti_dir_peer_down(struct hti_directory *dir, struct hti_dir_peer *peer)
{
    SLIST_HEAD(, hti_dir_group) touched = SLIST_HEAD_INITIALIZER(touched);
    bool last = LIST_EMPTY(&peer->actors);

    while (!last) {
        struct hti_dir_actor *actor = LIST_FIRST(&peer->actors);

        while (!LIST_EMPTY(&actor->members)) {
            struct hti_dir_member *m = LIST_FIRST(&actor->members);
            struct hti_dir_group *group = m->key.group;

            if (SLIST_EMPTY(&group->gone)) {
                SLIST_INSERT_HEAD(&touched, group, of_down);
            }
            member_remove(dir, m, &group->gone);
        }
        /* The peer's record goes with its last actor's. */
        last = LIST_NEXT(actor, of_peer) == NULL;
        hti_dir_actor_tidy(dir, actor);
    }
    while (!SLIST_EMPTY(&touched)) {
        struct hti_dir_group *group = SLIST_FIRST(&touched);

        SLIST_REMOVE_HEAD(&touched, of_down);
        hti_dir_tell_watchers(dir, group, false, &group->gone);
        change_free(&group->gone);
        group_tidy(dir, group);
    }
}
