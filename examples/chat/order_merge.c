/* SPDX-License-Identifier: Apache-2.0 */
/* order_merge.c - one history of those of several worlds.
 *
 * A message keeps its id if every world either has it under that id, or has
 * shown nothing of a later id, or had it and forgot.  Otherwise somebody's
 * users would get it behind what they have seen already, and who comes back
 * with the id of that would never get it: it is given a new id, at the end. */
#include "order_internal.h"

#include <stdlib.h>
#include <string.h>

#include "wire.h"

/* A message that somebody has. */
struct found {
    UT_hash_handle hh;
    const Chat__Entry *said; /* with the highest id it has anywhere */
    struct id id;
    bool torn;        /* it has several ids */
    uint64_t holders; /* bits: 0 is us, 1 and so on the peers */
    size_t uid_len;
    char uid[];
};

struct merge {
    struct order *order;
    Chat__Step *ours; /* a copy: what we forget meanwhile is still in it */
    struct found *found;
    struct found **sorted;
    size_t count;
    struct id tops[ORDER_WORLDS_MAX + 1];
};

static const Chat__Step *told(const struct merge *m, size_t who)
{
    return who == 0 ? m->ours : m->order->peers[who - 1].collected;
}

static ht_err note(struct merge *m, size_t who, const Chat__Entry *said)
{
    size_t from = strlen(said->from), key = strlen(said->key);
    size_t len = from + 1 + key;
    struct found *f = calloc(1, sizeof(*f) + len), *same;

    if (f == NULL) {
        return HT_ENOMEM;
    }
    memcpy(f->uid, said->from, from);
    f->uid[from] = '\n';
    memcpy(f->uid + from + 1, said->key, key);
    f->uid_len = len;
    f->said = said;
    f->id = wire_id(said->id);
    HASH_FIND(hh, m->found, f->uid, len, same);
    if (same == NULL) {
        HASH_ADD_KEYPTR(hh, m->found, f->uid, len, f);
        if (f->hh.tbl == NULL) {
            free(f);
            return HT_ENOMEM;
        }
        f->holders = UINT64_C(1) << who;
        return HT_OK;
    }
    same->torn = same->torn || id_compare(same->id, f->id) != 0;
    if (id_compare(same->id, f->id) < 0) {
        same->id = f->id;
        same->said = said;
    }
    same->holders |= UINT64_C(1) << who;
    free(f);
    return HT_OK;
}

static ht_err copy_ours(struct merge *m)
{
    Chat__Step ours = CHAT__STEP__INIT;
    ht_err err = history_export(m->order->history, &ours);

    if (err == HT_OK) {
        m->ours = (Chat__Step *)wire_copy(&ours.base);
        history_export_free(&ours);
    }
    return err == HT_OK && m->ours == NULL ? HT_ENOMEM : err;
}

static ht_err gather(struct merge *m)
{
    ht_err err = copy_ours(m);

    for (size_t who = 0; err == HT_OK && who <= m->order->peers_count; who++) {
        const Chat__Step *step = told(m, who);

        for (size_t i = 0; err == HT_OK && step != NULL && i < step->n_entries;
             i++) {
            struct id id = wire_id(step->entries[i]->id);

            if (id_compare(m->tops[who], id) < 0) {
                m->tops[who] = id;
            }
            err = note(m, who, step->entries[i]);
        }
    }
    return err;
}

static struct id forgotten_by(const Chat__Step *step, const char *channel)
{
    struct id general = {0, 0, 0};

    for (size_t i = 0; i < step->n_forgotten; i++) {
        if (strcmp(step->forgotten[i]->channel, channel) == 0) {
            return wire_id(step->forgotten[i]->id);
        }
        if (step->forgotten[i]->channel[0] == '\0') {
            general = wire_id(step->forgotten[i]->id);
        }
    }
    return general;
}

static bool is_late(const struct merge *m, const struct found *f)
{
    if (f->torn) {
        return true;
    }
    for (size_t who = 0; who <= m->order->peers_count; who++) {
        const Chat__Step *step = told(m, who);

        if (step != NULL && (f->holders & UINT64_C(1) << who) == 0 &&
            id_compare(f->id, m->tops[who]) < 0 &&
            id_compare(f->id, forgotten_by(step, f->said->channel)) > 0) {
            return true;
        }
    }
    return false;
}

static int by_id(const void *a, const void *b)
{
    return id_compare((*(struct found *const *)a)->id,
                      (*(struct found *const *)b)->id);
}

static ht_err sort(struct merge *m)
{
    m->count = HASH_COUNT(m->found);
    m->sorted = calloc(m->count + 1, sizeof(struct found *));
    if (m->sorted == NULL) {
        return HT_ENOMEM;
    }
    m->count = 0;
    for (struct found *f = m->found; f != NULL; f = f->hh.next) {
        m->sorted[m->count++] = f;
    }
    qsort(m->sorted, m->count, sizeof(struct found *), by_id);
    return HT_OK;
}

ht_err order_place(struct history *h, const Chat__Entry *said, struct id id)
{
    struct entry *have = NULL;
    struct id old;
    Chat__Id wire = wire_put_id(id);
    Chat__Entry placed = *said;

    if (history_find(h, said->from, said->key, &old, &have)) {
        if (have != NULL && id_compare(have->id, id) != 0) {
            history_move(h, have, id);
        }
        return HT_OK;
    }
    /* We had it and forgot it. */
    if (id_compare(id, history_forgotten(h, said->channel)) <= 0) {
        return HT_OK;
    }
    placed.id = &wire;
    return history_add(h, &placed);
}

static void forget_as_they_did(struct order *o)
{
    for (size_t i = 0; i < o->peers_count; i++) {
        const Chat__Step *step = o->peers[i].collected;

        for (size_t k = 0; step != NULL && k < step->n_forgotten; k++) {
            history_forget(o->history, step->forgotten[k]->channel,
                           wire_id(step->forgotten[k]->id));
        }
    }
}

ht_err order_merge(struct order *o)
{
    struct merge m = {.order = o};
    struct found *f, *next;
    ht_err err = gather(&m);

    if (err == HT_OK) {
        err = sort(&m);
    }
    for (size_t i = 0; err == HT_OK && i < m.count; i++) {
        if (!is_late(&m, m.sorted[i])) {
            err = order_place(o->history, m.sorted[i]->said, m.sorted[i]->id);
            m.sorted[i] = NULL;
        }
    }
    for (size_t i = 0; err == HT_OK && i < m.count; i++) {
        if (m.sorted[i] != NULL) {
            o->epoch.number++;
            err = order_place(o->history, m.sorted[i]->said, o->epoch);
        }
    }
    forget_as_they_did(o);
    f = m.found;
    HASH_CLEAR(hh, m.found);
    for (; f != NULL; f = next) {
        next = f->hh.next;
        free(f);
    }
    free(m.sorted);
    if (m.ours != NULL) {
        chat__step__free_unpacked(m.ours, NULL);
    }
    return err;
}
