/* SPDX-License-Identifier: Apache-2.0 */
/* roster.h - who is there, in all worlds, and which guild everybody is in.
 *
 * A user is in one world.  If two worlds say that they have one, the one that
 * began later is right: the other has to let go.  Whoever has left is
 * remembered for the guild, until there is no room.
 *
 * Pure.
 */
#ifndef CHAT_ROSTER_H
#define CHAT_ROSTER_H

#include <hardtack/base.h>
#include <sys/queue.h>

#include "table.h"
#include "text.h"

/* Present and remembered. */
#define ROSTER_MAX 20000

struct person {
    UT_hash_handle hh;
    TAILQ_ENTRY(person) left; /* only of those who are not there */
    bool present;
    bool away;
    uint32_t world;
    uint64_t since_ms; /* when it began there */
    ht_ref ref;        /* of its actor */
    uint64_t guild_version;
    char guild[NAME_BYTES_MAX + 1]; /* "": none */
    char user[NAME_BYTES_MAX + 1];
};

struct roster;

struct roster *roster_new(void);
void roster_free(struct roster *roster); /* NULL is fine */

/* What a world says of a user; the fields of said but present and hh, left.
 * *ret_lost: it was, or is, in another world that has to let go: where; none:
 * nowhere.
 * HT_EBUSY: there are too many; HT_ENOMEM. */
HT_MUSTUSE ht_err roster_put(struct roster *roster,
                             const struct person *said,
                             uint32_t *ret_lost);
/* The user has left that world. */
void roster_leave(struct roster *roster, const char *user, uint32_t world);
/* So has everybody. */
void roster_leave_all(struct roster *roster, uint32_t world);
/* Also one who left; NULL: not known. Lent until the roster changes. */
const struct person *roster_find(const struct roster *roster, const char *user);
size_t roster_count(const struct roster *roster);
/* Grows whenever somebody comes, goes, or changes. */
uint64_t roster_changes(const struct roster *roster);
/* All that are there: pass NULL, then what was returned. */
const struct person *roster_next(const struct roster *roster,
                                 const struct person *person);

#endif /* CHAT_ROSTER_H */
