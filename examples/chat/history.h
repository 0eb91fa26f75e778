/* SPDX-License-Identifier: Apache-2.0 */
/* history.h - what was said lately, in every channel, in the order of its ids.
 *
 * A message is known by who said it and its key: it is here once, whatever id
 * it has.  Keys are remembered longer than messages, so that what is said again
 * is recognised.
 *
 * Bounded: a channel's oldest message is forgotten for its newest, and the
 * oldest of all if there are too many.  Up to which id a channel was forgotten
 * is remembered, so that whoever asks for what is older can be told.
 *
 * Pure, but for memory: when there is none, nothing has changed.
 */
#ifndef CHAT_HISTORY_H
#define CHAT_HISTORY_H

#include <hardtack/base.h>
#include <sys/queue.h>

#include "examples/chat/world.pb-c.h"
#include "id.h"
#include "table.h"

struct channel;

struct entry {
    TAILQ_ENTRY(entry) all;
    TAILQ_ENTRY(entry) same; /* of its channel */
    UT_hash_handle hh;       /* by uid */
    struct channel *channel;
    struct id id;
    uint64_t time_ms;
    bool delivered; /* history_deliver() */
    size_t bytes;
    const char *channel_name, *from, *key, *text;
    size_t uid_len;
    char uid[]; /* from, a line feed, key; then the text */
};

TAILQ_HEAD(entries, entry);

struct history_limits {
    size_t channel_entries_max;
    size_t entries_max;
    size_t bytes_max;
    size_t keys_max; /* remembered of messages that are forgotten */
};

struct history;

/* NULL: no memory. */
struct history *history_new(const struct history_limits *limits);
void history_free(struct history *history); /* NULL is fine */

/* All messages, the oldest first; lent. */
const struct entries *history_entries(const struct history *history);
/* The highest id; none if there is no message. */
struct id history_top(const struct history *history);
/* The message that from said with key. false: not known.  *ret_entry (may be
 * NULL) is NULL if it is forgotten but for its id. */
bool history_find(const struct history *history,
                  const char *from,
                  const char *key,
                  struct id *ret_id,
                  struct entry **ret_entry);
/* Copies. It must not be known. Forgets the oldest if that is too many, which
 * can be this one.  HT_ENOMEM. */
HT_MUSTUSE ht_err history_add(struct history *history, const Chat__Entry *said);
/* Give a message another id, by which nobody has it yet. */
void history_move(struct history *history, struct entry *entry, struct id id);

/* The first that this world's users do not have; NULL: they have all. */
struct entry *history_undelivered(const struct history *history);
/* They have it now. */
void history_deliver(struct history *history, struct entry *entry);

/* Up to which id the channel was forgotten. */
struct id history_forgotten(const struct history *history, const char *channel);
/* Somebody else has forgotten so much; "": of every channel. */
void history_forget(struct history *history, const char *channel, struct id id);

/* Everything, for another world.  Strings are lent, arrays are freed with
 * history_export_free().  HT_ENOMEM. */
HT_MUSTUSE ht_err history_export(const struct history *history,
                                 Chat__Step *step);
void history_export_free(Chat__Step *step);

#endif /* CHAT_HISTORY_H */
