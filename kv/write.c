/* SPDX-License-Identifier: Apache-2.0 */
/* write.c - changing one key, or a prefix. */
#include <string.h>

#include "kv/check.h"
#include "kv/limits.h"
#include "kv/turn.h"

static struct hti_kv_item *find(struct hti_kv *kv, const char *key)
{
    return hti_kv_map_find(&kv->map, key, strlen(key));
}

/* ---- put ----------------------------------------------------------------- */

struct wanted {
    ht_bytes key;
    ht_bytes value;
    uint64_t lease;
    uint64_t ttl_ms;
};

static struct hti_kv_version *next_version(struct hti_kv_turn *turn,
                                           const struct wanted *wanted,
                                           const struct hti_kv_item *item)
{
    struct hti_kv_version *version =
        hti_kv_version_new(wanted->key, wanted->value);

    if (version != NULL) {
        version->revision = turn->revision;
        version->create_revision =
            item == NULL ? turn->revision : item->now->create_revision;
        version->version = item == NULL ? 1 : item->now->version + 1;
        version->lease = wanted->lease;
        version->due_ms =
            wanted->ttl_ms > 0 ? turn->kv->time_ms + wanted->ttl_ms : 0;
    }
    return version;
}

/* *ret_version is lent by the map. */
static ht_err put(struct hti_kv_turn *turn,
                  const struct wanted *wanted,
                  struct hti_kv_item *item,
                  struct hti_kv_version **ret_version)
{
    struct hti_kv *kv = turn->kv;
    struct hti_kv_version *version = next_version(turn, wanted, item);
    struct hti_kv_lease *lease =
        wanted->lease != 0 ? hti_kv_lease_find(&kv->leases, wanted->lease)
                           : NULL;

    if (version == NULL) {
        return HT_ENOMEM;
    }
    if (hti_kv_map_put(&kv->map, version, &item) != HT_OK) {
        hti_kv_version_unref(version);
        return HT_ENOMEM;
    }
    turn->changed = true;
    *ret_version = version;
    if (hti_kv_tie_set(&kv->leases, item, lease) != HT_OK) {
        return HT_ENOMEM;
    }
    return hti_kv_history_add(&kv->history, version);
}

ht_err hti_kv_do_put(struct hti_kv_turn *turn,
                     const PutRequest *request,
                     PutReply *ret)
{
    const struct wanted wanted = {
        .key = {request->key, strlen(request->key)},
        .value = hti_kv_put_value(request),
        .lease = request->lease,
        .ttl_ms = request->ttl_ms,
    };
    struct hti_kv_item *item = find(turn->kv, request->key);
    struct hti_kv_version *version = NULL;

    if (request->want_previous && item != NULL) {
        ret->previous = hti_kv_show(turn, item->now, request->as_text, false);
        if (ret->previous == NULL) {
            return HT_ENOMEM;
        }
    }
    if (put(turn, &wanted, item, &version) != HT_OK) {
        return HT_ENOMEM;
    }
    ret->revision = turn->revision;
    ret->create_revision = version->create_revision;
    return HT_OK;
}

/* ---- delete -------------------------------------------------------------- */

ht_err hti_kv_take_away(struct hti_kv_turn *turn,
                        struct hti_kv_item *item,
                        enum hti_kv_kind kind)
{
    struct hti_kv *kv = turn->kv;
    ht_bytes key = {item->key, item->key_len};
    struct hti_kv_version *mark = hti_kv_version_new(key, (ht_bytes){NULL, 0});
    ht_err err;

    if (mark == NULL) {
        return HT_ENOMEM;
    }
    mark->kind = (uint8_t)kind;
    mark->revision = turn->revision;
    hti_kv_tie_clear(&kv->leases, item);
    err = hti_kv_map_remove(&kv->map, item);
    if (err == HT_OK) {
        turn->changed = true;
        err = hti_kv_history_add(&kv->history, mark);
    }
    hti_kv_version_unref(mark);
    return err;
}

