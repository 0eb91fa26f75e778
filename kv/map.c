/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- versions ------------------------------------------------------------ */

struct hti_kv_version *hti_kv_version_new(ht_bytes key, ht_bytes value)
{
    struct hti_kv_version *version =
        malloc(sizeof(*version) + key.len + value.len + 2);

    if (version == NULL) {
        return NULL;
    }
    *version = (struct hti_kv_version){
        .refs = 1,
        .key_len = (uint16_t)key.len,
        .value_len = (uint32_t)value.len,
    };
    memcpy(version->bytes, key.data, key.len);
    version->bytes[key.len] = '\0';
    if (value.len > 0) {
        memcpy(version->bytes + key.len + 1, value.data, value.len);
    }
    version->bytes[key.len + 1 + value.len] = '\0';
    return version;
}

struct hti_kv_version *hti_kv_version_ref(struct hti_kv_version *version)
{
    version->refs++;
    return version;
}

void hti_kv_version_unref(struct hti_kv_version *version)
{
    if (version != NULL && --version->refs == 0) {
        free(version);
    }
}

/* ---- the map ------------------------------------------------------------- */

int hti_kv_key_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    int order = len > 0 ? memcmp(a, b, len) : 0;

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_items(const struct hti_kv_item *a,
                         const struct hti_kv_item *b)
{
    return hti_kv_key_compare(a->key, a->key_len, b->key, b->key_len);
}

HTI_KV_TREE(hti_kv_items, hti_kv_item, link, compare_items)

struct hti_kv_saved {
    RB_ENTRY(hti_kv_saved) link;
    struct hti_kv_version *version;
};

static int compare_saved(const struct hti_kv_saved *a,
                         const struct hti_kv_saved *b)
{
    return hti_kv_key_compare(a->version->bytes, a->version->key_len,
                              b->version->bytes, b->version->key_len);
}

HTI_KV_TREE(hti_kv_saves, hti_kv_saved, link, compare_saved)

struct hti_kv_item *
hti_kv_map_find(const struct hti_kv_map *map, const void *key, size_t len)
{
    struct hti_kv_item *at = RB_ROOT(&map->items);

    while (at != NULL) {
        int order = hti_kv_key_compare(key, len, at->key, at->key_len);

        if (order == 0) {
            break;
        }
        at = order < 0 ? RB_LEFT(at, link) : RB_RIGHT(at, link);
    }
    return at;
}

struct hti_kv_item *hti_kv_map_from(const struct hti_kv_map *map,
                                    const void *key,
                                    size_t len,
                                    bool above)
{
    struct hti_kv_item *at = RB_ROOT(&map->items);
    struct hti_kv_item *found = NULL;

    while (at != NULL) {
        int order = hti_kv_key_compare(key, len, at->key, at->key_len);

        if (order < 0 || (order == 0 && !above)) {
            found = at;
            at = RB_LEFT(at, link);
        } else {
            at = RB_RIGHT(at, link);
        }
    }
    return found;
}

struct hti_kv_item *hti_kv_map_next(struct hti_kv_item *item)
{
    return RB_NEXT(hti_kv_items, NULL, item);
}

/* Before item changes: the scan has to see it as it is, unless it has been
 * there, or did not begin with it. */
static ht_err save(struct hti_kv_map *map, const struct hti_kv_item *item)
{
    struct hti_kv_scan *scan = map->scan;
    struct hti_kv_saved *saved;

    if (scan == NULL || item->now->revision > scan->revision ||
        (scan->last != NULL &&
         hti_kv_key_compare(item->key, item->key_len, scan->last->bytes,
                            scan->last->key_len) <= 0)) {
        return HT_OK;
    }
    saved = malloc(sizeof(*saved));
    if (saved == NULL) {
        return HT_ENOMEM;
    }
    saved->version = hti_kv_version_ref(item->now);
    RB_INSERT(hti_kv_saves, &scan->saves, saved);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the tree has it */
    return HT_OK;
}

static uint64_t size_of(const struct hti_kv_version *version)
{
    return (uint64_t)version->key_len + version->value_len;
}

static struct hti_kv_item *add(struct hti_kv_map *map,
                               struct hti_kv_version *version)
{
    struct hti_kv_item *item = malloc(sizeof(*item) + version->key_len);

