/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/changes.h"

#include <stdlib.h>
#include <string.h>

#include "kv/limits.h"

/* Looked at in one go, wanted or not. */
#define LOOKED_AT_MAX ((size_t)10000)

static ht_err make(struct hti_kv_filter *ret, const char *key)
{
    ret->len = (uint16_t)strlen(key);
    ret->key = strdup(key);
    return ret->key == NULL ? HT_ENOMEM : HT_OK;
}

ht_err hti_kv_filter_watch(struct hti_kv_filter *ret,
                           const WatchRequest *request)
{
    *ret = (struct hti_kv_filter){
        .by_prefix =
            request->what_case == HARDTACK__KV__WATCH_REQUEST__WHAT_PREFIX,
        .as_text = request->as_text != 0,
        .keys_only = request->keys_only != 0,
    };
    return make(ret, ret->by_prefix ? request->prefix : request->key);
}

ht_err hti_kv_filter_changes(struct hti_kv_filter *ret,
                             const ChangesRequest *request)
{
    *ret = (struct hti_kv_filter){
        .by_prefix =
            request->what_case == HARDTACK__KV__CHANGES_REQUEST__WHAT_PREFIX,
        .as_text = request->as_text != 0,
        .keys_only = request->keys_only != 0,
    };
    return make(ret, ret->by_prefix ? request->prefix : request->key);
}

void hti_kv_filter_fini(struct hti_kv_filter *filter)
{
    free(filter->key);
    filter->key = NULL;
}

static bool wanted(const struct hti_kv_filter *filter,
                   const struct hti_kv_version *version)
{
    return (filter->by_prefix ? version->key_len >= filter->len
                              : version->key_len == filter->len) &&
           memcmp(version->bytes, filter->key, filter->len) == 0;
}

static Event *event_of(struct hti_kv_turn *turn,
                       const struct hti_kv_filter *filter,
                       const struct hti_kv_version *version)
{
    Event *event = hti_kv_turn_alloc(turn, sizeof(*event));

    if (event == NULL) {
        return NULL;
    }
    hardtack__kv__event__init(event);
    event->kind = (Hardtack__Kv__Event__Kind)version->kind;
    event->kv = hti_kv_show(turn, (struct hti_kv_version *)(uintptr_t)version,
                            filter->as_text,
                            filter->keys_only || version->kind != HTI_KV_PUT);
    return event->kv == NULL ? NULL : event;
}

struct collect {
    size_t room; /* of events */
    size_t bytes;
};

static bool make_room(struct hti_kv_turn *turn,
                      struct hti_kv_changes *ret,
                      struct collect *collect)
{
    size_t room = collect->room > 0 ? collect->room * 2 : 16;
    Event **events;

    if (ret->count < collect->room) {
        return true;
    }
    events = hti_kv_turn_alloc(turn, room * sizeof(Event *));
    if (events == NULL) {
        return false;
    }
    if (ret->count > 0) {
        memcpy(events, ret->events, ret->count * sizeof(Event *));
    }
    ret->events = events;
    collect->room = room;
    return true;
}

static ht_err add(struct hti_kv_turn *turn,
                  const struct hti_kv_filter *filter,
                  const struct hti_kv_version *version,
                  struct hti_kv_changes *ret,
                  struct collect *collect)
{
    if (!make_room(turn, ret, collect)) {
        return HT_ENOMEM;
    }
    ret->events[ret->count] = event_of(turn, filter, version);
    if (ret->events[ret->count] == NULL) {
        return HT_ENOMEM;
    }
    ret->count++;
    collect->bytes += version->key_len;
    collect->bytes += filter->keys_only ? 0 : version->value_len;
    return HT_OK;
}

ht_err hti_kv_changes(struct hti_kv_turn *turn,
                      const struct hti_kv_filter *filter,
                      uint64_t from,
                      size_t limit,
                      struct hti_kv_changes *ret)
{
    const struct hti_kv_history *history = &turn->kv->history;
    size_t first = hti_kv_history_find(history, from);
    struct collect collect = {0};
    ht_err err = HT_OK;

    *ret = (struct hti_kv_changes){.next = from};
    /* A state that is being restored has a revision already, but no history
     * that says what has changed up to it. */
    if (from <= history->compacted || turn->kv->restore != NULL) {
        return HT_ENOENT;
    }
    for (size_t i = first; err == HT_OK && i < history->count; i++) {
        const struct hti_kv_version *version = hti_kv_history_at(history, i);

        if (version->revision >= ret->next) { /* the first of its revision */
            if (ret->count >= limit || i - first >= LOOKED_AT_MAX ||
                collect.bytes >= HTI_KV_RANGE_BYTES_MAX) {
                ret->more = true;
                return HT_OK;
            }
            ret->next = version->revision + 1;
        }
        if (wanted(filter, version)) {
            err = add(turn, filter, version, ret, &collect);
        }
    }
    if (err == HT_OK && turn->kv->revision >= ret->next) {
        ret->next = turn->kv->revision + 1; /* grants change no key */
    }
    return err;
}
