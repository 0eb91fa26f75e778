/* SPDX-License-Identifier: Apache-2.0 */
/* use.c - hardtack/kv.h, for threads: one call of the front each. */
#include <hardtack/kv.h>
#include <hardtack/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/messages.h"
#include "kv/use.h"

static _Thread_local char reason[320];

const char *ht_kv_reason(void)
{
    return reason;
}

ht_err hti_kv_stub_open(ht_node *node,
                        ht_ref actor,
                        const ProtobufCServiceDescriptor *descriptor,
                        ht_stub **ret_stub)
{
    ht_err err;

    reason[0] = '\0';
    if (ht_current() != NULL) {
        return HT_EINVAL;
    }
    err = ht_stub_new(node, actor, descriptor, ret_stub);
    if (err == HT_OK) {
        ht_stub_set_timeout(*ret_stub, HT_INFINITE);
    }
    return err;
}

ht_err hti_kv_stub_close(ht_stub *stub, ht_err err)
{
    const char *words = "";
    ht_err called = ht_stub_error(&words);

    if (called != HT_OK) {
        (void)snprintf(reason, sizeof(reason), "%s", words);
        err = called;
    }
    ht_stub_free(stub);
    return err;
}

static ht_err open_store(ht_node *node, const char *store, ht_stub **ret_stub)
{
    ht_ref front;
    ht_err err = ht_kv_front(node, store, &front);

    return err == HT_OK
               ? hti_kv_stub_open(node, front, &hardtack__kv__store__descriptor,
                                  ret_stub)
               : err;
}

/* ---- get ----------------------------------------------------------------- */

void ht_kv_value_fini(ht_kv_value *value)
{
    free(value->data);
    *value = (ht_kv_value){0};
}

struct got {
    ht_kv_value value;
    ht_err err;
};

static void on_got(const GetReply *reply, void *arg)
{
    struct got *got = arg;
    const KeyValue *kv = reply == NULL ? NULL : reply->kv;

    got->err = HT_ENOENT;
    if (kv == NULL) {
        return;
    }
    got->value = (ht_kv_value){
        .data = malloc(kv->value.len + 1),
        .len = kv->value.len,
        .revision = kv->revision,
        .create_revision = kv->create_revision,
        .version = kv->version,
        .lease = kv->lease,
        .ttl_ms = kv->ttl_ms,
    };
    got->err = got->value.data == NULL ? HT_ENOMEM : HT_OK;
    if (got->value.data != NULL) {
        if (kv->value.len > 0) {
            memcpy(got->value.data, kv->value.data, kv->value.len);
        }
        ((char *)got->value.data)[kv->value.len] = '\0';
    }
}

ht_err ht_kv_get(ht_node *node,
                 const char *store,
                 const char *key,
                 bool stale,
                 ht_kv_value *ret_value)
{
    GetRequest request = HARDTACK__KV__GET_REQUEST__INIT;
    struct got got = {.err = HT_ENOENT};
    ht_stub *stub;
    ht_err err;

    if (key == NULL || ret_value == NULL) {
        return HT_EINVAL;
    }
    err = open_store(node, store, &stub);
    if (err != HT_OK) {
        return err;
    }
    request.key = (char *)(uintptr_t)key;
    request.stale = stale;
    hardtack__kv__store__get(ht_stub_service(stub), &request, on_got, &got);
    err = hti_kv_stub_close(stub, got.err);
    if (err == HT_OK) {
        *ret_value = got.value;
    }
    return err;
}

/* ---- put, swap, del ------------------------------------------------------ */

static void on_put(const PutReply *reply, void *arg)
{
    if (reply != NULL) {
        *(uint64_t *)arg = reply->revision;
    }
}

ht_err ht_kv_put(ht_node *node,
                 const char *store,
                 const char *key,
                 const void *data,
                 size_t len,
                 const ht_kv_put_opts *opts,
                 uint64_t *ret_revision)
{
    PutRequest request = HARDTACK__KV__PUT_REQUEST__INIT;
    uint64_t revision = 0;
    ht_stub *stub;
    ht_err err;

    if (key == NULL || (data == NULL && len > 0)) {
        return HT_EINVAL;
    }
    err = open_store(node, store, &stub);
    if (err != HT_OK) {
        return err;
    }
    request.key = (char *)(uintptr_t)key;
    request.data_case = HARDTACK__KV__PUT_REQUEST__DATA_VALUE;
    request.value.data = (uint8_t *)(uintptr_t)data;
    request.value.len = len;
    request.lease = opts != NULL ? opts->lease : 0;
    request.ttl_ms = opts != NULL ? opts->ttl_ms : 0;
    hardtack__kv__store__put(ht_stub_service(stub), &request, on_put,
                             &revision);
    err = hti_kv_stub_close(stub, HT_OK);
    if (err == HT_OK && ret_revision != NULL) {
        *ret_revision = revision;
    }
    return err;
}

struct swapped {
    uint64_t revision;
    bool done;
};

static void on_swapped(const SwapReply *reply, void *arg)
{
    struct swapped *swapped = arg;

    if (reply != NULL) {
        swapped->done = reply->swapped != 0;
        swapped->revision = reply->revision;
    }
}

ht_err ht_kv_swap(ht_node *node,
                  const char *store,
                  const char *key,
                  uint64_t expect_revision,
                  const void *data,
                  size_t len,
                  const ht_kv_put_opts *opts,
                  uint64_t *ret_revision)
{
    SwapRequest request = HARDTACK__KV__SWAP_REQUEST__INIT;
    struct swapped swapped = {0};
    ht_stub *stub;
    ht_err err;

    if (key == NULL || (data == NULL && len > 0)) {
        return HT_EINVAL;
    }
    err = open_store(node, store, &stub);
    if (err != HT_OK) {
        return err;
    }
    request.key = (char *)(uintptr_t)key;
    request.expected_case =
        HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION;
    request.expect_revision = expect_revision;
    request.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_VALUE;
    request.value.data = (uint8_t *)(uintptr_t)data;
    request.value.len = len;
    request.lease = opts != NULL ? opts->lease : 0;
    request.ttl_ms = opts != NULL ? opts->ttl_ms : 0;
    hardtack__kv__store__compare_and_swap(ht_stub_service(stub), &request,
                                          on_swapped, &swapped);
    err = hti_kv_stub_close(stub, swapped.done ? HT_OK : HT_EEXIST);
    if (err == HT_OK && ret_revision != NULL) {
        *ret_revision = swapped.revision;
    }
    return err;
}

static void on_deleted(const DelReply *reply, void *arg)
{
    if (reply != NULL) {
        *(uint64_t *)arg = reply->deleted;
    }
}

ht_err ht_kv_del(ht_node *node, const char *store, const char *key)
{
    DelRequest request = HARDTACK__KV__DEL_REQUEST__INIT;
    uint64_t deleted = 0;
    ht_stub *stub;
    ht_err err;

    if (key == NULL) {
        return HT_EINVAL;
    }
    err = open_store(node, store, &stub);
    if (err != HT_OK) {
        return err;
    }
    request.what_case = HARDTACK__KV__DEL_REQUEST__WHAT_KEY;
    request.key = (char *)(uintptr_t)key;
    hardtack__kv__store__del(ht_stub_service(stub), &request, on_deleted,
                             &deleted);
    return hti_kv_stub_close(stub, deleted > 0 ? HT_OK : HT_ENOENT);
}
