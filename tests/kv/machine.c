/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kv/machine.h"

#define COMMAND(field) HARDTACK__KVLOG__COMMAND__OP_##field

void machine_start(struct machine *m)
{
    const struct hti_kv_opts opts = {0};

    *m = (struct machine){.kv = hti_kv_new(&opts)};
    CHECK(m->kv != NULL);
}

void machine_end(struct machine *m)
{
    hti_kv_free(m->kv);
}

ht_bytes machine_command(struct machine *m, Command *command)
{
    size_t len;
    uint8_t *data;

    command->time_ms = m->time_ms;
    len = hardtack__kvlog__command__get_packed_size(command);
    data = malloc(len + 1);
    CHECK(data != NULL);
    (void)hardtack__kvlog__command__pack(command, data);
    return (ht_bytes){data, len};
}

/* The reply's bytes, none if it was refused; lent. */
static ht_bytes note(struct machine *m, ht_bytes answer)
{
    const uint8_t *bytes = answer.data;

    CHECK(answer.len >= 1);
    m->error = (enum hti_kv_error)bytes[0];
    m->words[0] = '\0';
    if (m->error != HTI_KV_DONE) {
        snprintf(m->words, sizeof(m->words), "%.*s", (int)answer.len - 1,
                 (const char *)bytes + 1);
        return (ht_bytes){NULL, 0};
    }
    return (ht_bytes){bytes + 1, answer.len - 1};
}

static ht_bytes apply(struct machine *m, Command *command)
{
    ht_bytes bytes = machine_command(m, command);
    ht_bytes answer;

    CHECK_OK(hti_kv_apply(m->kv, bytes, &answer));
    free((void *)(uintptr_t)bytes.data);
    return note(m, answer);
}

static RequestId *request_id(struct machine *m, RequestId *id)
{
    hardtack__kv__request_id__init(id);
    if (m->client == NULL) {
        return NULL;
    }
    id->client = (char *)(uintptr_t)m->client;
    id->sequence = m->sequence;
    return id;
}

void machine_put_more(struct machine *m, const PutRequest *put, PutReply **ret)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    PutRequest request = *put;
    RequestId id;
    ht_bytes reply;

    if (put->request == NULL) {
        request.request = request_id(m, &id);
    }
    command.op_case = COMMAND(PUT);
    command.put = &request;
    reply = apply(m, &command);
    *ret = NULL;
    if (m->error == HTI_KV_DONE) {
        *ret = hardtack__kv__put_reply__unpack(NULL, reply.len, reply.data);
        CHECK(*ret != NULL);
        m->revision = (*ret)->revision;
    }
}

void machine_put(struct machine *m, const char *key, const char *text)
{
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    PutReply *reply;

    put.key = (char *)(uintptr_t)key;
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    put.text = (char *)(uintptr_t)text;
    machine_put_more(m, &put, &reply);
    if (reply != NULL) {
        hardtack__kv__put_reply__free_unpacked(reply, NULL);
    }
}

static DelReply *del(struct machine *m, DelRequest *request)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    RequestId id;
    DelReply *ret;
    ht_bytes reply;

    request->request = request_id(m, &id);
    command.op_case = COMMAND(DEL);
    command.del = request;
    reply = apply(m, &command);
    CHECK(m->error == HTI_KV_DONE);
    ret = hardtack__kv__del_reply__unpack(NULL, reply.len, reply.data);
    CHECK(ret != NULL);
    m->revision = ret->revision;
    return ret;
}

uint64_t machine_del(struct machine *m, const char *key)
{
    DelRequest request = HARDTACK__KV__DEL_REQUEST__INIT;
    DelReply *reply;
    uint64_t deleted;

    request.what_case = HARDTACK__KV__DEL_REQUEST__WHAT_KEY;
    request.key = (char *)(uintptr_t)key;
    reply = del(m, &request);
    deleted = reply->deleted;
    hardtack__kv__del_reply__free_unpacked(reply, NULL);
    return deleted;
}

DelReply *machine_del_prefix(struct machine *m, const char *prefix)
{
    DelRequest request = HARDTACK__KV__DEL_REQUEST__INIT;

    request.what_case = HARDTACK__KV__DEL_REQUEST__WHAT_PREFIX;
    request.prefix = (char *)(uintptr_t)prefix;
    return del(m, &request);
}

SwapReply *machine_swap(struct machine *m, const SwapRequest *swap)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    SwapRequest request = *swap;
    SwapReply *ret = NULL;
    RequestId id;
    ht_bytes reply;

    request.request = request_id(m, &id);
    command.op_case = COMMAND(SWAP);
    command.swap = &request;
    reply = apply(m, &command);
    if (m->error == HTI_KV_DONE) {
        ret = hardtack__kv__swap_reply__unpack(NULL, reply.len, reply.data);
        CHECK(ret != NULL);
        m->revision = ret->revision;
    }
    return ret;
}

