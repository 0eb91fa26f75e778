/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c - the state as bytes, and back.
 *
 * What is bounded (leases, remembered answers) is copied when a snapshot is
 * opened; keys, which are not, are read by a scan while commands go on.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "kv/limits.h"
#include "kv/state.h"
#include "proto/arena.h"
#include "proto/pb.h"

#define FORMAT 1u
/* A record: a value and its key, or a client with all its answers. */
#define RECORD_MAX                                                             \
    ((size_t)HTI_KV_ANSWERS_BYTES_MAX + HTI_KV_VALUE_MAX + 64u * 1024)
#define RECORD_MEMORY_MAX (RECORD_MAX * 4)

#define RECORD(field)     HARDTACK__KVLOG__RECORD__RECORD_##field

struct hti_kv_cursor {
    struct hti_kv_scan scan;
    struct hti_kv_buf buf; /* made and not read yet */
    size_t at;
    uint64_t items;
    bool ended;
};

/* ---- writing ------------------------------------------------------------- */

static ht_err put_record(struct hti_kv_buf *buf, const Record *record)
{
    size_t len = hardtack__kvlog__record__get_packed_size(record);
    uint8_t *at = hti_kv_buf_add(buf, hti_pb_varint_size(len) + len);

    if (at == NULL) {
        return HT_ENOMEM;
    }
    at = hti_pb_put_varint(at, len);
    (void)hardtack__kvlog__record__pack(record, at);
    return HT_OK;
}

static ht_err put_head(const struct hti_kv *kv, struct hti_kv_buf *buf)
{
    Hardtack__Kvlog__Head head = HARDTACK__KVLOG__HEAD__INIT;
    Record record = HARDTACK__KVLOG__RECORD__INIT;

    head.format = FORMAT;
    head.revision = kv->revision;
    head.time_ms = kv->time_ms;
    head.expired = kv->expired;
    record.record_case = RECORD(HEAD);
    record.head = &head;
    return put_record(buf, &record);
}

static ht_err put_leases(const struct hti_kv *kv, struct hti_kv_buf *buf)
{
    struct hti_kv_lease *lease = NULL;
    ht_err err = HT_OK;

    while (err == HT_OK &&
           (lease = hti_kv_lease_next(&kv->leases, lease)) != NULL) {
        Hardtack__Kvlog__Lease out = HARDTACK__KVLOG__LEASE__INIT;
        Record record = HARDTACK__KVLOG__RECORD__INIT;

        out.id = lease->id;
        out.ttl_ms = lease->ttl_ms;
        out.due_ms = lease->timer.due_ms;
        out.ended = lease->ended;
        record.record_case = RECORD(LEASE);
        record.lease = &out;
        err = put_record(buf, &record);
    }
    return err;
}

static ht_err put_client(struct hti_kv_client *client, struct hti_kv_buf *buf)
{
    Hardtack__Kvlog__Answer answers[HTI_KV_WINDOW_MAX];
    Hardtack__Kvlog__Answer *list[HTI_KV_WINDOW_MAX];
    Hardtack__Kvlog__Client out = HARDTACK__KVLOG__CLIENT__INIT;
    Record record = HARDTACK__KVLOG__RECORD__INIT;
    struct hti_kv_remembered *answer;

    out.name = client->name;
    out.forgotten = client->forgotten;
    out.answers = list;
    TAILQ_FOREACH (answer, &client->answers, link) {
        Hardtack__Kvlog__Answer *one = &answers[out.n_answers];

        hardtack__kvlog__answer__init(one);
        one->sequence = answer->sequence;
        one->result.data = answer->answer;
        one->result.len = answer->len;
        list[out.n_answers++] = one;
    }
    record.record_case = RECORD(CLIENT);
    record.client = &out;
    return put_record(buf, &record);
}

static ht_err put_clients(const struct hti_kv *kv, struct hti_kv_buf *buf)
{
    struct hti_kv_client *client = kv->dedupe.clients;
    ht_err err = HT_OK;

    for (; err == HT_OK && client != NULL; client = client->hh.next) {
        err = put_client(client, buf);
    }
    return err;
}

