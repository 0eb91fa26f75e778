/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/announced.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

/* One group lies in the entry itself: most actors are in one or none. */
struct hti_announced_entry {
    uint64_t pid;
    uint32_t used : 1;
    uint32_t count : 31; /* groups */
    uint32_t cap;        /* 0: u.one; else of u.many */
    union {
        uint64_t one;
        uint64_t *many;
    } u;
};

struct hti_announced_group {
    uint64_t hash;
    size_t members;
    UT_hash_handle hh;
};

void hti_announced_init(struct hti_announced *announced, uint64_t seed)
{
    memset(announced, 0, sizeof *announced);
    announced->seed = seed;
}

static void entry_fini(struct hti_announced_entry *e)
{
    if (e->used && e->cap != 0) {
        free(e->u.many);
    }
}

static void groups_free(struct hti_announced *announced)
{
    struct hti_announced_group *at = announced->groups, *next;

    /* The chain of insertion outlives the table. */
    HASH_CLEAR(hh, announced->groups);
    for (; at != NULL; at = next) {
        next = at->hh.next;
        free(at);
    }
}

static struct hti_announced_group *
group_find(const struct hti_announced *announced, uint64_t hash)
{
    struct hti_announced_group *group;

    HASH_FIND(hh, announced->groups, &hash, sizeof hash, group);
    return group;
}

static ht_err group_enter(struct hti_announced *announced, uint64_t hash)
{
    struct hti_announced_group *group = group_find(announced, hash);

    if (group == NULL) {
        if (HASH_COUNT(announced->groups) >= HTI_ANNOUNCED_GROUPS_MAX) {
            return HT_ETOOBIG;
        }
        group = calloc(1, sizeof *group);
        if (group == NULL) {
            return HT_ENOMEM;
        }
        group->hash = hash;
        HASH_ADD(hh, announced->groups, hash, sizeof group->hash, group);
        if (!hti_in_table(&group->hh)) {
            free(group);
            return HT_ENOMEM;
        }
    }
    group->members++;
    return HT_OK;
}

static void group_exit(struct hti_announced *announced, uint64_t hash)
{
    struct hti_announced_group *group = group_find(announced, hash);

    assert(group != NULL);
    group->members--;
    if (group->members == 0) {
        HASH_DEL(announced->groups, group);
        free(group);
    }
}

void hti_announced_fini(struct hti_announced *announced)
{
    for (size_t i = 0; i < announced->cap; i++) {
        entry_fini(&announced->entries[i]);
    }
    free(announced->entries);
    groups_free(announced);
    hti_announced_init(announced, announced->seed);
}

/* A finaliser of splitmix64 over pid and a seed the peer does not know, so that
 * pids cannot be chosen to collide. */
static size_t home(const struct hti_announced *announced, uint64_t pid)
{
    uint64_t x = pid ^ announced->seed;

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)(x ^ (x >> 31)) & (announced->cap - 1);
}

/* The entry of pid, or the free one where it would go. */
static size_t probe(const struct hti_announced *announced, uint64_t pid)
{
    size_t i = home(announced, pid);

    while (announced->entries[i].used && announced->entries[i].pid != pid) {
        i = (i + 1) & (announced->cap - 1);
    }
    return i;
}

static struct hti_announced_entry *find(const struct hti_announced *announced,
                                        uint64_t pid)
{
    size_t i;

    if (announced->cap == 0) {
        return NULL;
    }
    i = probe(announced, pid);
    return announced->entries[i].used ? &announced->entries[i] : NULL;
}

static bool is_full(const struct hti_announced *announced)
{
    return announced->actors + announced->memberships >= HTI_ANNOUNCED_MAX;
}

/* At most three quarters full. */
static ht_err reserve(struct hti_announced *announced)
{
    struct hti_announced old = *announced;
    size_t cap = old.cap == 0 ? 16 : old.cap * 2;

    if ((old.actors + 1) * 4 <= old.cap * 3) {
        return HT_OK;
    }
    announced->entries = calloc(cap, sizeof *announced->entries);
    if (announced->entries == NULL) {
        announced->entries = old.entries;
        return HT_ENOMEM;
    }
    announced->cap = cap;
    for (size_t i = 0; i < old.cap; i++) {
        if (old.entries[i].used) {
            size_t to = probe(announced, old.entries[i].pid);

            announced->entries[to] = old.entries[i];
        }
    }
    free(old.entries);
    return HT_OK;
}