TxnReply *machine_txn(struct machine *m, const TxnRequest *txn)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    TxnRequest request = *txn;
    TxnReply *ret = NULL;
    RequestId id;
    ht_bytes reply;

    request.request = request_id(m, &id);
    command.op_case = COMMAND(TXN);
    command.txn = &request;
    reply = apply(m, &command);
    if (m->error == HTI_KV_DONE) {
        ret = hardtack__kv__txn_reply__unpack(NULL, reply.len, reply.data);
        CHECK(ret != NULL);
        m->revision = ret->revision;
    }
    return ret;
}

static uint64_t lease_of(struct machine *m, ht_bytes reply)
{
    LeaseReply *ret;
    uint64_t lease;

    if (m->error != HTI_KV_DONE) {
        return 0;
    }
    ret = hardtack__kv__lease_reply__unpack(NULL, reply.len, reply.data);
    CHECK(ret != NULL);
    lease = ret->lease;
    m->revision = ret->revision;
    hardtack__kv__lease_reply__free_unpacked(ret, NULL);
    return lease;
}

uint64_t machine_grant(struct machine *m, uint64_t ttl_ms)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    LeaseGrantRequest request = HARDTACK__KV__LEASE_GRANT_REQUEST__INIT;
    RequestId id;

    request.ttl_ms = ttl_ms;
    request.request = request_id(m, &id);
    command.op_case = COMMAND(GRANT);
    command.grant = &request;
    return lease_of(m, apply(m, &command));
}

void machine_keep_alive(struct machine *m, uint64_t lease)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    LeaseRequest request = HARDTACK__KV__LEASE_REQUEST__INIT;

    request.lease = lease;
    command.op_case = COMMAND(KEEP_ALIVE);
    command.keep_alive = &request;
    (void)lease_of(m, apply(m, &command));
}

void machine_revoke(struct machine *m, uint64_t lease)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    LeaseRequest request = HARDTACK__KV__LEASE_REQUEST__INIT;

    request.lease = lease;
    command.op_case = COMMAND(REVOKE);
    command.revoke = &request;
    (void)lease_of(m, apply(m, &command));
}

void machine_tick(struct machine *m)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    Hardtack__Kvlog__Tick tick = HARDTACK__KVLOG__TICK__INIT;

    command.op_case = COMMAND(TICK);
    command.tick = &tick;
    (void)apply(m, &command);
}

const char *machine_get(struct machine *m, const char *key)
{
    static char text[4096];
    GetRequest request = HARDTACK__KV__GET_REQUEST__INIT;
    GetReply *reply;
    bool found;
    ht_bytes answer;

    request.key = (char *)(uintptr_t)key;
    request.as_text = true;
    CHECK_OK(hti_kv_get(m->kv, &request, &answer));
    answer = note(m, answer);
    CHECK(m->error == HTI_KV_DONE);
    reply = hardtack__kv__get_reply__unpack(NULL, answer.len, answer.data);
    CHECK(reply != NULL);
    found = reply->found != 0;
    if (found) {
        snprintf(text, sizeof(text), "%s", reply->kv->text);
    }
    hardtack__kv__get_reply__free_unpacked(reply, NULL);
    return found ? text : NULL;
}

RangeReply *machine_range(struct machine *m, const RangeRequest *range)
{
    RangeReply *reply = NULL;
    ht_bytes answer;

    CHECK_OK(hti_kv_range(m->kv, range, &answer));
    answer = note(m, answer);
    if (m->error == HTI_KV_DONE) {
        reply =
            hardtack__kv__range_reply__unpack(NULL, answer.len, answer.data);
        CHECK(reply != NULL);
    }
    return reply;
}

ht_bytes machine_snapshot(struct hti_kv *kv, size_t piece)
{
    struct hti_kv_buf all = {0};
    struct hti_kv_cursor *cursor;
    size_t len;

    CHECK_OK(hti_kv_snapshot_open(kv, &cursor));
    do {
        size_t before = all.len;
        uint8_t *at = hti_kv_buf_add(&all, piece);

        CHECK(at != NULL);
        CHECK_OK(hti_kv_snapshot_read(kv, cursor, at, piece, &len));
        all.len = before + len;
    } while (len > 0);
    hti_kv_snapshot_close(kv, cursor);
    return (ht_bytes){all.data, all.len};
}

ht_err machine_restore(struct hti_kv *kv, ht_bytes snapshot, size_t piece)
{
    ht_err err = hti_kv_restore_begin(kv);

    for (size_t at = 0; err == HT_OK && at < snapshot.len; at += piece) {
        size_t len = snapshot.len - at < piece ? snapshot.len - at : piece;

        err = hti_kv_restore_data(
            kv, (ht_bytes){(const uint8_t *)snapshot.data + at, len});
    }
    return err == HT_OK ? hti_kv_restore_end(kv) : err;
}
