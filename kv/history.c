/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/history.h"

#include <stdlib.h>

#define FIRST_CAP ((size_t)64)

static void forget_first(struct hti_kv_history *history)
{
    struct hti_kv_version *version = history->ring[history->first];

    history->bytes -= hti_kv_version_cost(version);
    history->compacted = version->revision;
    history->first = (history->first + 1) & (history->cap - 1);
    history->count--;
    hti_kv_version_unref(version);
}

/* All of a revision or nothing: half a transaction would be a lie. */
static void forget_oldest(struct hti_kv_history *history)
{
    uint64_t revision = history->ring[history->first]->revision;

    while (history->count > 0 &&
           history->ring[history->first]->revision == revision) {
        forget_first(history);
    }
}

void hti_kv_history_reset(struct hti_kv_history *history, uint64_t revision)
{
    while (history->count > 0) {
        forget_first(history);
    }
    history->compacted = revision;
}

void hti_kv_history_fini(struct hti_kv_history *history)
{
    hti_kv_history_reset(history, 0);
    free(history->ring);
    history->ring = NULL;
    history->cap = 0;
}

static ht_err grow(struct hti_kv_history *history)
{
    size_t cap = history->cap > 0 ? history->cap * 2 : FIRST_CAP;
    struct hti_kv_version **ring;

    if (history->count < history->cap) {
        return HT_OK;
    }
    ring = calloc(cap, sizeof(struct hti_kv_version *));
    if (ring == NULL) {
        return HT_ENOMEM;
    }
    for (size_t i = 0; i < history->count; i++) {
        ring[i] = history->ring[(history->first + i) & (history->cap - 1)];
    }
    free(history->ring);
    history->ring = ring;
    history->cap = cap;
    history->first = 0;
    return HT_OK;
}

ht_err hti_kv_history_add(struct hti_kv_history *history,
                          struct hti_kv_version *version)
{
    if (grow(history) != HT_OK) {
        return HT_ENOMEM;
    }
    history->ring[(history->first + history->count) & (history->cap - 1)] =
        hti_kv_version_ref(version);
    history->count++;
    history->bytes += hti_kv_version_cost(version);
    while (history->count > history->count_max ||
           history->bytes > history->bytes_max) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): one is there */
        if (history->ring[history->first]->revision == version->revision) {
            break; /* one transaction larger than the bound */
        }
        forget_oldest(history);
    }
    return HT_OK;
}

size_t hti_kv_history_find(const struct hti_kv_history *history,
                           uint64_t revision)
{
    size_t low = 0;
    size_t high = history->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (hti_kv_history_at(history, middle)->revision < revision) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
