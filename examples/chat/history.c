/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

struct channel {
    UT_hash_handle hh;
    struct entries entries;
    size_t count;
    struct id forgotten;
    char name[];
};

/* A message that is forgotten but for its key. */
struct key {
    TAILQ_ENTRY(key) entry;
    UT_hash_handle hh;
    struct id id;
    size_t len;
    char uid[];
};

struct history {
    struct history_limits limits;
    struct entries entries; /* by id */
    size_t count, bytes;
    size_t undelivered;
    struct entry *by_uid;
    struct channel *channels;
    struct id forgotten; /* of channels that are not here */
    TAILQ_HEAD(, key) key_list;
    struct key *keys;
    size_t keys_count;
};

/* ---- life ---------------------------------------------------------------- */

struct history *history_new(const struct history_limits *limits)
{
    struct history *h = calloc(1, sizeof(*h));

    if (h != NULL) {
        h->limits = *limits;
        TAILQ_INIT(&h->entries);
        TAILQ_INIT(&h->key_list);
    }
    return h;
}

static void key_forget(struct history *h, struct key *key)
{
    HASH_DEL(h->keys, key);
    TAILQ_REMOVE(&h->key_list, key, entry);
    h->keys_count--;
    free(key);
}

static void channel_free(struct history *h, struct channel *channel)
{
    HASH_DEL(h->channels, channel);
    free(channel);
}

static void unlink_entry(struct history *h, struct entry *e)
{
    TAILQ_REMOVE(&h->entries, e, all);
    TAILQ_REMOVE(&e->channel->entries, e, same);
    HASH_DEL(h->by_uid, e);
    e->channel->count--;
    h->count--;
    h->bytes -= e->bytes;
    h->undelivered -= !e->delivered;
}

void history_free(struct history *h)
{
    struct entry *e;
    struct key *key;

    if (h == NULL) {
        return;
    }
    while ((e = TAILQ_FIRST(&h->entries)) != NULL) {
        struct channel *channel = e->channel;

        unlink_entry(h, e);
        free(e);
        if (channel->count == 0) {
            channel_free(h, channel);
        }
    }
    while ((key = TAILQ_FIRST(&h->key_list)) != NULL) {
        key_forget(h, key);
    }
    free(h);
}

/* ---- looking ------------------------------------------------------------- */

const struct entries *history_entries(const struct history *h)
{
    return &h->entries;
}

struct id history_top(const struct history *h)
{
    const struct entry *last = TAILQ_LAST(&h->entries, entries);

    return last != NULL ? last->id : (struct id){0, 0, 0};
}

/* They are near the end. */
struct entry *history_undelivered(const struct history *h)
{
    struct entry *e = TAILQ_LAST(&h->entries, entries), *first = NULL;

    for (size_t left = h->undelivered; left > 0;
         e = TAILQ_PREV(e, entries, all)) {
        if (!e->delivered) {
            first = e;
            left--;
        }
    }
    return first;
}

void history_deliver(struct history *h, struct entry *e)
{
    h->undelivered -= !e->delivered;
    e->delivered = true;
}

static size_t uid_of(const char *from, const char *key, char uid[256])
{
    int n = snprintf(uid, 256, "%s\n%s", from, key);

    return n < 0 ? 0 : n < 256 ? (size_t)n : 255;
}

bool history_find(const struct history *h,
                  const char *from,
                  const char *key,
                  struct id *ret_id,
                  struct entry **ret_entry)
{
    char uid[256];
    size_t len = uid_of(from, key, uid);
    struct entry *e;
    struct key *k;

    HASH_FIND(hh, h->by_uid, uid, len, e);
    if (ret_entry != NULL) {
        *ret_entry = e;
    }
    if (e != NULL) {
        *ret_id = e->id;
        return true;
    }
    HASH_FIND(hh, h->keys, uid, len, k);
    if (k != NULL) {
        *ret_id = k->id;
    }
    return k != NULL;
}

struct id history_forgotten(const struct history *h, const char *name)
{
    struct channel *channel;

    HASH_FIND_STR(h->channels, name, channel);
    return channel != NULL ? channel->forgotten : h->forgotten;
}

static void raise_to(struct id *mark, struct id id)
{
    if (id_compare(*mark, id) < 0) {
        *mark = id;
    }
}

void history_forget(struct history *h, const char *name, struct id id)
{
    struct channel *channel;

    HASH_FIND_STR(h->channels, name, channel);
    raise_to(channel != NULL ? &channel->forgotten : &h->forgotten, id);
}

/* ---- forgetting ---------------------------------------------------------- */

/* Without memory for its key it is forgotten all the same. */
static void remember_key(struct history *h, const struct entry *e)
{
    struct key *key, *same;

    HASH_FIND(hh, h->keys, e->uid, e->uid_len, same);
    key = same == NULL ? calloc(1, sizeof(*key) + e->uid_len) : NULL;
    if (key == NULL) {
        return;
    }
    key->id = e->id;
    key->len = e->uid_len;
    memcpy(key->uid, e->uid, e->uid_len);
    HASH_ADD_KEYPTR(hh, h->keys, key->uid, key->len, key);
    if (key->hh.tbl == NULL) {
        free(key);
        return;
    }
    TAILQ_INSERT_TAIL(&h->key_list, key, entry);
    if (++h->keys_count > h->limits.keys_max) {
        key_forget(h, TAILQ_FIRST(&h->key_list));
    }
}