static ht_err put_item(const struct hti_kv_version *version,
                       struct hti_kv_buf *buf)
{
    Hardtack__Kvlog__Item item = HARDTACK__KVLOG__ITEM__INIT;
    Record record = HARDTACK__KVLOG__RECORD__INIT;

    item.key = (char *)(uintptr_t)version->bytes;
    item.value.data = (uint8_t *)(uintptr_t)hti_kv_version_value(version);
    item.value.len = version->value_len;
    item.create_revision = version->create_revision;
    item.revision = version->revision;
    item.version = version->version;
    item.lease = version->lease;
    item.due_ms = version->due_ms;
    record.record_case = RECORD(ITEM);
    record.item = &item;
    return put_record(buf, &record);
}

static ht_err put_end(struct hti_kv_cursor *cursor)
{
    Hardtack__Kvlog__End end = HARDTACK__KVLOG__END__INIT;
    Record record = HARDTACK__KVLOG__RECORD__INIT;

    cursor->ended = true;
    end.items = cursor->items;
    record.record_case = RECORD(END);
    record.end = &end;
    return put_record(&cursor->buf, &record);
}

ht_err hti_kv_snapshot_open(struct hti_kv *kv,
                            struct hti_kv_cursor **ret_cursor)
{
    struct hti_kv_cursor *cursor = calloc(1, sizeof(*cursor));
    ht_err err;

    if (cursor == NULL) {
        return HT_ENOMEM;
    }
    err = hti_kv_scan_begin(&kv->map, &cursor->scan, kv->revision);
    if (err != HT_OK) {
        free(cursor);
        return err;
    }
    err = put_head(kv, &cursor->buf);
    if (err == HT_OK) {
        err = put_leases(kv, &cursor->buf);
    }
    if (err == HT_OK) {
        err = put_clients(kv, &cursor->buf);
    }
    if (err != HT_OK) {
        hti_kv_snapshot_close(kv, cursor);
        return err;
    }
    *ret_cursor = cursor;
    return HT_OK;
}

/* Until there are cap bytes, or no more. */
static ht_err fill(struct hti_kv *kv, struct hti_kv_cursor *cursor, size_t cap)
{
    ht_err err = HT_OK;

    if (cursor->at == cursor->buf.len) {
        cursor->at = 0;
        cursor->buf.len = 0;
    }
    while (err == HT_OK && !cursor->ended &&
           cursor->buf.len - cursor->at < cap) {
        const struct hti_kv_version *next = hti_kv_scan_next(&kv->map);

        if (next == NULL) {
            err = put_end(cursor);
        } else {
            cursor->items++;
            err = put_item(next, &cursor->buf);
        }
    }
    return err;
}

ht_err hti_kv_snapshot_read(struct hti_kv *kv,
                            struct hti_kv_cursor *cursor,
                            void *buf,
                            size_t cap,
                            size_t *ret_len)
{
    ht_err err = fill(kv, cursor, cap);
    size_t len = cursor->buf.len - cursor->at;

    if (err != HT_OK) {
        return err;
    }
    len = len < cap ? len : cap;
    if (len > 0) {
        memcpy(buf, cursor->buf.data + cursor->at, len);
    }
    cursor->at += len;
    *ret_len = len;
    return HT_OK;
}

void hti_kv_snapshot_close(struct hti_kv *kv, struct hti_kv_cursor *cursor)
{
    hti_kv_scan_end(&kv->map);
    hti_kv_buf_fini(&cursor->buf);
    free(cursor);
}

/* ---- reading ------------------------------------------------------------- */

struct hti_kv_restore {
    struct hti_kv_buf buf; /* a record that is not all there */
    uint64_t items;
    bool head, end;
};

void hti_kv_restore_drop(struct hti_kv *kv)
{
    if (kv->restore != NULL) {
        hti_kv_buf_fini(&kv->restore->buf);
        free(kv->restore);
        kv->restore = NULL;
    }
}