    if (item != NULL) {
        item->now = version;
        item->tie = NULL;
        item->key_len = version->key_len;
        memcpy(item->key, version->bytes, version->key_len);
        RB_INSERT(hti_kv_items, &map->items, item);
        map->count++;
        map->bytes += size_of(version);
    }
    return item;
}

ht_err hti_kv_map_put(struct hti_kv_map *map,
                      struct hti_kv_version *version,
                      struct hti_kv_item **ret_item)
{
    struct hti_kv_item *item =
        hti_kv_map_find(map, version->bytes, version->key_len);

    if (item == NULL) {
        item = add(map, version);
        if (item == NULL) {
            return HT_ENOMEM;
        }
    } else if (save(map, item) != HT_OK) {
        return HT_ENOMEM;
    } else {
        map->bytes += size_of(version) - size_of(item->now);
        hti_kv_version_unref(item->now);
        item->now = version;
    }
    *ret_item = item;
    return HT_OK;
}

static void drop(struct hti_kv_map *map, struct hti_kv_item *item)
{
    RB_REMOVE(hti_kv_items, &map->items, item);
    map->count--;
    map->bytes -= size_of(item->now);
    hti_kv_version_unref(item->now);
    free(item);
}

ht_err hti_kv_map_remove(struct hti_kv_map *map, struct hti_kv_item *item)
{
    assert(item->tie == NULL);
    if (save(map, item) != HT_OK) {
        return HT_ENOMEM;
    }
    drop(map, item);
    return HT_OK;
}

void hti_kv_map_fini(struct hti_kv_map *map)
{
    struct hti_kv_item *item;

    hti_kv_scan_end(map);
    while ((item = RB_ROOT(&map->items)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the tree */
        assert(item->tie == NULL); /* whoever made it has freed it */
        drop(map, item);
    }
}

/* ---- the scan ------------------------------------------------------------ */

ht_err hti_kv_scan_begin(struct hti_kv_map *map,
                         struct hti_kv_scan *scan,
                         uint64_t revision)
{
    if (map->scan != NULL) {
        return HT_EBUSY;
    }
    *scan = (struct hti_kv_scan){.revision = revision};
    RB_INIT(&scan->saves);
    map->scan = scan;
    return HT_OK;
}

/* The next item that was there when the scan began and is the same still. */
static struct hti_kv_item *next_unchanged(const struct hti_kv_map *map)
{
    const struct hti_kv_scan *scan = map->scan;
    struct hti_kv_item *item = scan->last == NULL
                                   ? hti_kv_map_from(map, "", 0, false)
                                   : hti_kv_map_from(map, scan->last->bytes,
                                                     scan->last->key_len, true);

    while (item != NULL && item->now->revision > scan->revision) {
        item = hti_kv_map_next(item);
    }
    return item;
}

const struct hti_kv_version *hti_kv_scan_next(struct hti_kv_map *map)
{
    struct hti_kv_scan *scan = map->scan;
    struct hti_kv_item *item = next_unchanged(map);
    struct hti_kv_saved *saved = RB_MIN(hti_kv_saves, &scan->saves);
    struct hti_kv_version *next = NULL;

    if (saved != NULL &&
        (item == NULL ||
         hti_kv_key_compare(saved->version->bytes, saved->version->key_len,
                            item->key, item->key_len) < 0)) {
        next = saved->version; /* with its reference */
        RB_REMOVE(hti_kv_saves, &scan->saves, saved);
        free(saved);
    } else if (item != NULL) {
        next = hti_kv_version_ref(item->now);
    }
    if (next != NULL) {
        hti_kv_version_unref(scan->last);
        scan->last = next;
    }
    return next;
}

void hti_kv_scan_end(struct hti_kv_map *map)
{
    struct hti_kv_scan *scan = map->scan;
    struct hti_kv_saved *saved;

    if (scan == NULL) {
        return;
    }
    while ((saved = RB_ROOT(&scan->saves)) != NULL) {
        RB_REMOVE(hti_kv_saves, &scan->saves, saved);
        hti_kv_version_unref(saved->version);
        free(saved);
    }
    hti_kv_version_unref(scan->last);
    map->scan = NULL;
}
