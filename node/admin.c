/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "actor/runtime.h"
#include "cluster/cluster.h"
#include "node/admin_describe.h"
#include "node/admin_list.h"
#include "node/admin_look.h"

/* Calls made for clients, and connects that are under way, at once. */
#define RELAYS_MAX   1024
#define CONNECTS_MAX 64
/* How long another node may take to describe its actor. */
#define DESCRIBE_MS 2000
#define WAKE        "hardtack.admin.wake"
#define REF_MAX     512

/* A call made for a client; kept in a list, because its callback does not run
 * when this actor ends first. */
struct relay {
    LIST_ENTRY(relay) link;
    struct admin *admin;
    ht_call call;
    char ref[REF_MAX];
};

/* A connect under way.  Its result comes on any thread: it is put into the
 * shared list, and the actor is woken to answer. */
struct connect_result {
    SLIST_ENTRY(connect_result) link;
    struct connects *connects;
    ht_call call;
    ht_err err;
    char reason[256];
};

/* Outlives the actor: each connect under way holds a reference. */
struct connects {
    pthread_mutex_t lock; /* protects done */
    SLIST_HEAD(connect_results, connect_result) done;
    _Atomic unsigned refs;
    _Atomic unsigned under_way;
    ht_node *node;
    ht_ref actor;
};

struct admin {
    ht_node *node;
    uint64_t started_ns;
    LIST_HEAD(relays, relay) relays;
    size_t relays_count;
    struct connects *connects;
};

/* ---- answers ------------------------------------------------------------- */

static void answer(ht_actor *self, ht_call call, const ProtobufCMessage *out)
{
    ht_args args = HT_REPLY_INIT;
    ht_err err;

    ht_args_message(&args, out);
    err = args.err;
    if (err == HT_OK) {
        /* HT_ENOENT: the caller's deadline has passed; nobody listens. */
        (void)ht_args_reply(self, call, &args);
        return;
    }
    ht_args_fini(&args);
    (void)ht_reply_error(self, call, err, "the answer cannot be encoded");
}

static char *err_text(ht_err err)
{
    return err == HT_OK ? (char *)protobuf_c_empty_string
                        : (char *)ht_errname(err);
}

static char *reason_text(ht_err err, const char *reason)
{
    if (reason != NULL && reason[0] != '\0') {
        return (char *)reason;
    }
    return err == HT_OK ? (char *)protobuf_c_empty_string
                        : (char *)ht_strerror(err);
}

/* ---- looking in ---------------------------------------------------------- */

/* Answer with what was built, and free it; NULL: there was no memory. */
static void answer_built(ht_actor *self, ht_call call, ProtobufCMessage *out)
{
    if (out == NULL) {
        (void)ht_reply_error(self, call, HT_EFAILED, "out of memory");
        return;
    }
    answer(self, call, out);
    hti_admin_message_free(out);
}

static void
on_status(struct admin *admin, ht_actor *self, ht_call call, const void *in)
{
    (void)in;
    answer_built(self, call,
                 (void *)hti_admin_status(admin->node, admin->started_ns));
}

static void
on_nodes(struct admin *admin, ht_actor *self, ht_call call, const void *in)
{
    answer_built(self, call, (void *)hti_admin_nodes(admin->node, in));
}

static void
on_groups(struct admin *admin, ht_actor *self, ht_call call, const void *in)
{
    answer_built(self, call, (void *)hti_admin_groups(admin->node, in));
}

static void
on_actors(struct admin *admin, ht_actor *self, ht_call call, const void *in)
{
    answer_built(self, call, (void *)hti_admin_actors(admin->node, in));
}

static void
on_look(struct admin *admin, ht_actor *self, ht_call call, const void *in)
{
    answer_built(self, call,
                 (void *)hti_admin_look(admin->node, admin->started_ns, in));
}

/* ---- targets ------------------------------------------------------------- */

static bool is_elsewhere(const struct admin *admin,
                         const Hardtack__Admin__Target *target)
{
    return target->node[0] != '\0' &&
           strcmp(target->node, ht_node_name(admin->node)) != 0;
}

