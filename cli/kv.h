/* SPDX-License-Identifier: Apache-2.0 */
/* kv.h - what the commands of `hardtack kv` share: their options, and a call of
 * the store that waits out an election. */
#ifndef CLI_KV_H
#define CLI_KV_H

#include "cli/client.h"
#include "hardtack/kv.pb-c.h"

#define KV_ARGUMENTS_MAX 2

struct kv {
    struct client_opts opts;
    const char *command;
    const char *store; /* NULL: "kv" */
    const char *arguments[KV_ARGUMENTS_MAX];
    size_t count;

    const char *prefix; /* NULL: not given */
    const char *expect; /* a value; NULL: not given */
    uint64_t expect_revision;
    bool has_expect_revision, absent, remove;
    uint64_t from_revision;
    uint64_t lease, ttl_ms;
    uint64_t limit; /* 0: none given */
    bool stale, raw, keys_only, previous;

    struct client client;
    char actor[80];
    char request_client[33];
    Hardtack__Kv__RequestId request; /* the last one */
};

/* Call the store.  What fails because there is no leader just now is tried
 * again until --timeout has passed; so is a write whose fate is unknown, which
 * is safe if it has a request id.  An error has been told; an exit code. */
int kv_call(struct kv *kv,
            const char *method,
            const ProtobufCMessage *request,
            bool repeatable,
            ProtobufCMessage **ret_out);
/* The same, once: waiting for an answer takes the store up to extra_ms. */
int kv_call_once(struct kv *kv,
                 const char *method,
                 const ProtobufCMessage *request,
                 uint32_t extra_ms,
                 ProtobufCMessage **ret_out);
/* The next request id of ours, lent; good until the next. */
Hardtack__Kv__RequestId *kv_request_id(struct kv *kv);
/* Its value as a reader gets it, bytes or text. */
ht_bytes kv_value(const Hardtack__Kv__KeyValue *pair);
/* Bytes of an argument; "-" is all of standard input. An exit code;
 * *ret_data is malloc'd. */
int kv_read_value(const char *text, uint8_t **ret_data, size_t *ret_len);

/* With the client open. */
int kv_get(struct kv *kv);
int kv_put(struct kv *kv);
int kv_del(struct kv *kv);
int kv_cas(struct kv *kv);
int kv_ls(struct kv *kv);
int kv_watch(struct kv *kv);
int kv_txn(struct kv *kv);
int kv_status(struct kv *kv);
int kv_lease(struct kv *kv);

#endif /* CLI_KV_H */
