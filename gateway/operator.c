/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/operator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/clients.h"
#include "gateway/gateway.h"
#include "proto/admin/admin.pb-c.h"
#include "proto/dashboard.pb-c.h"

#define ADMIN_NAME "hardtack.admin"
/* A dial takes up to five seconds. */
#define DEED_MS   8000
#define DEEDS_MAX 64

struct operator
{
    Hardtack__Dashboard__Operator_Service service;
    struct ht_gateway *gateway;
    LIST_HEAD(, deed) deeds; /* under way */
    size_t deeds_count;
    struct gw_clients_asks asks;
};

/* What a node's administration was asked to do. */
struct deed {
    LIST_ENTRY(deed) entry;
    struct operator* operator;
    Hardtack__Dashboard__Done_Closure reply;
    void *call;
    const ProtobufCMessageDescriptor *answer;
    char who[300];
    char what[800];
};

static void deed_free(struct deed *deed)
{
    deed->operator->deeds_count--;
    LIST_REMOVE(deed, entry);
    free(deed);
}

static void deed_end(struct deed *deed, ht_err err, const char *reason)
{
    Hardtack__Dashboard__Done done = HARDTACK__DASHBOARD__DONE__INIT;

    gw_log(deed->operator->gateway, err == HT_OK ? HT_LOG_INFO : HT_LOG_WARN,
           "HT-GATEWAY-OPERATOR",
           "client=\"%s\" what=\"%s\" err=%s text=\"%s\"", deed->who,
           deed->what, ht_errname(err), reason);
    if (err == HT_OK) {
        done.what = deed->what;
        deed->reply(&done, deed->call);
    } else {
        ht_fail(deed->call, HT_EFAILED,
                reason[0] != '\0' ? reason : ht_strerror(err));
    }
    deed_free(deed);
}

/* The three answers of the administration begin alike. */
static void read_answer(const ProtobufCMessage *message,
                        const char **ret_error,
                        const char **ret_reason)
{
    if (message->descriptor == &hardtack__admin__connect_reply__descriptor) {
        *ret_error = ((const Hardtack__Admin__ConnectReply *)message)->error;
        *ret_reason = ((const Hardtack__Admin__ConnectReply *)message)->reason;
    } else if (message->descriptor ==
               &hardtack__admin__disconnect_reply__descriptor) {
        *ret_error = ((const Hardtack__Admin__DisconnectReply *)message)->error;
        *ret_reason =
            ((const Hardtack__Admin__DisconnectReply *)message)->reason;
    } else {
        *ret_error = ((const Hardtack__Admin__StopReply *)message)->error;
        *ret_reason = ((const Hardtack__Admin__StopReply *)message)->reason;
    }
}

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct deed *deed = arg;
    ht_reader reader = ht_reader_reply(reply);
    ProtobufCMessage *message = ht_read_message(&reader, deed->answer);
    const char *error = "", *reason = reply->reason;
    ht_err err = reply->err;

    (void)self;
    if (err == HT_OK && message == NULL) {
        err = HT_EPROTO;
    } else if (message != NULL) {
        read_answer(message, &error, &reason);
        err = error[0] != '\0' ? HT_EFAILED : HT_OK;
    }
    deed_end(deed, err, reason);
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

static void deed_begin(struct operator* operator,
                       struct deed deed,
                       const char *node,
                       const char *method,
                       const ProtobufCMessage *request)
{
    ht_node *own = operator->gateway->view.node;
    struct deed *kept;
    ht_args args = HT_ARGS_INIT;
    ht_err err;

    kept = operator->deeds_count<DEEDS_MAX ? malloc(sizeof(*kept)) : NULL;
    if (kept == NULL) {
        ht_fail(deed.call, HT_EOVERLOAD, "too much is under way");
        return;
    }
    *kept = deed;
    kept->operator= operator;
    (void)ht_ref_format(own, ht_service_from(), kept->who, sizeof(kept->who));
    LIST_INSERT_HEAD(&operator->deeds, kept, entry);
    operator->deeds_count++;
    ht_args_message(&args, request);
    err = args.err;
    if (err == HT_OK) {
        err = ht_call_name_async(
            ht_service_self(), node[0] != '\0' ? node : NULL, ADMIN_NAME,
            method, args.data, args.len, DEED_MS, on_reply, kept, NULL);
    }
    ht_args_fini(&args);
    if (err != HT_OK) {
        deed_end(kept, err,
                 err == HT_ENOCONN ? "that node is not connected to "
                                     "this one"
                                   : "");
    }
}