/* The actor a target means, unless it is a name on another node. */
static ht_err resolve(const struct admin *admin,
                      const Hardtack__Admin__Target *target,
                      ht_ref *ret_ref,
                      char *reason,
                      size_t reason_len)
{
    const char *scope = target->scope[0] != '\0' ? target->scope : NULL;
    ht_ref ref = {0, 0};
    ht_err err = HT_OK;

    reason[0] = '\0';
    if (target->ref[0] != '\0') {
        err = ht_ref_parse(admin->node, target->ref, &ref);
        snprintf(reason, reason_len, "no actor can be \"%s\"", target->ref);
    } else if (target->group[0] != '\0') {
        err = ht_group_pick(admin->node, scope, target->group, false, &ref);
        snprintf(reason, reason_len, "group \"%s\" has no member known to %s",
                 target->group, ht_node_name(admin->node));
    } else if (target->pid != 0) {
        ref.node = hti_rt_local_handle(admin->node);
        ref.pid = target->pid;
    } else {
        ref = ht_whereis(admin->node, target->name);
        err = ht_ref_is_none(ref) ? HT_ENOPROC : HT_OK;
        snprintf(reason, reason_len, "no actor is named \"%s\" on %s",
                 target->name, ht_node_name(admin->node));
    }
    if (err == HT_OK) {
        *ret_ref = ref;
    }
    return err;
}

static void
on_whereis(struct admin *admin, ht_actor *self, ht_call call, const void *in)
{
    Hardtack__Admin__WhereisReply out = HARDTACK__ADMIN__WHEREIS_REPLY__INIT;
    char text[REF_MAX];
    char reason[256];
    ht_ref ref;
    ht_err err = resolve(admin, in, &ref, reason, sizeof(reason));

    if (err == HT_OK) {
        out.ref = (char *)ht_ref_format(admin->node, ref, text, sizeof(text));
    } else {
        out.error = err_text(err);
        out.reason = reason_text(err, reason);
    }
    answer(self, call, &out.base);
}

/* ---- calls for clients --------------------------------------------------- */

static struct relay *
relay_new(struct admin *admin, ht_call call, const char *ref)
{
    struct relay *relay;

    if (admin->relays_count >= RELAYS_MAX) {
        return NULL;
    }
    relay = calloc(1, sizeof(*relay));
    if (relay == NULL) {
        return NULL;
    }
    relay->admin = admin;
    relay->call = call;
    snprintf(relay->ref, sizeof(relay->ref), "%s", ref);
    LIST_INSERT_HEAD(&admin->relays, relay, link);
    admin->relays_count++;
    return relay;
}

static void relay_free(struct relay *relay)
{
    relay->admin->relays_count--;
    LIST_REMOVE(relay, link);
    free(relay);
}

static void call_answer(ht_actor *self,
                        ht_call call,
                        const char *ref,
                        ht_err err,
                        const char *reason,
                        ht_bytes data)
{
    Hardtack__Admin__CallReply out = HARDTACK__ADMIN__CALL_REPLY__INIT;

    out.ref = (char *)ref;
    out.error = err_text(err);
    out.reason = reason_text(err, reason);
    out.data.data = (uint8_t *)data.data;
    out.data.len = data.len;
    answer(self, call, &out.base);
}

static void on_relayed(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct relay *relay = arg;
    ht_bytes data = {reply->err == HT_OK ? reply->data : NULL,
                     reply->err == HT_OK ? reply->len : 0};

    call_answer(self, relay->call, relay->ref, reply->err, reply->reason, data);
    relay_free(relay);
}

/* Send what a client gave us to where it said; err and reason say why not. */
static ht_err relay_call(struct admin *admin,
                         ht_actor *self,
                         ht_call call,
                         const Hardtack__Admin__CallRequest *in,
                         char *reason,
                         size_t reason_len)
{
    const Hardtack__Admin__Target *target = in->target;
    char text[REF_MAX] = "";
    struct relay *relay;
    ht_ref ref = {0, 0};
    ht_err err = HT_OK;

    if (!is_elsewhere(admin, target)) {
        err = resolve(admin, target, &ref, reason, reason_len);
        if (err != HT_OK) {
            return err;
        }
        (void)ht_ref_format(admin->node, ref, text, sizeof(text));
    }
    reason[0] = '\0';
    relay = relay_new(admin, call, text);
    if (relay == NULL) {
        return HT_EBUSY;
    }
    if (is_elsewhere(admin, target)) {
        err = ht_call_name_async(self, target->node, target->name, in->variant,
                                 in->args.data, in->args.len, in->timeout_ms,
                                 on_relayed, relay, NULL);
    } else {
        err = ht_call_async(self, ref, in->variant, in->args.data, in->args.len,
                            in->timeout_ms, on_relayed, relay, NULL);
    }
    if (err != HT_OK) {
        relay_free(relay);
    }
    return err;
}

