/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/entry.h"

#include <assert.h>
#include <stdlib.h>

struct hti_entry *hti_entry_new(uint64_t term, uint8_t type, size_t len)
{
    struct hti_entry *entry = malloc(sizeof(*entry) + len);

    if (entry != NULL) {
        atomic_init(&entry->refs, 1);
        entry->type = type;
        entry->term = term;
        entry->len = len;
    }
    return entry;
}

struct hti_entry *hti_entry_ref(struct hti_entry *entry)
{
    atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
    return entry;
}

void hti_entry_unref(struct hti_entry *entry)
{
    if (entry != NULL &&
        atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) == 1) {
        free(entry);
    }
}

static struct hti_entry **slot(const struct hti_cache *cache, uint64_t index)
{
    return &cache->ring[index & (cache->cap - 1)];
}

static ht_err grow(struct hti_cache *cache)
{
    struct hti_cache bigger = *cache;

    bigger.cap = cache->cap != 0 ? cache->cap * 2 : 64;
    bigger.ring = calloc(bigger.cap, sizeof(struct hti_entry *));
    if (bigger.ring == NULL) {
        return HT_ENOMEM;
    }
    for (size_t i = 0; i < cache->count; i++) {
        *slot(&bigger, cache->first + i) = *slot(cache, cache->first + i);
    }
    free(cache->ring);
    *cache = bigger;
    return HT_OK;
}

ht_err hti_cache_push(struct hti_cache *cache, struct hti_entry *entry)
{
    if (cache->count == cache->cap && grow(cache) != HT_OK) {
        return HT_ENOMEM;
    }
    *slot(cache, cache->first + cache->count) = entry;
    cache->count++;
    cache->bytes += entry->len;
    return HT_OK;
}

struct hti_entry *hti_cache_get(const struct hti_cache *cache, uint64_t index)
{
    if (index < cache->first || index - cache->first >= cache->count) {
        return NULL;
    }
    return *slot(cache, index);
}

static void drop(struct hti_cache *cache, uint64_t index)
{
    struct hti_entry **at = slot(cache, index);

    assert(cache->bytes >= (*at)->len);
    cache->bytes -= (*at)->len;
    hti_entry_unref(*at);
    *at = NULL;
}

void hti_cache_cut(struct hti_cache *cache, uint64_t index)
{
    while (cache->count > 0 && cache->first + cache->count > index) {
        drop(cache, cache->first + cache->count - 1);
        cache->count--;
    }
}

void hti_cache_trim(struct hti_cache *cache, uint64_t index)
{
    while (cache->count > 0 && cache->first < index) {
        drop(cache, cache->first);
        cache->first++;
        cache->count--;
    }
}

void hti_cache_reset(struct hti_cache *cache, uint64_t first)
{
    hti_cache_trim(cache, UINT64_MAX);
    cache->first = first;
}

void hti_cache_fini(struct hti_cache *cache)
{
    hti_cache_reset(cache, 0);
    free(cache->ring);
    *cache = (struct hti_cache){0};
}
