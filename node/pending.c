/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pending.h"

#include <assert.h>
#include <string.h>

void hti_pending_init(struct hti_pending *pending,
                      size_t max,
                      size_t per_address_max,
                      void (*evict)(struct hti_pending_entry *entry))
{
    memset(pending, 0, sizeof(*pending));
    pthread_mutex_init(&pending->lock, NULL);
    TAILQ_INIT(&pending->list);
    pending->max = max;
    pending->per_address_max = per_address_max;
    pending->evict = evict;
}

void hti_pending_fini(struct hti_pending *pending)
{
    assert(pending->count == 0);
    pthread_mutex_destroy(&pending->lock);
}

static bool same_key(const uint8_t a[HTI_ADDRESS_KEY_BYTES],
                     const uint8_t b[HTI_ADDRESS_KEY_BYTES])
{
    return memcmp(a, b, HTI_ADDRESS_KEY_BYTES) == 0;
}

static void drop(struct hti_pending *pending, struct hti_pending_entry *entry)
{
    TAILQ_REMOVE(&pending->list, entry, link);
    entry->queued = false;
    pending->count--;
}

static void evict(struct hti_pending *pending, struct hti_pending_entry *entry)
{
    drop(pending, entry);
    pending->evict(entry);
}

unsigned hti_pending_add(struct hti_pending *pending,
                         struct hti_pending_entry *entry)
{
    struct hti_pending_entry *e, *oldest = NULL;
    size_t same = 0;
    unsigned evicted = 0;

    pthread_mutex_lock(&pending->lock);
    if (entry->key[0] != 0) {
        TAILQ_FOREACH (e, &pending->list, link) {
            if (same_key(e->key, entry->key)) {
                oldest = oldest == NULL ? e : oldest;
                same++;
            }
        }
    }
    if (same >= pending->per_address_max) {
        evict(pending, oldest);
        evicted++;
    }
    if (pending->count >= pending->max) {
        evict(pending, TAILQ_FIRST(&pending->list));
        evicted++;
    }
    pending->evicted += evicted;
    TAILQ_INSERT_TAIL(&pending->list, entry, link);
    entry->queued = true;
    pending->count++;
    pthread_mutex_unlock(&pending->lock);
    return evicted;
}

void hti_pending_remove(struct hti_pending *pending,
                        struct hti_pending_entry *entry)
{
    pthread_mutex_lock(&pending->lock);
    if (entry->queued) {
        drop(pending, entry);
    }
    pthread_mutex_unlock(&pending->lock);
}

static bool is_over(const struct hti_offender *offender, uint64_t now_ms)
{
    return offender->count == 0 ||
           now_ms - offender->since_ms >= HTI_OFFENCE_PERIOD_MS;
}

void hti_pending_blame(struct hti_pending *pending,
                       const uint8_t key[HTI_ADDRESS_KEY_BYTES],
                       uint64_t now_ms)
{
    struct hti_offender *place = &pending->offenders[0];

    if (key[0] == 0) {
        return;
    }
    pthread_mutex_lock(&pending->lock);
    for (size_t i = 0; i < HTI_OFFENDERS_MAX; i++) {
        struct hti_offender *o = &pending->offenders[i];

        if (!is_over(o, now_ms) && same_key(o->key, key)) {
            o->count++;
            pthread_mutex_unlock(&pending->lock);
            return;
        }
        /* A free place, else the one whose window ends first. */
        if (is_over(o, now_ms)) {
            o->count = 0;
        }
        if (place->count != 0 &&
            (o->count == 0 || o->since_ms < place->since_ms)) {
            place = o;
        }
    }
    memcpy(place->key, key, HTI_ADDRESS_KEY_BYTES);
    place->since_ms = now_ms;
    place->count = 1;
    pthread_mutex_unlock(&pending->lock);
}

bool hti_pending_is_barred(struct hti_pending *pending,
                           const uint8_t key[HTI_ADDRESS_KEY_BYTES],
                           uint64_t now_ms)
{
    bool barred = false;

    if (key[0] == 0) {
        return false;
    }
    pthread_mutex_lock(&pending->lock);
    for (size_t i = 0; i < HTI_OFFENDERS_MAX; i++) {
        const struct hti_offender *o = &pending->offenders[i];

        if (!is_over(o, now_ms) && same_key(o->key, key)) {
            barred = o->count >= HTI_OFFENCES_MAX;
            break;
        }
    }
    pending->barred += barred;
    pthread_mutex_unlock(&pending->lock);
    return barred;
}

void hti_pending_stats(struct hti_pending *pending,
                       struct hti_pending_stats *ret)
{
    pthread_mutex_lock(&pending->lock);
    ret->waiting = pending->count;
    ret->evicted = pending->evicted;
    ret->barred = pending->barred;
    pthread_mutex_unlock(&pending->lock);
}