static void
on_call(struct admin *admin, ht_actor *self, ht_call call, const void *data)
{
    const Hardtack__Admin__CallRequest *in = data;
    char reason[256] = "";
    ht_err err;

    if (in->target == NULL) {
        (void)ht_reply_error(self, call, HT_EARGS, "a call needs a target");
        return;
    }
    err = relay_call(admin, self, call, in, reason, sizeof(reason));
    if (err != HT_OK) {
        call_answer(self, call, "", err, reason, (ht_bytes){NULL, 0});
    }
}

static void
on_cast(struct admin *admin, ht_actor *self, ht_call call, const void *data)
{
    const Hardtack__Admin__CallRequest *in = data;
    Hardtack__Admin__CastReply out = HARDTACK__ADMIN__CAST_REPLY__INIT;
    char text[REF_MAX];
    char reason[256] = "";
    ht_ref ref;
    ht_err err;

    if (in->target == NULL) {
        (void)ht_reply_error(self, call, HT_EARGS, "a cast needs a target");
        return;
    }
    if (is_elsewhere(admin, in->target)) {
        err = ht_cast_name(admin->node, in->target->node, in->target->name,
                           in->variant, in->args.data, in->args.len);
    } else {
        err = resolve(admin, in->target, &ref, reason, sizeof(reason));
        if (err == HT_OK) {
            reason[0] = '\0';
            out.ref =
                (char *)ht_ref_format(admin->node, ref, text, sizeof(text));
            err = ht_cast(admin->node, ref, in->variant, in->args.data,
                          in->args.len);
        }
    }
    out.error = err_text(err);
    out.reason = reason_text(err, reason);
    answer(self, call, &out.base);
}

/* ---- descriptions -------------------------------------------------------- */

static void describe_answer(struct admin *admin,
                            ht_actor *self,
                            ht_call call,
                            ht_ref ref,
                            ht_err err,
                            const char *reason)
{
    Hardtack__Admin__Description *out = malloc(sizeof(*out));
    char text[REF_MAX];

    if (out == NULL) {
        (void)ht_reply_error(self, call, HT_EFAILED, "out of memory");
        return;
    }
    hardtack__admin__description__init(out);
    if (err == HT_OK) {
        const ProtobufCServiceDescriptor *service =
            ht_service_descriptor(admin->node, ref);

        out->ref = hti_admin_string(
            ht_ref_format(admin->node, ref, text, sizeof(text)));
        err = service != NULL ? hti_admin_describe(service, out) : HT_OK;
    }
    if (err != HT_OK) {
        out->error = hti_admin_string(ht_errname(err));
        out->reason = hti_admin_string(reason_text(err, reason));
    }
    if (out->ref == NULL || out->error == NULL || out->reason == NULL) {
        (void)ht_reply_error(self, call, HT_EFAILED, "out of memory");
    } else {
        answer(self, call, &out->base);
    }
    hti_admin_message_free(out);
}

/* What the other node's administration answered goes back as it came. */
static void on_described(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct relay *relay = arg;

    if (reply->err == HT_OK) {
        (void)ht_reply_ok(self, relay->call, reply->data, reply->len);
    } else {
        describe_answer(relay->admin, self, relay->call, (ht_ref){0, 0},
                        reply->err, reply->reason);
    }
    relay_free(relay);
}

/* Ask the node where the actor lives; it knows its descriptors. */
static ht_err describe_elsewhere(struct admin *admin,
                                 ht_actor *self,
                                 ht_call call,
                                 const char *node_name,
                                 const Hardtack__Admin__Target *target)
{
    ht_args args = HT_ARGS_INIT;
    struct relay *relay = relay_new(admin, call, "");
    ht_err err;

    if (relay == NULL) {
        return HT_EBUSY;
    }
    ht_args_message(&args, &target->base);
    err = args.err;
    if (err == HT_OK) {
        err = ht_call_name_async(self, node_name, HTI_ADMIN_NAME, "Describe",
                                 args.data, args.len, DESCRIBE_MS, on_described,
                                 relay, NULL);
    }
    ht_args_fini(&args);
    if (err != HT_OK) {
        relay_free(relay);
    }
    return err;
}

