/* SPDX-License-Identifier: Apache-2.0 */
/* map.h - keys in order, what each of them is now, and one reader of how they
 * all were.
 *
 * What a key is at a revision is a *version*: immutable, counted, shared by the
 * map, the history of changes and a scan.
 *
 * A *scan* reads every key as it was when the scan began, piece by piece, while
 * the map changes: what changes ahead of it is kept for it first.  So it costs
 * memory for what changes meanwhile, and no pause.
 *
 * Thread: one.
 */
#ifndef HTI_KV_MAP_H
#define HTI_KV_MAP_H

#include <bsd/sys/tree.h>

#include <hardtack/base.h>

/* The tree's functions, of which a file uses some. */
#define HTI_KV_TREE(name, type, field, compare)                                \
    RB_PROTOTYPE_INTERNAL(name, type, field, compare,                          \
                          __attribute__((unused)) static)                      \
    RB_GENERATE_INTERNAL(name, type, field, compare,                           \
                         __attribute__((unused)) static)

enum hti_kv_kind { HTI_KV_PUT = 0, HTI_KV_DEL, HTI_KV_EXPIRED };

struct hti_kv_version {
    uint32_t refs;
    uint32_t value_len;
    uint16_t key_len;
    uint8_t
        kind; /* enum hti_kv_kind; others than PUT are in the history only */
    uint64_t create_revision;
    uint64_t revision;
    uint64_t version;
    uint64_t lease;  /* 0: none */
    uint64_t due_ms; /* its time to live ends; 0: never */
    char bytes[];    /* key, NUL, value, NUL */
};

/* Copies key and value; the numbers are the caller's to fill in. */
struct hti_kv_version *hti_kv_version_new(ht_bytes key, ht_bytes value);
struct hti_kv_version *hti_kv_version_ref(struct hti_kv_version *version);
void hti_kv_version_unref(struct hti_kv_version *version); /* NULL is fine */

static inline const char *hti_kv_version_value(const struct hti_kv_version *v)
{
    return v->bytes + v->key_len + 1;
}

/* What a version counts against the bounds. */
static inline size_t hti_kv_version_cost(const struct hti_kv_version *v)
{
    return sizeof(*v) + v->key_len + v->value_len + 2u;
}

/* As memcmp, a prefix is less. */
int hti_kv_key_compare(const void *a,
                       size_t a_len,
                       const void *b,
                       size_t b_len);

struct hti_kv_tie;

struct hti_kv_item {
    RB_ENTRY(hti_kv_item) link;
    struct hti_kv_version *now;
    struct hti_kv_tie *tie; /* to a lease or a time to live; NULL: none */
    uint16_t key_len;
    char key[];
};
RB_HEAD(hti_kv_items, hti_kv_item);

struct hti_kv_saved;
RB_HEAD(hti_kv_saves, hti_kv_saved);

struct hti_kv_scan {
    uint64_t revision;           /* as of */
    struct hti_kv_version *last; /* what was given out last; NULL: nothing */
    struct hti_kv_saves saves;
};

struct hti_kv_map {
    struct hti_kv_items items;
    size_t count;
    uint64_t bytes;           /* of keys and values */
    struct hti_kv_scan *scan; /* NULL: nobody reads */
};

void hti_kv_map_fini(struct hti_kv_map *map);
/* NULL: no such key. */
struct hti_kv_item *
hti_kv_map_find(const struct hti_kv_map *map, const void *key, size_t len);
/* The first key that is not less, or (above) is greater; NULL: none. */
struct hti_kv_item *hti_kv_map_from(const struct hti_kv_map *map,
                                    const void *key,
                                    size_t len,
                                    bool above);
struct hti_kv_item *hti_kv_map_next(struct hti_kv_item *item);
/* Make version what its key is.  Takes the reference on HT_OK; HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_map_put(struct hti_kv_map *map,
                                 struct hti_kv_version *version,
                                 struct hti_kv_item **ret_item);
/* The item's tie is the caller's, and gone by now.  HT_ENOMEM (of a scan). */
HT_MUSTUSE ht_err hti_kv_map_remove(struct hti_kv_map *map,
                                    struct hti_kv_item *item);

/* Begin to read all as it is at revision, which is that of the last change.
 * HT_EBUSY: somebody reads already. */
HT_MUSTUSE ht_err hti_kv_scan_begin(struct hti_kv_map *map,
                                    struct hti_kv_scan *scan,
                                    uint64_t revision);
/* The next in order of keys, lent until the next call; NULL: that was all. */
const struct hti_kv_version *hti_kv_scan_next(struct hti_kv_map *map);
void hti_kv_scan_end(struct hti_kv_map *map); /* without a scan it is fine */

#endif /* HTI_KV_MAP_H */
