/* SPDX-License-Identifier: Apache-2.0 */
#include "roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TAILQ_HEAD(people, person);

struct roster {
    struct person *people;
    struct people left; /* who left first is forgotten first */
    size_t present;
    uint64_t changes;
};

struct roster *roster_new(void)
{
    struct roster *r = calloc(1, sizeof(*r));

    if (r != NULL) {
        TAILQ_INIT(&r->left);
    }
    return r;
}

void roster_free(struct roster *r)
{
    struct person *p, *next;

    if (r == NULL) {
        return;
    }
    p = r->people;
    HASH_CLEAR(hh, r->people);
    for (; p != NULL; p = next) {
        next = p->hh.next;
        free(p);
    }
    free(r);
}

static struct person *find(const struct roster *r, const char *user)
{
    struct person *p;

    HASH_FIND_STR(r->people, user, p);
    return p;
}

const struct person *roster_find(const struct roster *r, const char *user)
{
    return find(r, user);
}

size_t roster_count(const struct roster *r)
{
    return r->present;
}

uint64_t roster_changes(const struct roster *r)
{
    return r->changes;
}

const struct person *roster_next(const struct roster *r, const struct person *p)
{
    p = p == NULL ? r->people : p->hh.next;
    while (p != NULL && !p->present) {
        p = p->hh.next;
    }
    return p;
}

static ht_err add(struct roster *r, const char *user, struct person **ret)
{
    struct person *p;

    if (HASH_COUNT(r->people) >= ROSTER_MAX) {
        p = TAILQ_FIRST(&r->left);
        if (p == NULL) {
            return HT_EBUSY;
        }
        TAILQ_REMOVE(&r->left, p, left);
        HASH_DEL(r->people, p);
        free(p);
    }
    p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return HT_ENOMEM;
    }
    snprintf(p->user, sizeof(p->user), "%s", user);
    HASH_ADD_STR(r->people, user, p);
    if (p->hh.tbl == NULL) {
        free(p);
        return HT_ENOMEM;
    }
    TAILQ_INSERT_TAIL(&r->left, p, left);
    *ret = p;
    return HT_OK;
}

static void take_guild(struct person *p, const struct person *said)
{
    if (said->guild_version >= p->guild_version) {
        p->guild_version = said->guild_version;
        snprintf(p->guild, sizeof(p->guild), "%s", said->guild);
    }
}

/* Whether what is there is right against what is said. */
static bool stays(const struct person *p, const struct person *said)
{
    if (!p->present || p->world == said->world) {
        return false;
    }
    return p->since_ms != said->since_ms ? p->since_ms > said->since_ms
                                         : p->world > said->world;
}

ht_err
roster_put(struct roster *r, const struct person *said, uint32_t *ret_lost)
{
    struct person *p = find(r, said->user);
    ht_err err = p == NULL ? add(r, said->user, &p) : HT_OK;

    *ret_lost = 0;
    if (err != HT_OK) {
        return err;
    }
    take_guild(p, said);
    if (stays(p, said)) {
        *ret_lost = said->world;
        return HT_OK;
    }
    if (p->present && p->world != said->world) {
        *ret_lost = p->world;
    }
    if (!p->present) {
        TAILQ_REMOVE(&r->left, p, left);
        p->present = true;
        r->present++;
    }
    r->changes++;
    p->away = said->away;
    p->world = said->world;
    p->since_ms = said->since_ms;
    p->ref = said->ref;
    return HT_OK;
}

static void leave(struct roster *r, struct person *p)
{
    p->present = false;
    r->present--;
    r->changes++;
    TAILQ_INSERT_TAIL(&r->left, p, left);
}

void roster_leave(struct roster *r, const char *user, uint32_t world)
{
    struct person *p = find(r, user);

    if (p != NULL && p->present && p->world == world) {
        leave(r, p);
    }
}

void roster_leave_all(struct roster *r, uint32_t world)
{
    for (struct person *p = r->people; p != NULL; p = p->hh.next) {
        if (p->present && p->world == world) {
            leave(r, p);
        }
    }
}