static void
on_describe(struct admin *admin, ht_actor *self, ht_call call, const void *data)
{
    const Hardtack__Admin__Target *in = data;
    Hardtack__Admin__Target there = HARDTACK__ADMIN__TARGET__INIT;
    char node_name[512];
    char reason[256] = "";
    ht_ref ref = {0, 0};
    ht_err err;

    if (is_elsewhere(admin, in)) {
        there.name = in->name;
        err = describe_elsewhere(admin, self, call, in->node, &there);
    } else {
        err = resolve(admin, in, &ref, reason, sizeof(reason));
        if (err == HT_OK && ref.node != hti_rt_local_handle(admin->node)) {
            /* Lent until the next call in this thread: copy. */
            snprintf(node_name, sizeof(node_name), "%s",
                     ht_ref_node_name(admin->node, ref));
            there.pid = ref.pid;
            reason[0] = '\0';
            err = describe_elsewhere(admin, self, call, node_name, &there);
        } else {
            describe_answer(admin, self, call, ref, err, reason);
            return;
        }
    }
    if (err != HT_OK) {
        describe_answer(admin, self, call, ref, err, reason);
    }
}

/* ---- connecting ---------------------------------------------------------- */

static void connects_unref(struct connects *connects)
{
    struct connect_result *result;

    if (atomic_fetch_sub(&connects->refs, 1) != 1) {
        return;
    }
    while ((result = SLIST_FIRST(&connects->done)) != NULL) {
        SLIST_REMOVE_HEAD(&connects->done, link);
        free(result);
    }
    (void)pthread_mutex_destroy(&connects->lock);
    free(connects);
}

/* Any thread, once per connect. */
static void on_connected(void *arg, ht_err err, const char *text)
{
    struct connect_result *result = arg;
    struct connects *connects = result->connects;

    result->err = err;
    snprintf(result->reason, sizeof(result->reason), "%s",
             text != NULL ? text : "");
    (void)pthread_mutex_lock(&connects->lock);
    SLIST_INSERT_HEAD(&connects->done, result, link);
    (void)pthread_mutex_unlock(&connects->lock);
    /* Refused: the actor has ended, and its caller has been told; or its
     * mailbox is full, and the next message it handles answers this too. */
    if (ht_cast(connects->node, connects->actor, WAKE, NULL, 0) != HT_OK) {
        /* Nothing else to do. */
    }
    connects_unref(connects);
}

static void answer_connects(struct admin *admin, ht_actor *self)
{
    struct connects *connects = admin->connects;
    struct connect_result *result;

    for (;;) {
        Hardtack__Admin__ConnectReply out =
            HARDTACK__ADMIN__CONNECT_REPLY__INIT;

        (void)pthread_mutex_lock(&connects->lock);
        result = SLIST_FIRST(&connects->done);
        if (result != NULL) {
            SLIST_REMOVE_HEAD(&connects->done, link);
        }
        (void)pthread_mutex_unlock(&connects->lock);
        if (result == NULL) {
            return;
        }
        atomic_fetch_sub(&connects->under_way, 1);
        out.error = err_text(result->err);
        out.reason = reason_text(result->err, result->reason);
        answer(self, result->call, &out.base);
        free(result);
    }
}

static ht_err encryption_of(const char *text, ht_encryption *ret)
{
    static const struct {
        const char *name;
        ht_encryption value;
    } names[] = {
        {"", HT_ENCRYPT_DEFAULT},
        {"cookie", HT_ENCRYPT_COOKIE},
        {"tls", HT_ENCRYPT_TLS},
        {"none", HT_ENCRYPT_NONE},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i].name) == 0) {
            *ret = names[i].value;
            return HT_OK;
        }
    }
    return HT_EINVAL;
}

