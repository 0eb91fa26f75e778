/* SPDX-License-Identifier: Apache-2.0 */
/* The serving side of hardtack/service.h: an actor whose behaviour is wrapped
 * around a protobuf service.
 *
 * What a service actor needs stands behind its behaviour, so the actor's state
 * stays the user's.  A typed call travels through the generated code as its
 * closure_data: the call's number itself, so that nothing has to be freed when
 * it is never answered.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <hardtack.h>
#include <protobuf-c/protobuf-c.h>

#include "actor/runtime.h"
#include "typed/service_codec.h"

_Static_assert(sizeof(void *) >= sizeof(uint64_t),
               "a call's number travels as a pointer");

struct typed {
    ht_behavior behavior; /* first: see typed_of() */
    ProtobufCService *service;
    const ht_behavior *around; /* never NULL */
    void *arg;
};

/* Of the typed message that this thread handles. */
static _Thread_local ht_ref handling_from;

static struct typed *typed_of(const ht_actor *self)
{
    return (struct typed *)(uintptr_t)hti_actor_behavior(self);
}

/* ---- answers ------------------------------------------------------------- */

static void *call_token(ht_call call)
{
    return (void *)(uintptr_t)call.id;
}

static ht_call token_call(void *token)
{
    ht_call call = {(uint64_t)(uintptr_t)token};

    return call;
}

void ht_fail(void *token, ht_err code, const char *reason)
{
    ht_actor *self = ht_current();

    /* A cast has nobody to tell. */
    if (self != NULL && token != NULL) {
        ht_reply_error(self, token_call(token), code, reason);
    }
}

/* The closure that every handler gets. */
static void answer(const ProtobufCMessage *message, void *token)
{
    ht_actor *self = ht_current();
    struct hti_packed packed;

    if (self == NULL || token == NULL) {
        return;
    }
    if (message == NULL) {
        ht_fail(token, HT_EFAILED, NULL);
        return;
    }
    if (hti_pack_reply(&packed, message) != HT_OK) {
        ht_fail(token, HT_EFAILED, "out of memory");
        return;
    }
    ht_reply_ok(self, token_call(token), packed.data, packed.len);
    hti_packed_fini(&packed);
}

ht_actor *ht_service_self(void)
{
    return ht_current();
}

ht_ref ht_service_from(void)
{
    return handling_from;
}

/* ---- messages ------------------------------------------------------------ */

/* The generated struct is a ProtobufCService and a function a method; one may
 * have been left out. */
static bool has_handler(const ProtobufCService *service, unsigned method)
{
    void (*const *handlers)(void) = (void (*const *)(void))(service + 1);

    return service->invoke != protobuf_c_service_invoke_internal ||
           handlers[method] != NULL;
}

/* NULL: the service has no such message of that kind. */
static const ProtobufCMethodDescriptor *
find_method(const ProtobufCService *service, const char *variant, bool is_call)
{
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(service->descriptor,
                                                         variant);

    if (method == NULL || hti_is_none(method->output) == is_call ||
        !has_handler(service,
                     (unsigned)(method - service->descriptor->methods))) {
        return NULL;
    }
    return method;
}

static ht_err handle_other(ht_actor *self,
                           const struct typed *typed,
                           const ht_msg *msg,
                           ht_call call)
{
    return typed->around->handle != NULL
               ? typed->around->handle(self, msg, call)
               : HT_ENOVARIANT;
}

/* A call is answered, a cast counted as dropped, and the actor lives on; which
 * HT_ENOMEM would not let it. */
static ht_err refuse(ht_actor *self, ht_call call, ht_err err)
{
    if (err == HT_ENOMEM && call.id != 0) {
        ht_reply_error(self, call, HT_EOVERLOAD, NULL);
    }
    return HT_EARGS;
}

static void invoke(const struct typed *typed,
                   const ProtobufCMethodDescriptor *method,
                   const ProtobufCMessage *input,
                   ht_ref from,
                   ht_call call)
{
    ht_ref outer = handling_from;

    handling_from = from;
    typed->service->invoke(
        typed->service,
        (unsigned)(method - typed->service->descriptor->methods), input, answer,
        call_token(call));
    handling_from = outer;
}

static ht_err typed_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    const struct typed *typed = typed_of(self);
    const ProtobufCMethodDescriptor *method =
        find_method(typed->service, ht_msg_variant(msg), call.id != 0);
    ProtobufCMessage *input;
    ht_err err;

    if (method == NULL) {
        return handle_other(self, typed, msg, call);
    }
    err = hti_unpack_argument(method->input, ht_msg_args(msg), &input);
    if (err != HT_OK) {
        return refuse(self, call, err);
    }
    invoke(typed, method, input, ht_msg_from(msg), call);
    protobuf_c_message_free_unpacked(input, NULL);
    return HT_OK;
}

/* ---- life ---------------------------------------------------------------- */

static ht_err typed_init(ht_actor *self, void *arg)
{
    const struct typed *typed = arg;

    hti_actor_set_service(self, typed->service->descriptor);
    if (typed->around->init != NULL) {
        return typed->around->init(self, typed->arg);
    }
    ht_set_state(self, typed->arg);
    return HT_OK;
}

static void typed_terminate(ht_actor *self, const ht_exit *why)
{
    struct typed *typed = typed_of(self);

    if (typed->around->terminate != NULL) {
        typed->around->terminate(self, why);
    }
    free(typed);
}

static struct typed *
typed_new(ProtobufCService *service, const ht_behavior *around, void *arg)
{
    static const ht_behavior nothing;
    struct typed *typed = calloc(1, sizeof *typed);

    if (typed == NULL) {
        return NULL;
    }
    typed->service = service;
    typed->around = around != NULL ? around : &nothing;
    typed->arg = arg;
    typed->behavior.init = typed_init;
    typed->behavior.handle = typed_handle;
    typed->behavior.on_event = typed->around->on_event;
    typed->behavior.terminate = typed_terminate;
    return typed;
}

/* Code generated for size has no names, and a variant is a name. */
static bool is_named(const ProtobufCServiceDescriptor *descriptor)
{
    for (unsigned i = 0; i < descriptor->n_methods; i++) {
        const ProtobufCMethodDescriptor *method = &descriptor->methods[i];

        if (method->name == NULL || method->input->name == NULL ||
            method->output->name == NULL) {
            return false;
        }
    }
    return true;
}

ht_err ht_spawn_service_opts(ht_node *node,
                             ProtobufCService *service,
                             const ht_behavior *around,
                             void *arg,
                             const ht_spawn_opts *opts,
                             ht_ref *ret_ref)
{
    struct typed *typed;
    ht_err err;

    if (service == NULL || service->descriptor == NULL ||
        service->invoke == NULL || !is_named(service->descriptor)) {
        return HT_EINVAL;
    }
    typed = typed_new(service, around, arg);
    if (typed == NULL) {
        return HT_ENOMEM;
    }
    err = ht_spawn(node, &typed->behavior, typed, opts, ret_ref);
    if (err != HT_OK) {
        free(typed);
    }
    return err;
}

ht_err ht_spawn_service(ht_node *node,
                        const char *name,
                        ProtobufCService *service,
                        ht_ref *ret_ref)
{
    const ht_spawn_opts opts = {.name = name};

    return ht_spawn_service_opts(node, service, NULL, NULL, &opts, ret_ref);
}

const ProtobufCServiceDescriptor *ht_service_descriptor(ht_node *node,
                                                        ht_ref ref)
{
    if (ref.node != hti_rt_local_handle(node)) {
        return NULL;
    }
    return hti_rt_actor_service(node, ref.pid);
}
