/* SPDX-License-Identifier: Apache-2.0 */
/* kv_ops.c - get, put, del, cas, ls, lease, status of the store. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/kv.h"
#include "cli/pb_json.h"
#include "cli/table.h"

/* Of a value in a table. */
#define SHOWN_MAX 60
#define PAGE      500

static void print_value(ht_bytes value, bool raw)
{
    (void)fwrite(value.data, 1, value.len, stdout);
    if (!raw) {
        putchar('\n');
    }
}

/* Print as JSON and free; an exit code. */
static int finish_json(ProtobufCMessage *reply)
{
    int code = pb_json_print(pb_json(reply));

    protobuf_c_message_free_unpacked(reply, NULL);
    return code;
}

int kv_get(struct kv *kv)
{
    Hardtack__Kv__GetRequest request = HARDTACK__KV__GET_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    const Hardtack__Kv__GetReply *reply;
    int code;

    request.key = (char *)kv->arguments[0];
    request.stale = kv->stale;
    request.as_text = kv->opts.json;
    code = kv_call(kv, "Get", &request.base, true, &message);
    if (code != EXIT_OK) {
        return code;
    }
    reply = (const void *)message;
    code = reply->found ? EXIT_OK : EXIT_FAILED;
    if (kv->opts.json) {
        int printed = finish_json(message);
        return printed != EXIT_OK ? printed : code;
    }
    if (reply->found) {
        print_value(kv_value(reply->kv), kv->raw);
    } else {
        (void)cli_fail("there is no key \"%s\"", kv->arguments[0]);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return code;
}

/* The value before, if it was asked for. */
static void print_previous(const struct kv *kv,
                           const Hardtack__Kv__KeyValue *previous)
{
    if (kv->previous && previous != NULL) {
        print_value(kv_value(previous), false);
    }
}

int kv_put(struct kv *kv)
{
    Hardtack__Kv__PutRequest request = HARDTACK__KV__PUT_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    const Hardtack__Kv__PutReply *reply;
    int code = kv_read_value(kv->arguments[1], &request.value.data,
                             &request.value.len);

    if (code != EXIT_OK) {
        return code;
    }
    request.data_case = HARDTACK__KV__PUT_REQUEST__DATA_VALUE;
    request.key = (char *)kv->arguments[0];
    request.lease = kv->lease;
    request.ttl_ms = kv->ttl_ms;
    request.want_previous = kv->previous;
    request.as_text = kv->opts.json;
    request.request = kv_request_id(kv);
    code = kv_call(kv, "Put", &request.base, true, &message);
    free(request.value.data);
    if (code != EXIT_OK) {
        return code;
    }
    if (kv->opts.json) {
        return finish_json(message);
    }
    reply = (const void *)message;
    print_previous(kv, reply->previous);
    if (!kv->previous) {
        printf("revision %" PRIu64 "\n", reply->revision);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return EXIT_OK;
}

/* Of a prefix, a thousand keys at a time. */
int kv_del(struct kv *kv)
{
    ProtobufCMessage *message = NULL;
    uint64_t deleted = 0;
    uint64_t revision = 0;
    bool more = true;

    while (more) {
        Hardtack__Kv__DelRequest request = HARDTACK__KV__DEL_REQUEST__INIT;
        const Hardtack__Kv__DelReply *reply;
        int code;

        request.what_case = kv->prefix != NULL
                                ? HARDTACK__KV__DEL_REQUEST__WHAT_PREFIX
                                : HARDTACK__KV__DEL_REQUEST__WHAT_KEY;
        request.key =
            (char *)(kv->prefix != NULL ? kv->prefix : kv->arguments[0]);
        request.want_previous = kv->previous && kv->prefix == NULL;
        request.as_text = kv->opts.json;
        request.request = kv_request_id(kv);
        code = kv_call(kv, "Del", &request.base, true, &message);
        if (code != EXIT_OK) {
            return code;
        }
        reply = (const void *)message;
        deleted += reply->deleted;
        revision = reply->revision;
        more = reply->more;
        print_previous(kv, kv->opts.json ? NULL : reply->previous);
        if (kv->opts.json && !more && deleted == reply->deleted) {
            return finish_json(message);
        }
        protobuf_c_message_free_unpacked(message, NULL);
    }
    if (kv->opts.json) {
        return pb_json_print(json_pack("{s:I, s:I}", "deleted",
                                       (json_int_t)deleted, "revision",
                                       (json_int_t)revision));
    }
    if (!kv->previous) {
        printf("%" PRIu64 " deleted\n", deleted);
    }
    return EXIT_OK;
}

static int print_cas(const struct kv *kv, ProtobufCMessage *message)
{
    const Hardtack__Kv__SwapReply *reply = (const void *)message;
    int code = reply->swapped ? EXIT_OK : EXIT_FAILED;

    if (kv->opts.json) {
        int printed = finish_json(message);
        return printed != EXIT_OK ? printed : code;
    }
    if (reply->swapped) {
        printf("revision %" PRIu64 "\n", reply->revision);
    } else if (reply->kv == NULL) {
        (void)cli_fail("not as expected: there is no key \"%s\"",
                       kv->arguments[0]);
    } else {
        ht_bytes value = kv_value(reply->kv);

        (void)cli_fail("not as expected: \"%s\" has revision %" PRIu64
                       " and holds %.*s",
                       kv->arguments[0], reply->kv->revision, (int)value.len,
                       (const char *)value.data);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return code;
}

static void expect(const struct kv *kv, Hardtack__Kv__SwapRequest *request)
{
    if (kv->expect != NULL) {
        request->expected_case =
            HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_VALUE;
        request->expect_value.data = (uint8_t *)(uintptr_t)kv->expect;
        request->expect_value.len = strlen(kv->expect);
        return;
    }
    request->expected_case =
        HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION;
    request->expect_revision = kv->absent ? 0 : kv->expect_revision;
}

int kv_cas(struct kv *kv)
{
    Hardtack__Kv__SwapRequest request = HARDTACK__KV__SWAP_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    uint8_t *value = NULL;
    size_t len = 0;
    int code = EXIT_OK;

    request.key = (char *)kv->arguments[0];
    expect(kv, &request);
    if (kv->remove) {
        request.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_REMOVE;
        request.remove = true;
    } else {
        code = kv_read_value(kv->arguments[1], &value, &len);
        request.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_VALUE;
        request.value.data = value;
        request.value.len = len;
    }
    request.lease = kv->lease;
    request.ttl_ms = kv->ttl_ms;
    request.as_text = kv->opts.json;
    request.request = kv_request_id(kv);
    if (code == EXIT_OK) {
        code = kv_call(kv, "CompareAndSwap", &request.base, true, &message);
    }
    free(value);
    return code == EXIT_OK ? print_cas(kv, message) : code;
}

/* ---- ls ------------------------------------------------------------------ */

static void add_row(struct table *table, const Hardtack__Kv__KeyValue *pair)
{
    ht_bytes value = kv_value(pair);
    bool cut = value.len > SHOWN_MAX;
    char shown[SHOWN_MAX + 4];

    table_text(table, pair->key);
    table_number(table, pair->revision);
    table_number(table, pair->version);
    if (pair->ttl_ms != 0) {
        table_duration(table, pair->ttl_ms);
    } else {
        table_text(table, "-");
    }
    if (pair->lease != 0) {
        table_number(table, pair->lease);
    } else {
        table_text(table, "-");
    }
    snprintf(shown, sizeof(shown), "%.*s%s", (int)(cut ? SHOWN_MAX : value.len),
             (const char *)value.data, cut ? "..." : "");
    table_text(table, shown);
}

struct listing {
    struct table table;
    json_t *json;
    uint64_t count;
};

static void list_page(const struct kv *kv,
                      struct listing *listing,
                      const Hardtack__Kv__RangeReply *reply)
{
    for (size_t i = 0; i < reply->n_kvs; i++) {
        if (kv->opts.json) {
            (void)json_array_append_new(listing->json,
                                        pb_json(&reply->kvs[i]->base));
        } else if (kv->keys_only) {
            puts(reply->kvs[i]->key);
        } else {
            add_row(&listing->table, reply->kvs[i]);
        }
    }
    listing->count += reply->n_kvs;
}

static int list_pages(struct kv *kv, struct listing *listing)
{
    Hardtack__Kv__RangeRequest request = HARDTACK__KV__RANGE_REQUEST__INIT;
    char *after = strdup("");
    bool more = true;
    int code = after != NULL ? EXIT_OK : cli_fail("out of memory");

    request.prefix = (char *)(kv->count > 0 ? kv->arguments[0] : "");
    request.keys_only = kv->keys_only;
    request.stale = kv->stale;
    request.as_text = true;
    while (code == EXIT_OK && more) {
        ProtobufCMessage *message = NULL;
        uint64_t left = kv->limit - listing->count;

        request.after = after;
        request.limit =
            kv->limit != 0 && left < PAGE ? (uint32_t)left : (uint32_t)PAGE;
        code = kv_call(kv, "Range", &request.base, true, &message);
        if (code == EXIT_OK) {
            const Hardtack__Kv__RangeReply *reply = (const void *)message;

            list_page(kv, listing, reply);
            more =
                reply->more && (kv->limit == 0 || listing->count < kv->limit);
            free(after);
            after = strdup(reply->next);
            code = after != NULL ? EXIT_OK : cli_fail("out of memory");
        }
        protobuf_c_message_free_unpacked(message, NULL);
    }
    free(after);
    return code;
}

int kv_ls(struct kv *kv)
{
    struct listing listing = {.count = 0};
    int code;

    table_init(&listing.table, "KEY|>REVISION|>VERSION|TTL|LEASE|VALUE");
    listing.json = json_array();
    code = list_pages(kv, &listing);
    if (code == EXIT_OK && kv->opts.json) {
        code = pb_json_print(json_incref(listing.json));
    } else if (code == EXIT_OK && !kv->keys_only) {
        table_print(&listing.table, stdout);
    }
    json_decref(listing.json);
    table_fini(&listing.table);
    return code;
}

/* ---- leases -------------------------------------------------------------- */

static int print_lease(const struct kv *kv, ProtobufCMessage *message)
{
    const Hardtack__Kv__LeaseReply *reply = (const void *)message;

    if (kv->opts.json) {
        return finish_json(message);
    }
    printf("lease %" PRIu64 ", %" PRIu64 " of %" PRIu64 " ms remain\n",
           reply->lease, reply->remaining_ms, reply->ttl_ms);
    for (size_t i = 0; i < reply->n_keys; i++) {
        printf("  %s\n", reply->keys[i]);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return EXIT_OK;
}

static int lease_grant(struct kv *kv, ProtobufCMessage **ret_out)
{
    Hardtack__Kv__LeaseGrantRequest request =
        HARDTACK__KV__LEASE_GRANT_REQUEST__INIT;
    uint32_t ms = 0;

    if (!client_read_timeout(kv->arguments[1], &ms)) {
        (void)cli_fail("kv lease: \"%s\": expected a time such as 30s",
                       kv->arguments[1]);
        return EXIT_USAGE;
    }
    request.ttl_ms = ms;
    request.request = kv_request_id(kv);
    return kv_call(kv, "LeaseGrant", &request.base, true, ret_out);
}

int kv_lease(struct kv *kv)
{
    static const struct {
        const char *word;
        const char *method;
    } what[] = {{"keep", "LeaseKeepAlive"},
                {"revoke", "LeaseRevoke"},
                {"info", "LeaseInfo"}};
    Hardtack__Kv__LeaseRequest request = HARDTACK__KV__LEASE_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    const char *method = NULL;
    char *end = NULL;
    int code;

    if (strcmp(kv->arguments[0], "grant") == 0) {
        code = lease_grant(kv, &message);
        return code == EXIT_OK ? print_lease(kv, message) : code;
    }
    for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
        if (strcmp(kv->arguments[0], what[i].word) == 0) {
            method = what[i].method;
        }
    }
    request.lease = strtoull(kv->arguments[1], &end, 10);
    if (method == NULL || request.lease == 0 || *end != '\0') {
        (void)cli_fail("kv lease %s %s: expected grant TIME, or keep, revoke "
                       "or info and the NUMBER of a lease",
                       kv->arguments[0], kv->arguments[1]);
        return EXIT_USAGE;
    }
    request.want_keys = true;
    code = kv_call(kv, method, &request.base, true, &message);
    return code == EXIT_OK ? print_lease(kv, message) : code;
}

/* ---- status -------------------------------------------------------------- */

static void print_members(const Hardtack__Kv__StatusReply *s)
{
    struct table table;

    table_init(&table, "MEMBER|ROLE|>MATCHED|>LAG|CONNECTED");
    for (size_t i = 0; i < s->n_members; i++) {
        const Hardtack__Kv__MemberStatus *member = s->members[i];

        table_text(&table, member->name);
        table_text(&table, member->role);
        table_number(&table, member->matched_index);
        table_number(&table, member->lag);
        table_text(&table, member->connected ? "yes" : "no");
    }
    table_print(&table, stdout);
    table_fini(&table);
}

static void print_status(const Hardtack__Kv__StatusReply *s)
{
    printf("store     %s on %s, %s\n", s->store, s->member, s->role);
    printf("leader    %s, term %" PRIu64 "\n",
           s->leader[0] != '\0' ? s->leader : "none", s->term);
    printf("log       committed %" PRIu64 ", applied %" PRIu64 ", last %" PRIu64
           ", snapshot %" PRIu64 ", %" PRIu64 " bytes\n",
           s->commit_index, s->applied_index, s->last_index, s->snapshot_index,
           s->log_bytes);
    printf("data      %" PRIu64 " keys, %" PRIu64 " bytes, revision %" PRIu64
           " (changes kept after %" PRIu64 ")\n",
           s->keys, s->bytes, s->revision, s->compacted_revision);
    printf("serving   %" PRIu64 " leases, %" PRIu64 " watchers, %" PRIu64
           " requests waiting\n",
           s->leases, s->watchers, s->waiting);
    printf("disk      %" PRIu64 " fsyncs of %" PRIu64 " us for %" PRIu64
           " entries%s\n",
           s->fsyncs_total, s->fsync_us, s->entries_total,
           s->disk_full ? "; FULL: no writes" : "");
    printf("commit    %" PRIu64 " us on average, p99 %" PRIu64 " us\n\n",
           s->commit_us, s->commit_p99_us);
    print_members(s);
}

int kv_status(struct kv *kv)
{
    Hardtack__Empty request = HARDTACK__EMPTY__INIT;
    ProtobufCMessage *message = NULL;
    int code = kv_call_once(kv, "Status", &request.base, 0, &message);

    if (code != EXIT_OK) {
        return code;
    }
    if (kv->opts.json) {
        return finish_json(message);
    }
    print_status((const void *)message);
    protobuf_c_message_free_unpacked(message, NULL);
    return EXIT_OK;
}