static ht_err connect_start(struct admin *admin,
                            ht_call call,
                            const Hardtack__Admin__ConnectRequest *in)
{
    struct connects *connects = admin->connects;
    struct hti_target target = {0};
    struct connect_result *result;
    ht_err err = encryption_of(in->encryption, &target.encryption);

    if (err != HT_OK || in->address[0] == '\0') {
        return HT_EINVAL;
    }
    if (atomic_load(&connects->under_way) >= CONNECTS_MAX) {
        return HT_EBUSY;
    }
    result = calloc(1, sizeof(*result));
    if (result == NULL) {
        return HT_ENOMEM;
    }
    target.address = in->address;
    target.name = in->name[0] != '\0' ? in->name : NULL;
    target.server_name = in->server_name[0] != '\0' ? in->server_name : NULL;
    target.any_peer = in->any_peer;
    result->connects = connects;
    result->call = call;
    atomic_fetch_add(&connects->refs, 1);
    atomic_fetch_add(&connects->under_way, 1);
    err = hti_cluster_connect(hti_rt_slot(admin->node, HTI_SLOT_CLUSTER),
                              &target, in->once, on_connected, result);
    if (err != HT_OK) {
        atomic_fetch_sub(&connects->under_way, 1);
        free(result);
        connects_unref(connects);
    }
    return err;
}

static void
on_connect(struct admin *admin, ht_actor *self, ht_call call, const void *in)
{
    Hardtack__Admin__ConnectReply out = HARDTACK__ADMIN__CONNECT_REPLY__INIT;
    ht_err err = connect_start(admin, call, in);

    if (err != HT_OK) {
        out.error = err_text(err);
        out.reason = reason_text(err, "");
        answer(self, call, &out.base);
    }
}

static void on_disconnect(struct admin *admin,
                          ht_actor *self,
                          ht_call call,
                          const void *data)
{
    const Hardtack__Admin__DisconnectRequest *in = data;
    Hardtack__Admin__DisconnectReply out =
        HARDTACK__ADMIN__DISCONNECT_REPLY__INIT;
    char reason[256] = "";
    ht_err err = ht_disconnect(admin->node, in->name);

    if (err == HT_ENOENT) {
        snprintf(reason, sizeof(reason), "%s knows no node named \"%s\"",
                 ht_node_name(admin->node), in->name);
    }
    out.error = err_text(err);
    out.reason = reason_text(err, reason);
    answer(self, call, &out.base);
}

/* ---- ending an actor ------------------------------------------------------
 */

/* What keeps the node and its gateway going has a name of Hardtack's own. */
struct own {
    uint64_t pid;
    bool found;
};

static void find_own(const ht_actor_info *info, void *arg)
{
    struct own *own = arg;

    own->found |=
        info->ref.pid == own->pid &&
        strncmp(info->name, HTI_OWN_PREFIX, sizeof(HTI_OWN_PREFIX) - 1) == 0;
}

static ht_err stop_actor(struct admin *admin,
                         const Hardtack__Admin__StopRequest *in,
                         ht_ref *ret_ref,
                         char *reason,
                         size_t reason_len)
{
    struct own own = {0};
    ht_err err;

    if (is_elsewhere(admin, in->target)) {
        snprintf(reason, reason_len, "ask %s itself", in->target->node);
        return HT_EUNSUPPORTED;
    }
    err = resolve(admin, in->target, ret_ref, reason, reason_len);
    if (err != HT_OK) {
        return err;
    }
    reason[0] = '\0';
    own.pid = ret_ref->pid;
    if (ret_ref->node != hti_rt_local_handle(admin->node)) {
        snprintf(reason, reason_len, "it lives elsewhere: ask its node");
        return HT_EUNSUPPORTED;
    }
    ht_actor_each(admin->node, find_own, &own);
    if (own.found) {
        snprintf(reason, reason_len, "it is one of Hardtack's own");
        return HT_EDENIED;
    }
    return ht_stop(admin->node, *ret_ref,
                   in->reason[0] != '\0' ? in->reason
                                         : "stopped by an operator");
}

static void
on_stop(struct admin *admin, ht_actor *self, ht_call call, const void *data)
{
    const Hardtack__Admin__StopRequest *in = data;
    Hardtack__Admin__StopReply out = HARDTACK__ADMIN__STOP_REPLY__INIT;
    char reason[256] = "";
    char text[REF_MAX];
    ht_ref ref = {0, 0};
    ht_err err;

    if (in->target == NULL) {
        (void)ht_reply_error(self, call, HT_EARGS, "which actor?");
        return;
    }
    err = stop_actor(admin, in, &ref, reason, sizeof(reason));
    if (err == HT_OK) {
        out.ref = (char *)ht_ref_format(admin->node, ref, text, sizeof(text));
    }
    out.error = err_text(err);
    out.reason = reason_text(err, reason);
    answer(self, call, &out.base);
}