static void forget(struct history *h, struct entry *e)
{
    struct channel *channel = e->channel;

    raise_to(&channel->forgotten, e->id);
    remember_key(h, e);
    unlink_entry(h, e);
    free(e);
    if (channel->count == 0) {
        raise_to(&h->forgotten, channel->forgotten);
        channel_free(h, channel);
    }
}

static void trim(struct history *h, struct channel *channel)
{
    if (channel->count > h->limits.channel_entries_max) {
        forget(h, TAILQ_FIRST(&channel->entries));
    }
    while (h->count > h->limits.entries_max || h->bytes > h->limits.bytes_max) {
        forget(h, TAILQ_FIRST(&h->entries));
    }
}

/* ---- adding -------------------------------------------------------------- */

static struct channel *channel_of(struct history *h, const char *name)
{
    size_t len = strlen(name);
    struct channel *channel;

    HASH_FIND(hh, h->channels, name, len, channel);
    if (channel != NULL) {
        return channel;
    }
    channel = calloc(1, sizeof(*channel) + len + 1);
    if (channel == NULL) {
        return NULL;
    }
    TAILQ_INIT(&channel->entries);
    channel->forgotten = h->forgotten;
    memcpy(channel->name, name, len);
    HASH_ADD_KEYPTR(hh, h->channels, channel->name, len, channel);
    if (channel->hh.tbl == NULL) {
        free(channel);
        return NULL;
    }
    return channel;
}

static struct entry *entry_new(const Chat__Entry *said, const char *channel)
{
    char uid[256];
    size_t uid_len = uid_of(said->from, said->key, uid);
    size_t from = strlen(said->from) + 1, key = strlen(said->key) + 1;
    size_t text = strlen(said->text) + 1;
    size_t bytes = sizeof(struct entry) + uid_len + from + key + text;
    struct entry *e = calloc(1, bytes);
    char *at;

    if (e == NULL) {
        return NULL;
    }
    e->bytes = bytes;
    e->uid_len = uid_len;
    memcpy(e->uid, uid, uid_len);
    at = e->uid + uid_len;
    e->from = memcpy(at, said->from, from);
    e->key = memcpy(at + from, said->key, key);
    e->text = memcpy(at + from + key, said->text, text);
    e->channel_name = channel;
    e->time_ms = said->time_ms;
    e->id = wire_id(said->id);
    return e;
}

/* Nearly always at the end. */
static void insert(struct history *h, struct entry *e)
{
    struct entry *at = TAILQ_LAST(&h->entries, entries);

    while (at != NULL && id_compare(at->id, e->id) > 0) {
        at = TAILQ_PREV(at, entries, all);
    }
    if (at == NULL) {
        TAILQ_INSERT_HEAD(&h->entries, e, all);
    } else {
        TAILQ_INSERT_AFTER(&h->entries, at, e, all);
    }
    at = TAILQ_LAST(&e->channel->entries, entries);
    while (at != NULL && id_compare(at->id, e->id) > 0) {
        at = TAILQ_PREV(at, entries, same);
    }
    if (at == NULL) {
        TAILQ_INSERT_HEAD(&e->channel->entries, e, same);
    } else {
        TAILQ_INSERT_AFTER(&e->channel->entries, at, e, same);
    }
}

ht_err history_add(struct history *h, const Chat__Entry *said)
{
    struct channel *channel = channel_of(h, said->channel);
    struct entry *e = channel != NULL ? entry_new(said, channel->name) : NULL;

    if (e != NULL) {
        HASH_ADD_KEYPTR(hh, h->by_uid, e->uid, e->uid_len, e);
    }
    if (e == NULL || e->hh.tbl == NULL) {
        free(e);
        if (channel != NULL && channel->count == 0) {
            channel_free(h, channel);
        }
        return HT_ENOMEM;
    }
    e->channel = channel;
    insert(h, e);
    channel->count++;
    h->count++;
    h->bytes += e->bytes;
    h->undelivered++;
    trim(h, channel);
    return HT_OK;
}

void history_move(struct history *h, struct entry *e, struct id id)
{
    TAILQ_REMOVE(&h->entries, e, all);
    TAILQ_REMOVE(&e->channel->entries, e, same);
    e->id = id;
    h->undelivered += e->delivered;
    e->delivered = false;
    insert(h, e);
}

/* ---- for others ---------------------------------------------------------- */

static ht_err export_entries(const struct history *h, Chat__Step *step)
{
    const struct entry *e;

    TAILQ_FOREACH (e, &h->entries, all) {
        ht_err err = wire_add_entry(step, e, h->count);

        if (err != HT_OK) {
            return err;
        }
    }
    return HT_OK;
}

ht_err history_export(const struct history *h, Chat__Step *step)
{
    ht_err err = export_entries(h, step);
    size_t most = HASH_COUNT(h->channels) + 1;

    if (err == HT_OK) {
        err = wire_add_forgotten(step, "", h->forgotten, most);
    }
    for (struct channel *c = h->channels; err == HT_OK && c != NULL;
         c = c->hh.next) {
        err = wire_add_forgotten(step, c->name, c->forgotten, most);
    }
    if (err != HT_OK) {
        history_export_free(step);
    }
    return err;
}

void history_export_free(Chat__Step *step)
{
    wire_step_fini(step);
}