ht_err hti_kv_restore_begin(struct hti_kv *kv)
{
    hti_kv_restore_drop(kv);
    hti_kv_clear(kv);
    kv->restore = calloc(1, sizeof(*kv->restore));
    return kv->restore == NULL ? HT_ENOMEM : HT_OK;
}

static ht_err take_head(struct hti_kv *kv, const Hardtack__Kvlog__Head *head)
{
    if (kv->restore->head || head->format != FORMAT) {
        return HT_EPROTO;
    }
    kv->restore->head = true;
    kv->revision = head->revision;
    kv->time_ms = head->time_ms;
    kv->expired = head->expired;
    return HT_OK;
}

static ht_err take_lease(struct hti_kv *kv, const Hardtack__Kvlog__Lease *lease)
{
    if (lease->id == 0 || lease->id > kv->revision ||
        lease->ttl_ms > HTI_KV_TTL_MAX ||
        hti_kv_lease_any(&kv->leases, lease->id) != NULL) {
        return HT_EPROTO;
    }
    return hti_kv_lease_add(&kv->leases, lease->id, lease->ttl_ms,
                            lease->due_ms, lease->ended) == NULL
               ? HT_ENOMEM
               : HT_OK;
}

static ht_err take_client(struct hti_kv *kv,
                          const Hardtack__Kvlog__Client *client)
{
    struct hti_kv_client *made;
    ht_bytes unused;
    ht_err err = HT_OK;

    if (client->name[0] == '\0' || strlen(client->name) > HTI_KV_CLIENT_MAX ||
        client->n_answers > HTI_KV_WINDOW_MAX ||
        kv->dedupe.count >= HTI_KV_CLIENTS_MAX ||
        hti_kv_dedupe_find(&kv->dedupe, client->name, UINT64_MAX, &unused) !=
            HTI_KV_NEW) {
        return HT_EPROTO;
    }
    made = hti_kv_dedupe_client(&kv->dedupe, client->name);
    if (made == NULL) {
        return HT_ENOMEM;
    }
    for (size_t i = 0; err == HT_OK && i < client->n_answers; i++) {
        const Hardtack__Kvlog__Answer *answer = client->answers[i];

        if (answer->result.len == 0 ||
            answer->result.len > HTI_KV_ANSWER_MAX + 1) {
            return HT_EPROTO;
        }
        err = hti_kv_dedupe_add(
            &kv->dedupe, client->name, answer->sequence, false,
            (ht_bytes){answer->result.data, answer->result.len});
    }
    made->forgotten = client->forgotten;
    return err;
}

static struct hti_kv_version *version_of(const Hardtack__Kvlog__Item *item)
{
    struct hti_kv_version *version =
        hti_kv_version_new((ht_bytes){item->key, strlen(item->key)},
                           (ht_bytes){item->value.data, item->value.len});

    if (version != NULL) {
        version->create_revision = item->create_revision;
        version->revision = item->revision;
        version->version = item->version;
        version->lease = item->lease;
        version->due_ms = item->due_ms;
    }
    return version;
}

static ht_err take_item(struct hti_kv *kv, const Hardtack__Kvlog__Item *item)
{
    size_t len = strlen(item->key);
    struct hti_kv_lease *lease = NULL;
    struct hti_kv_version *version;
    struct hti_kv_item *made;

    if (len == 0 || len > HTI_KV_KEY_MAX || !hti_utf8_valid(item->key, len) ||
        item->value.len > HTI_KV_VALUE_MAX || item->revision == 0 ||
        item->revision > kv->revision ||
        hti_kv_map_find(&kv->map, item->key, len) != NULL) {
        return HT_EPROTO;
    }
    if (item->lease != 0) {
        lease = hti_kv_lease_any(&kv->leases, item->lease);
        if (lease == NULL) {
            return HT_EPROTO;
        }
    }
    version = version_of(item);
    if (version == NULL || hti_kv_map_put(&kv->map, version, &made) != HT_OK) {
        hti_kv_version_unref(version);
        return HT_ENOMEM;
    }
    kv->restore->items++;
    return hti_kv_tie_set(&kv->leases, made, lease);
}