/* ---- the actor ----------------------------------------------------------- */

typedef void (*method_fn)(struct admin *admin,
                          ht_actor *self,
                          ht_call call,
                          const void *in);

static const struct method {
    const char *name;
    method_fn fn;
} methods[] = {
    {"Status", on_status},   {"Nodes", on_nodes},
    {"Groups", on_groups},   {"Actors", on_actors},
    {"Whereis", on_whereis}, {"Describe", on_describe},
    {"Connect", on_connect}, {"Disconnect", on_disconnect},
    {"Call", on_call},       {"Cast", on_cast},
    {"Look", on_look},       {"Stop", on_stop},
};

static bool is_trusted(ht_actor *self, ht_call call)
{
    struct hti_origin origin;

    if (hti_rt_call_origin(self, call, &origin) != HT_OK) {
        return false;
    }
    return origin.node == 0 || hti_cluster_call_is_trusted(self, call);
}

static const struct method *find_method(const char *name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

/* Every error is answered and none returned: this actor does not end because
 * of what a client sent. */
static ht_err admin_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct admin *admin = ht_state(self);
    const struct method *method = find_method(ht_msg_variant(msg));
    const ProtobufCMethodDescriptor *descriptor;
    ProtobufCMessage *in;
    ht_reader reader;

    answer_connects(admin, self);
    if (call.id == 0) {
        return HT_OK; /* a cast: the wake-up above, or noise */
    }
    if (!is_trusted(self, call)) {
        (void)ht_reply_error(self, call, HT_EDENIED,
                             "administration is for Hardtack nodes");
        return HT_OK;
    }
    if (method == NULL) {
        (void)ht_reply_error(self, call, HT_ENOVARIANT, "no such method");
        return HT_OK;
    }
    descriptor = protobuf_c_service_descriptor_get_method_by_name(
        &hardtack__admin__admin__descriptor, method->name);
    reader = ht_reader_args(msg);
    in = ht_read_message(&reader, descriptor->input);
    if (ht_read_end(&reader) != HT_OK || in == NULL) {
        (void)ht_reply_error(self, call, HT_EARGS,
                             "the request cannot be decoded");
    } else {
        method->fn(admin, self, call, in);
    }
    protobuf_c_message_free_unpacked(in, NULL);
    return HT_OK;
}

static void admin_free(struct admin *admin)
{
    struct relay *relay;
    struct relay *next;

    if (admin == NULL) {
        return;
    }
    for (relay = LIST_FIRST(&admin->relays); relay != NULL; relay = next) {
        next = LIST_NEXT(relay, link);
        free(relay);
    }
    if (admin->connects != NULL) {
        connects_unref(admin->connects);
    }
    free(admin);
}

static ht_err admin_init(ht_actor *self, void *arg)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    struct connects *connects = calloc(1, sizeof(*connects));

    (void)arg;
    if (admin == NULL || connects == NULL ||
        pthread_mutex_init(&connects->lock, NULL) != 0) {
        free(admin);
        free(connects);
        return HT_ENOMEM;
    }
    SLIST_INIT(&connects->done);
    atomic_init(&connects->refs, 1);
    connects->node = ht_actor_node(self);
    connects->actor = ht_self(self);
    LIST_INIT(&admin->relays);
    admin->connects = connects;
    admin->node = ht_actor_node(self);
    admin->started_ns = hti_rt_now_ns(admin->node);
    ht_set_state(self, admin);
    hti_actor_set_service(self, &hardtack__admin__admin__descriptor);
    return HT_OK;
}

static void admin_terminate(ht_actor *self, const ht_exit *why)
{
    (void)why;
    admin_free(ht_state(self));
    ht_set_state(self, NULL);
}

ht_err hti_admin_start(ht_node *node)
{
    static const ht_behavior behavior = {
        .init = admin_init,
        .handle = admin_handle,
        .terminate = admin_terminate,
    };
    ht_spawn_opts opts = {.name = HTI_ADMIN_NAME};
    ht_ref ref;

    return hti_rt_spawn_unlisted(node, &behavior, NULL, &opts, &ref);
}