ht_err hti_announced_add(struct hti_announced *announced, uint64_t pid)
{
    struct hti_announced_entry *e;
    ht_err err;

    if (find(announced, pid) != NULL) {
        return HT_OK;
    }
    if (is_full(announced)) {
        return HT_ETOOBIG;
    }
    err = reserve(announced);
    if (err != HT_OK) {
        return err;
    }
    e = &announced->entries[probe(announced, pid)];
    memset(e, 0, sizeof *e);
    e->used = 1;
    e->pid = pid;
    announced->actors++;
    return HT_OK;
}

static uint64_t *groups_of(struct hti_announced_entry *e)
{
    return e->cap == 0 ? &e->u.one : e->u.many;
}

static ht_err groups_grow(struct hti_announced_entry *e)
{
    uint32_t cap = e->cap == 0 ? 4 : e->cap * 2;
    uint64_t *many;

    if (e->count == 0 || (e->cap != 0 && e->count < e->cap)) {
        return HT_OK;
    }
    many = realloc(e->cap == 0 ? NULL : e->u.many, cap * sizeof *many);
    if (many == NULL) {
        return HT_ENOMEM;
    }
    if (e->cap == 0) {
        many[0] = e->u.one;
    }
    e->u.many = many;
    e->cap = cap;
    return HT_OK;
}

ht_err hti_announced_join(struct hti_announced *announced,
                          uint64_t pid,
                          uint64_t group)
{
    struct hti_announced_entry *e;
    ht_err err = hti_announced_add(announced, pid);

    if (err != HT_OK) {
        return err;
    }
    e = find(announced, pid);
    for (uint32_t i = 0; i < e->count; i++) {
        if (groups_of(e)[i] == group) {
            return HT_OK;
        }
    }
    if (is_full(announced) || e->count >= HTI_ANNOUNCED_PER_PID) {
        return HT_ETOOBIG;
    }
    err = groups_grow(e);
    if (err == HT_OK) {
        err = group_enter(announced, group);
    }
    if (err != HT_OK) {
        return err;
    }
    groups_of(e)[e->count] = group;
    e->count++;
    announced->memberships++;
    return HT_OK;
}

bool hti_announced_leave(struct hti_announced *announced,
                         uint64_t pid,
                         uint64_t group)
{
    struct hti_announced_entry *e = find(announced, pid);

    if (e == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < e->count; i++) {
        if (groups_of(e)[i] == group) {
            e->count--;
            groups_of(e)[i] = groups_of(e)[e->count];
            announced->memberships--;
            group_exit(announced, group);
            break;
        }
    }
    return true;
}

bool hti_announced_remove(struct hti_announced *announced, uint64_t pid)
{
    struct hti_announced_entry *e = find(announced, pid);
    size_t mask = announced->cap - 1;
    size_t hole, i;

    if (e == NULL) {
        return false;
    }
    announced->actors--;
    announced->memberships -= e->count;
    for (i = 0; i < e->count; i++) {
        group_exit(announced, groups_of(e)[i]);
    }
    entry_fini(e);
    /* Move back what the hole would cut off from its home. */
    hole = (size_t)(e - announced->entries);
    for (i = (hole + 1) & mask; announced->entries[i].used;
         i = (i + 1) & mask) {
        size_t at = home(announced, announced->entries[i].pid);

        if (((i - at) & mask) >= ((i - hole) & mask)) {
            announced->entries[hole] = announced->entries[i];
            hole = i;
        }
    }
    memset(&announced->entries[hole], 0, sizeof announced->entries[hole]);
    return true;
}

bool hti_announced_has(const struct hti_announced *announced, uint64_t pid)
{
    return find(announced, pid) != NULL;
}

size_t hti_announced_groups(const struct hti_announced *announced, uint64_t pid)
{
    const struct hti_announced_entry *e = find(announced, pid);

    return e == NULL ? 0 : e->count;
}