static ht_err take_record(struct hti_kv *kv, const Record *record)
{
    struct hti_kv_restore *restore = kv->restore;

    if (restore->end ||
        (!restore->head && record->record_case != RECORD(HEAD))) {
        return HT_EPROTO;
    }
    switch (record->record_case) {
    case RECORD(HEAD):
        return take_head(kv, record->head);
    case RECORD(LEASE):
        return take_lease(kv, record->lease);
    case RECORD(CLIENT):
        return take_client(kv, record->client);
    case RECORD(ITEM):
        return take_item(kv, record->item);
    case RECORD(END):
        restore->end = true;
        return record->end->items == restore->items ? HT_OK : HT_EPROTO;
    case HARDTACK__KVLOG__RECORD__RECORD__NOT_SET:
    case _HARDTACK__KVLOG__RECORD__RECORD__CASE_IS_INT_SIZE:
        break;
    }
    return HT_EPROTO;
}

static ht_err decode_record(struct hti_kv *kv, ht_bytes bytes)
{
    struct hti_arena *arena = hti_arena_new(RECORD_MEMORY_MAX);
    Record *record;
    ht_err err = HT_ENOMEM;

    if (arena == NULL) {
        return HT_ENOMEM;
    }
    record = hardtack__kvlog__record__unpack(hti_arena_allocator(arena),
                                             bytes.len, bytes.data);
    if (record != NULL) {
        err = take_record(kv, record);
    } else if (!hti_arena_starved(arena)) {
        err = HT_EPROTO;
    }
    hti_arena_free(arena);
    return err;
}

/* One record of the bytes; *ret_used 0: it is not all there. */
static ht_err take_one(struct hti_kv *kv, ht_bytes bytes, size_t *ret_used)
{
    struct hti_pb_in in = hti_pb_open(bytes);
    uint64_t len;

    *ret_used = 0;
    if (!hti_pb_varint(&in, &len)) {
        return bytes.len < 10 ? HT_OK : HT_EPROTO;
    }
    if (len > RECORD_MAX) {
        return HT_EPROTO;
    }
    if ((uint64_t)(in.end - in.p) < len) {
        return HT_OK;
    }
    *ret_used = (size_t)(in.p - (const uint8_t *)bytes.data) + (size_t)len;
    return decode_record(kv, (ht_bytes){in.p, (size_t)len});
}

static ht_err take_all(struct hti_kv *kv, ht_bytes bytes, size_t *ret_used)
{
    size_t used = 0;
    ht_err err = HT_OK;

    *ret_used = 0;
    do {
        ht_bytes rest = {(const uint8_t *)bytes.data + *ret_used,
                         bytes.len - *ret_used};

        err = rest.len > 0 ? take_one(kv, rest, &used) : HT_OK;
        used = rest.len > 0 ? used : 0;
        *ret_used += used;
    } while (err == HT_OK && used > 0);
    return err;
}

ht_err hti_kv_restore_data(struct hti_kv *kv, ht_bytes piece)
{
    struct hti_kv_buf *buf = &kv->restore->buf;
    uint8_t *at = hti_kv_buf_add(buf, piece.len);
    size_t used = 0;
    ht_err err;

    if (at == NULL) {
        return HT_ENOMEM;
    }
    if (piece.len > 0) {
        memcpy(at, piece.data, piece.len);
    }
    err = take_all(kv, (ht_bytes){buf->data, buf->len}, &used);
    if (used > 0) {
        memmove(buf->data, buf->data + used, buf->len - used);
        buf->len -= used;
    }
    return err;
}

/* Without any data it is the empty state. */
ht_err hti_kv_restore_end(struct hti_kv *kv)
{
    bool complete =
        kv->restore->buf.len == 0 && kv->restore->head == kv->restore->end;

    hti_kv_restore_drop(kv);
    if (!complete) {
        return HT_EPROTO;
    }
    hti_kv_history_reset(&kv->history, kv->revision);
    return HT_OK;
}