static ht_err
del_prefix(struct hti_kv_turn *turn, const char *prefix, DelReply *ret)
{
    size_t len = strlen(prefix);
    struct hti_kv_item *item =
        hti_kv_map_from(&turn->kv->map, prefix, len, false);

    while (item != NULL && item->key_len >= len &&
           memcmp(item->key, prefix, len) == 0) {
        struct hti_kv_item *next = hti_kv_map_next(item);

        if (ret->deleted == HTI_KV_DEL_MAX) {
            ret->more = true;
            break;
        }
        if (hti_kv_take_away(turn, item, HTI_KV_DEL) != HT_OK) {
            return HT_ENOMEM;
        }
        ret->deleted++;
        item = next;
    }
    return HT_OK;
}

ht_err hti_kv_do_del(struct hti_kv_turn *turn,
                     const DelRequest *request,
                     DelReply *ret)
{
    bool by_prefix =
        request->what_case == HARDTACK__KV__DEL_REQUEST__WHAT_PREFIX;
    struct hti_kv_item *item = by_prefix ? NULL : find(turn->kv, request->key);
    ht_err err = HT_OK;

    if (item != NULL && request->want_previous) {
        ret->previous = hti_kv_show(turn, item->now, request->as_text, false);
        err = ret->previous == NULL ? HT_ENOMEM : HT_OK;
    }
    if (by_prefix) {
        err = del_prefix(turn, request->prefix, ret);
    } else if (err == HT_OK && item != NULL) {
        ret->deleted = 1;
        err = hti_kv_take_away(turn, item, HTI_KV_DEL);
    }
    ret->revision = turn->changed ? turn->revision : turn->kv->revision;
    return err;
}

/* ---- compare and swap ---------------------------------------------------- */

static bool as_expected(const struct hti_kv_item *item,
                        const SwapRequest *request)
{
    ht_bytes value;

    if (request->expected_case ==
        HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION) {
        return (item == NULL ? 0 : item->now->revision) ==
               request->expect_revision;
    }
    if (item == NULL) {
        return false;
    }
    value =
        request->expected_case ==
                HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_TEXT
            ? (ht_bytes){request->expect_text, strlen(request->expect_text)}
            : (ht_bytes){request->expect_value.data, request->expect_value.len};
    return hti_kv_key_compare(value.data, value.len,
                              hti_kv_version_value(item->now),
                              item->now->value_len) == 0;
}

static ht_err swap(struct hti_kv_turn *turn,
                   const SwapRequest *request,
                   struct hti_kv_item *item,
                   struct hti_kv_version **ret_version)
{
    const struct wanted wanted = {
        .key = {request->key, strlen(request->key)},
        .value = hti_kv_swap_value(request),
        .lease = request->lease,
        .ttl_ms = request->ttl_ms,
    };

    if (request->data_case != HARDTACK__KV__SWAP_REQUEST__DATA_REMOVE) {
        return put(turn, &wanted, item, ret_version);
    }
    *ret_version = NULL;
    return item == NULL ? HT_OK : hti_kv_take_away(turn, item, HTI_KV_DEL);
}

ht_err hti_kv_do_swap(struct hti_kv_turn *turn,
                      const SwapRequest *request,
                      SwapReply *ret)
{
    struct hti_kv_item *item = find(turn->kv, request->key);
    struct hti_kv_version *now = item == NULL ? NULL : item->now;

    ret->swapped = as_expected(item, request);
    if (ret->swapped && swap(turn, request, item, &now) != HT_OK) {
        return HT_ENOMEM;
    }
    if (now != NULL) {
        ret->kv = hti_kv_show(turn, now, request->as_text, false);
        if (ret->kv == NULL) {
            return HT_ENOMEM;
        }
    }
    ret->revision = turn->changed ? turn->revision : turn->kv->revision;
    return HT_OK;
}
