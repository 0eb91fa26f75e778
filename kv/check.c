/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "kv/limits.h"

#define CASE(message, field) HARDTACK__KV__##message##__##field

static bool fault(struct hti_kv_fault *ret,
                  enum hti_kv_error error,
                  const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

static bool fault(struct hti_kv_fault *ret,
                  enum hti_kv_error error,
                  const char *format,
                  ...)
{
    va_list list;

    ret->error = error;
    va_start(list, format);
    (void)vsnprintf(ret->words, sizeof(ret->words), format, list);
    va_end(list);
    return false;
}

/* ---- parts --------------------------------------------------------------- */

static bool check_prefix(const char *prefix, struct hti_kv_fault *ret)
{
    size_t len = strlen(prefix);

    if (len > HTI_KV_KEY_MAX) {
        return fault(ret, HTI_KV_TOO_BIG, "a key of %zu bytes, at most %u", len,
                     HTI_KV_KEY_MAX);
    }
    if (!hti_utf8_valid(prefix, len)) {
        return fault(ret, HTI_KV_BAD_REQUEST, "a key that is not UTF-8");
    }
    return true;
}

static bool check_key(const char *key, struct hti_kv_fault *ret)
{
    if (key[0] == '\0') {
        return fault(ret, HTI_KV_BAD_REQUEST, "a key is missing");
    }
    return check_prefix(key, ret);
}

static bool check_value(ht_bytes value, struct hti_kv_fault *ret)
{
    if (value.len > HTI_KV_VALUE_MAX) {
        return fault(ret, HTI_KV_TOO_BIG, "a value of %zu bytes, at most %u",
                     value.len, HTI_KV_VALUE_MAX);
    }
    return true;
}

static bool check_ttl(uint64_t ttl_ms, struct hti_kv_fault *ret)
{
    if (ttl_ms > HTI_KV_TTL_MAX) {
        return fault(ret, HTI_KV_BAD_REQUEST,
                     "a time to live of %llu ms, at most %u",
                     (unsigned long long)ttl_ms, HTI_KV_TTL_MAX);
    }
    return true;
}

static bool check_request(const RequestId *request, struct hti_kv_fault *ret)
{
    if (request == NULL || request->client[0] == '\0') {
        return true;
    }
    if (strlen(request->client) > HTI_KV_CLIENT_MAX) {
        return fault(ret, HTI_KV_TOO_BIG,
                     "a client's name of %zu bytes, at most %u",
                     strlen(request->client), HTI_KV_CLIENT_MAX);
    }
    if (!hti_utf8_valid(request->client, strlen(request->client))) {
        return fault(ret, HTI_KV_BAD_REQUEST,
                     "a client's name that is not UTF-8");
    }
    return true;
}

/* ---- values -------------------------------------------------------------- */

static ht_bytes text_bytes(const char *text)
{
    return (ht_bytes){text, strlen(text)};
}

static ht_bytes data_bytes(ProtobufCBinaryData data)
{
    return (ht_bytes){data.data, data.len};
}

ht_bytes hti_kv_put_value(const PutRequest *request)
{
    return request->data_case == CASE(PUT_REQUEST, DATA_TEXT)
               ? text_bytes(request->text)
               : data_bytes(request->value);
}

ht_bytes hti_kv_swap_value(const SwapRequest *request)
{
    return request->data_case == CASE(SWAP_REQUEST, DATA_TEXT)
               ? text_bytes(request->text)
               : data_bytes(request->value);
}

/* ---- requests ------------------------------------------------------------ */

bool hti_kv_check_get(const GetRequest *request, struct hti_kv_fault *ret)
{
    return check_key(request->key, ret);
}

bool hti_kv_check_range(const RangeRequest *request, struct hti_kv_fault *ret)
{
    if (request->limit > HTI_KV_RANGE_MAX) {
        return fault(ret, HTI_KV_BAD_REQUEST, "a limit of %u keys, at most %u",
                     request->limit, HTI_KV_RANGE_MAX);
    }
    return check_prefix(request->prefix, ret) &&
           check_prefix(request->after, ret);
}

bool hti_kv_check_put(const PutRequest *request, struct hti_kv_fault *ret)
{
    if (request->data_case == CASE(PUT_REQUEST, DATA__NOT_SET)) {
        return fault(ret, HTI_KV_BAD_REQUEST, "value or text is missing");
    }
    return check_key(request->key, ret) &&
           check_value(hti_kv_put_value(request), ret) &&
           check_ttl(request->ttl_ms, ret) &&
           check_request(request->request, ret);
}

bool hti_kv_check_del(const DelRequest *request, struct hti_kv_fault *ret)
{
    if (request->what_case == CASE(DEL_REQUEST, WHAT_PREFIX)) {
        if (request->want_previous) {
            return fault(ret, HTI_KV_BAD_REQUEST,
                         "want_previous is for one key");
        }
        return check_key(request->prefix, ret) &&
               check_request(request->request, ret);
    }
    if (request->what_case != CASE(DEL_REQUEST, WHAT_KEY)) {
        return fault(ret, HTI_KV_BAD_REQUEST, "key or prefix is missing");
    }
    return check_key(request->key, ret) && check_request(request->request, ret);
}

bool hti_kv_check_swap(const SwapRequest *request, struct hti_kv_fault *ret)
{
    if (request->expected_case == CASE(SWAP_REQUEST, EXPECTED__NOT_SET)) {
        return fault(ret, HTI_KV_BAD_REQUEST,
                     "expect_revision, expect_value or expect_text is missing");
    }
    if (request->data_case == CASE(SWAP_REQUEST, DATA__NOT_SET) ||
        (request->data_case == CASE(SWAP_REQUEST, DATA_REMOVE) &&
         !request->remove)) {
        return fault(ret, HTI_KV_BAD_REQUEST,
                     "value, text or remove is missing");
    }
    return check_key(request->key, ret) &&
           (request->data_case == CASE(SWAP_REQUEST, DATA_REMOVE) ||
            check_value(hti_kv_swap_value(request), ret)) &&
           check_ttl(request->ttl_ms, ret) &&
           check_request(request->request, ret);
}

static bool check_condition(const Condition *condition,
                            struct hti_kv_fault *ret)
{
    if (condition->to_case == CASE(CONDITION, TO__NOT_SET)) {
        return fault(ret, HTI_KV_BAD_REQUEST,
                     "a condition compares with nothing");
    }
    if ((unsigned)condition->is > (unsigned)HARDTACK__KV__RELATION__GREATER) {
        return fault(ret, HTI_KV_BAD_REQUEST, "a condition's relation is %d",
                     (int)condition->is);
    }
    return check_key(condition->key, ret);
}

static bool check_step(const Op *op, struct hti_kv_fault *ret)
{
    const RequestId *request = NULL;
    bool stale = false;
    bool good = false;

    switch (op->op_case) {
    case CASE(OP, OP_PUT):
        good = hti_kv_check_put(op->put, ret);
        request = op->put->request;
        break;
    case CASE(OP, OP_DEL):
        good = hti_kv_check_del(op->del, ret);
        request = op->del->request;
        break;
    case CASE(OP, OP_GET):
        good = hti_kv_check_get(op->get, ret);
        stale = op->get->stale;
        break;
    case CASE(OP, OP__NOT_SET):
    case _HARDTACK__KV__OP__OP__CASE_IS_INT_SIZE:
        return fault(ret, HTI_KV_BAD_REQUEST, "a step does nothing");
    }
    if (good && (request != NULL || stale)) {
        return fault(ret, HTI_KV_BAD_REQUEST,
                     "a step has no request and no stale of its own");
    }
    return good;
}

static bool
check_steps(Op *const *steps, size_t count, struct hti_kv_fault *ret)
{
    bool good = true;
    unsigned prefixes = 0;

    if (count > HTI_KV_TXN_MAX) {
        return fault(ret, HTI_KV_TOO_BIG,
                     "a transaction of %zu steps, at most %u", count,
                     HTI_KV_TXN_MAX);
    }
    for (size_t i = 0; good && i < count; i++) {
        good = check_step(steps[i], ret);
        prefixes += good && steps[i]->op_case == CASE(OP, OP_DEL) &&
                    steps[i]->del->what_case == CASE(DEL_REQUEST, WHAT_PREFIX);
    }
    if (good && prefixes > 1) {
        /* Each may take a thousand keys, and a command may not take long. */
        return fault(ret, HTI_KV_BAD_REQUEST,
                     "a transaction deletes by one prefix at most");
    }
    return good;
}

bool hti_kv_check_txn(const TxnRequest *request, struct hti_kv_fault *ret)
{
    bool good = check_request(request->request, ret);

    if (request->n_conditions > HTI_KV_TXN_MAX) {
        return fault(ret, HTI_KV_TOO_BIG,
                     "a transaction of %zu conditions, at most %u",
                     request->n_conditions, HTI_KV_TXN_MAX);
    }
    for (size_t i = 0; good && i < request->n_conditions; i++) {
        good = check_condition(request->conditions[i], ret);
    }
    return good && check_steps(request->then, request->n_then, ret) &&
           check_steps(request->otherwise, request->n_otherwise, ret);
}

bool hti_kv_check_grant(const LeaseGrantRequest *request,
                        struct hti_kv_fault *ret)
{
    if (request->ttl_ms < HTI_KV_LEASE_TTL_MIN) {
        return fault(ret, HTI_KV_BAD_REQUEST, "a lease of %llu ms, at least %u",
                     (unsigned long long)request->ttl_ms, HTI_KV_LEASE_TTL_MIN);
    }
    return check_ttl(request->ttl_ms, ret) &&
           check_request(request->request, ret);
}

bool hti_kv_check_watch(const WatchRequest *request, struct hti_kv_fault *ret)
{
    switch (request->what_case) {
    case CASE(WATCH_REQUEST, WHAT_KEY):
        return check_key(request->key, ret);
    case CASE(WATCH_REQUEST, WHAT_PREFIX):
        return check_prefix(request->prefix, ret);
    case CASE(WATCH_REQUEST, WHAT__NOT_SET):
    case _HARDTACK__KV__WATCH_REQUEST__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return fault(ret, HTI_KV_BAD_REQUEST, "key or prefix is missing");
}

bool hti_kv_check_changes(const ChangesRequest *request,
                          struct hti_kv_fault *ret)
{
    if (request->limit > HTI_KV_RANGE_MAX) {
        return fault(ret, HTI_KV_BAD_REQUEST,
                     "a limit of %u changes, at most %u", request->limit,
                     HTI_KV_RANGE_MAX);
    }
    if (request->wait_ms > 60000) {
        return fault(ret, HTI_KV_BAD_REQUEST, "a wait of %u ms, at most 60000",
                     request->wait_ms);
    }
    switch (request->what_case) {
    case CASE(CHANGES_REQUEST, WHAT_KEY):
        return check_key(request->key, ret);
    case CASE(CHANGES_REQUEST, WHAT_PREFIX):
        return check_prefix(request->prefix, ret);
    case CASE(CHANGES_REQUEST, WHAT__NOT_SET):
    case _HARDTACK__KV__CHANGES_REQUEST__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return fault(ret, HTI_KV_BAD_REQUEST, "key or prefix is missing");
}

/* ---- commands ------------------------------------------------------------ */

#define COMMAND(field) HARDTACK__KVLOG__COMMAND__OP_##field

bool hti_kv_check_command(const Command *command, struct hti_kv_fault *ret)
{
    switch (command->op_case) {
    case COMMAND(PUT):
        return hti_kv_check_put(command->put, ret);
    case COMMAND(DEL):
        return hti_kv_check_del(command->del, ret);
    case COMMAND(SWAP):
        return hti_kv_check_swap(command->swap, ret);
    case COMMAND(TXN):
        return hti_kv_check_txn(command->txn, ret);
    case COMMAND(GRANT):
        return hti_kv_check_grant(command->grant, ret);
    case COMMAND(KEEP_ALIVE):
    case COMMAND(REVOKE):
    case COMMAND(TICK):
        return true;
    case HARDTACK__KVLOG__COMMAND__OP__NOT_SET:
    case _HARDTACK__KVLOG__COMMAND__OP__CASE_IS_INT_SIZE:
        break;
    }
    return fault(ret, HTI_KV_BAD_REQUEST, "no such command");
}

const RequestId *hti_kv_command_request(const Command *command)
{
    const RequestId *request = NULL;

    switch (command->op_case) {
    case COMMAND(PUT):
        request = command->put->request;
        break;
    case COMMAND(DEL):
        request = command->del->request;
        break;
    case COMMAND(SWAP):
        request = command->swap->request;
        break;
    case COMMAND(TXN):
        request = command->txn->request;
        break;
    case COMMAND(GRANT):
        request = command->grant->request;
        break;
    case COMMAND(KEEP_ALIVE):
    case COMMAND(REVOKE):
    case COMMAND(TICK):
    case HARDTACK__KVLOG__COMMAND__OP__NOT_SET:
    case _HARDTACK__KVLOG__COMMAND__OP__CASE_IS_INT_SIZE:
        break;
    }
    return request != NULL && request->client[0] != '\0' ? request : NULL;
}
