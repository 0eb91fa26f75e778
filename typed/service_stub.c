/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side of hardtack/service.h: a ProtobufCService whose invoke sends
 * to a ref. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hardtack.h>
#include <protobuf-c/protobuf-c.h>

#include "actor/runtime.h"
#include "base/mem.h"
#include "typed/args_message.h"
#include "typed/service_codec.h"

#define REASON_BYTES_MAX 256

struct ht_stub {
    ProtobufCService base; /* first: see stub_invoke() */
    ht_node *node;
    ht_ref to;
    uint32_t timeout_ms;
};

/* What a closure is to be given, and where it goes on. */
struct pending {
    const ProtobufCMessageDescriptor *output;
    ProtobufCClosure closure;
    void *closure_data;
};

/* Of the answer just delivered in this thread. */
static _Thread_local struct {
    ht_err err;
    char reason[REASON_BYTES_MAX];
} last;

ht_err ht_stub_error(const char **ret_reason)
{
    if (ret_reason != NULL) {
        *ret_reason = last.reason;
    }
    return last.err;
}

/* ---- answers ------------------------------------------------------------- */

static void deliver(const struct pending *pending,
                    ht_err err,
                    const char *reason,
                    const ProtobufCMessage *message)
{
    last.err = err;
    snprintf(last.reason, sizeof last.reason, "%s", reason);
    if (pending->closure != NULL) {
        pending->closure(message, pending->closure_data);
    }
}

/* The closure may free the stub: pending is a copy, or its own block. */
static void deliver_reply(const struct pending *pending, const ht_reply *reply)
{
    const ht_bytes bytes = {reply->data, reply->len};
    ProtobufCMessage *message = NULL;
    ht_err err = reply->err;

    if (err == HT_OK) {
        err = hti_message_decode_delimited(pending->output, bytes, &message);
    }
    deliver(pending, err, reply->reason, message);
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

/* ---- calls --------------------------------------------------------------- */

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    (void)self;
    deliver_reply(arg, reply);
}

static void call_async(const ht_stub *stub,
                       const char *variant,
                       const struct hti_packed *args,
                       const struct pending *pending)
{
    ht_actor *self = ht_current();
    struct pending *kept = hti_alloc(sizeof *kept);
    ht_err err = HT_ENOMEM;

    if (ht_actor_node(self) != stub->node) {
        err = HT_EINVAL;
    } else if (kept != NULL) {
        *kept = *pending;
        err =
            hti_call_async_owned(self, stub->to, variant, args->data, args->len,
                                 stub->timeout_ms, on_reply, hti_free, kept);
    }
    if (err != HT_OK) {
        hti_free(kept);
        deliver(pending, err, "", NULL);
    }
}

static void call_wait(const ht_stub *stub,
                      const char *variant,
                      const struct hti_packed *args,
                      const struct pending *pending)
{
    ht_reply reply = {0};
    ht_err err = ht_call_wait(stub->node, stub->to, variant, args->data,
                              args->len, stub->timeout_ms, &reply);

    (void)err; /* also reply.err */
    deliver_reply(pending, &reply);
    ht_reply_fini(&reply);
}

static void cast(const ht_stub *stub,
                 const char *variant,
                 const struct hti_packed *args,
                 const struct pending *pending)
{
    ProtobufCMessage none;
    ht_err err = ht_cast(stub->node, stub->to, variant, args->data, args->len);

    protobuf_c_message_init(pending->output, &none);
    deliver(pending, err, "", err == HT_OK ? &none : NULL);
}

static void stub_invoke(ProtobufCService *service,
                        unsigned index,
                        const ProtobufCMessage *input,
                        ProtobufCClosure closure,
                        void *closure_data)
{
    const ht_stub *stub = (const ht_stub *)(const void *)service;
    const ProtobufCMethodDescriptor *method =
        &service->descriptor->methods[index];
    const struct pending pending = {method->output, closure, closure_data};
    struct hti_packed args;

    if (hti_pack_argument(&args, input) != HT_OK) {
        deliver(&pending, HT_ENOMEM, "", NULL);
        return;
    }
    if (hti_is_none(method->output)) {
        cast(stub, method->name, &args, &pending);
    } else if (ht_current() != NULL) {
        call_async(stub, method->name, &args, &pending);
    } else {
        call_wait(stub, method->name, &args, &pending);
    }
    hti_packed_fini(&args);
}

/* ---- life ---------------------------------------------------------------- */

ht_err ht_stub_new(ht_node *node,
                   ht_ref to,
                   const ProtobufCServiceDescriptor *descriptor,
                   ht_stub **ret_stub)
{
    ht_stub *stub;

    if (node == NULL || descriptor == NULL || ht_ref_is_none(to)) {
        return HT_EINVAL;
    }
    stub = calloc(1, sizeof *stub);
    if (stub == NULL) {
        return HT_ENOMEM;
    }
    stub->base.descriptor = descriptor;
    stub->base.invoke = stub_invoke;
    stub->node = node;
    stub->to = to;
    *ret_stub = stub;
    return HT_OK;
}

void ht_stub_free(ht_stub *stub)
{
    free(stub);
}

ProtobufCService *ht_stub_service(ht_stub *stub)
{
    return &stub->base;
}

void ht_stub_set_timeout(ht_stub *stub, uint32_t timeout_ms)
{
    stub->timeout_ms = timeout_ms;
}
