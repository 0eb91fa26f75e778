/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/turn.h"

#include <string.h>

#include "base/utf8.h"

/* A command is at most 4 MiB, which protobuf-c makes a small multiple of; a
 * transaction shows up to 128 values of others. */
#define TURN_BYTES_MAX ((size_t)512 * 1024 * 1024)

struct hti_kv_held {
    struct hti_kv_held *next;
    struct hti_kv_version *version;
};

ht_err hti_kv_turn_begin(struct hti_kv_turn *turn, struct hti_kv *kv)
{
    *turn = (struct hti_kv_turn){
        .kv = kv,
        .arena = hti_arena_new(TURN_BYTES_MAX),
        .revision = kv->revision + 1,
    };
    if (turn->arena == NULL) {
        return HT_ENOMEM;
    }
    turn->allocator = hti_arena_allocator(turn->arena);
    return HT_OK;
}

void hti_kv_turn_commit(struct hti_kv_turn *turn)
{
    if (turn->changed) {
        turn->kv->revision = turn->revision++;
        turn->changed = false;
    }
}

void hti_kv_turn_end(struct hti_kv_turn *turn)
{
    for (struct hti_kv_held *held = turn->held; held != NULL;
         held = held->next) {
        hti_kv_version_unref(held->version);
    }
    hti_arena_free(turn->arena);
}

void *hti_kv_turn_alloc(struct hti_kv_turn *turn, size_t size)
{
    void *block = turn->allocator->alloc(turn->allocator->allocator_data, size);

    if (block != NULL) {
        memset(block, 0, size);
    }
    return block;
}

static bool hold(struct hti_kv_turn *turn, struct hti_kv_version *version)
{
    struct hti_kv_held *held = hti_kv_turn_alloc(turn, sizeof(*held));

    if (held == NULL) {
        return false;
    }
    held->version = hti_kv_version_ref(version);
    held->next = turn->held;
    turn->held = held;
    return true;
}

static void
show_value(const struct hti_kv_version *version, bool as_text, KeyValue *kv)
{
    /* A protobuf string of C ends at its first NUL. */
    char *value = (char *)(uintptr_t)hti_kv_version_value(version);

    if (as_text && memchr(value, '\0', version->value_len) == NULL &&
        hti_utf8_valid(value, version->value_len)) {
        kv->text = value;
    } else {
        kv->value.data = (uint8_t *)value;
        kv->value.len = version->value_len;
    }
}

KeyValue *hti_kv_show(struct hti_kv_turn *turn,
                      struct hti_kv_version *version,
                      bool as_text,
                      bool keys_only)
{
    KeyValue *kv = hti_kv_turn_alloc(turn, sizeof(*kv));
    uint64_t now = turn->kv->time_ms;

    if (kv == NULL || !hold(turn, version)) {
        return NULL;
    }
    hardtack__kv__key_value__init(kv);
    kv->key = version->bytes;
    kv->create_revision = version->create_revision;
    kv->revision = version->revision;
    kv->version = version->version;
    kv->lease = version->lease;
    if (version->due_ms > 0) {
        /* Due and still there: it ends with the next command. */
        kv->ttl_ms = version->due_ms > now ? version->due_ms - now : 1;
    }
    if (!keys_only) {
        show_value(version, as_text, kv);
    }
    return kv;
}