/* ---- what may be done ---------------------------------------------------- */

static void on_may(Hardtack__Dashboard__Operator_Service *service,
                   const Hardtack__Empty *in,
                   Hardtack__Dashboard__Done_Closure reply,
                   void *call)
{
    Hardtack__Dashboard__Done done = HARDTACK__DASHBOARD__DONE__INIT;

    (void)service;
    (void)in;
    reply(&done, call);
}

static void on_connect(Hardtack__Dashboard__Operator_Service *service,
                       const Hardtack__Dashboard__ConnectRequest *in,
                       Hardtack__Dashboard__Done_Closure reply,
                       void *call)
{
    Hardtack__Admin__ConnectRequest request =
        HARDTACK__ADMIN__CONNECT_REQUEST__INIT;
    struct deed deed = {.reply = reply,
                        .call = call,
                        .answer = &hardtack__admin__connect_reply__descriptor};

    request.address = in->address;
    snprintf(deed.what, sizeof(deed.what), "%.300s dials %.300s", in->node,
             in->address);
    deed_begin((struct operator*)service, deed, in->node, "Connect",
               &request.base);
}

static void on_disconnect(Hardtack__Dashboard__Operator_Service *service,
                          const Hardtack__Dashboard__DisconnectRequest *in,
                          Hardtack__Dashboard__Done_Closure reply,
                          void *call)
{
    Hardtack__Admin__DisconnectRequest request =
        HARDTACK__ADMIN__DISCONNECT_REQUEST__INIT;
    struct deed deed = {.reply = reply,
                        .call = call,
                        .answer =
                            &hardtack__admin__disconnect_reply__descriptor};

    request.name = in->peer;
    snprintf(deed.what, sizeof(deed.what), "%.300s disconnects from %.300s",
             in->node, in->peer);
    deed_begin((struct operator*)service, deed, in->node, "Disconnect",
               &request.base);
}

static void on_stop(Hardtack__Dashboard__Operator_Service *service,
                    const Hardtack__Dashboard__StopRequest *in,
                    Hardtack__Dashboard__Done_Closure reply,
                    void *call)
{
    Hardtack__Admin__StopRequest request = HARDTACK__ADMIN__STOP_REQUEST__INIT;
    Hardtack__Admin__Target target = HARDTACK__ADMIN__TARGET__INIT;
    struct deed deed = {.reply = reply,
                        .call = call,
                        .answer = &hardtack__admin__stop_reply__descriptor};

    target.ref = in->ref;
    request.target = &target;
    snprintf(deed.what, sizeof(deed.what), "%.300s stops %.300s", in->node,
             in->ref);
    if (in->ref[0] == '\0') {
        ht_fail(call, HT_EARGS, "ref: which actor?");
        return;
    }
    deed_begin((struct operator*)service, deed, in->node, "Stop",
               &request.base);
}

static void on_clients(Hardtack__Dashboard__Operator_Service *service,
                       const Hardtack__Dashboard__ClientsOf *in,
                       Hardtack__Dashboard__ClientsReply_Closure reply,
                       void *call)
{
    struct operator* operator=(struct operator*) service;

    gw_clients_relay(&operator->asks, in->node, true, reply, call);
}

/* ---- life ---------------------------------------------------------------- */

static void on_end(ht_actor *self, const ht_exit *why)
{
    struct operator* operator= ht_state(self);
    struct deed *deed;

    (void)why;
    while ((deed = LIST_FIRST(&operator->deeds)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        deed_free(deed);
    }
    gw_clients_asks_fini(&operator->asks);
    gw_release(operator->gateway);
    free(operator);
}

ht_err gw_operator_start(struct ht_gateway *gateway)
{
    static const ht_behavior around = {.terminate = on_end};
    static const Hardtack__Dashboard__Operator_Service service =
        HARDTACK__DASHBOARD__OPERATOR__INIT(on_);
    ht_spawn_opts opts = {
        .name = GW_OPERATOR_NAME, .local_only = true, .unlisted = true};
    struct operator* operator= calloc(1, sizeof(*operator));
    ht_err err;

    if (operator== NULL) {
        return HT_ENOMEM;
    }
    operator->service = service;
    operator->gateway = gateway;
    gw_hold(gateway);
    err = ht_spawn_service_opts(gateway->view.node, &operator->service.base,
                                &around, operator, & opts, &gateway->operator);
    if (err != HT_OK) {
        gw_release(gateway);
        free(operator);
    }
    return err;
}
