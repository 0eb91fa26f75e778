/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the methods of hardtack.kv.Store: a request is checked, and asked
 * of a member. */
#include <hardtack/args.h>
#include <hardtack/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/ask.pb-c.h"
#include "kv/front.h"
#include "kv/limits.h"

#define ASK(field)     HARDTACK__KVLOG__ASK__WHAT_##field
#define COMMAND(field) HARDTACK__KVLOG__COMMAND__OP_##field
/* protobuf-c's own way to keep any closure. */
#define CLOSURE(closure) ((ProtobufCClosure)(void (*)(void))(closure))

typedef Hardtack__Kv__Store_Service Store;
typedef Hardtack__Kvlog__Ask Ask;

static struct hti_kv_front *front_of(Store *service)
{
    return (struct hti_kv_front *)(void *)service;
}

static void refuse(Store *service, void *data, const struct hti_kv_fault *fault)
{
    char words[200];

    front_of(service)->refused++;
    (void)snprintf(words, sizeof(words), "%s: %s",
                   hti_kv_error_word(fault->error), fault->words);
    ht_fail(data, hti_kv_error_code(fault->error), words);
}

/* ---- writes -------------------------------------------------------------- */

/* again: it bears a request id, or is the same twice. */
static void
send_command(struct hti_kv_front_ask *ask, const Command *command, bool again)
{
    Ask message = HARDTACK__KVLOG__ASK__INIT;
    size_t len = hardtack__kvlog__command__get_packed_size(command);
    uint8_t small[2048];
    uint8_t *bytes = len <= sizeof(small) ? small : malloc(len);

    if (bytes == NULL) {
        len = 0; /* a command that is none: refused by the member */
        bytes = small;
    } else {
        (void)hardtack__kvlog__command__pack(command, bytes);
    }
    message.what_case = ASK(COMMAND);
    message.command.data = bytes;
    message.command.len = len;
    hti_kv_front_send(ask, &message.base, again, false, 0);
    if (bytes != small) {
        free(bytes);
    }
}

/* A write that may not be done twice: with the caller's request id, or one of
 * ours.  request is the field of what command holds, and is set. */
static void send_once(Store *service,
                      const Command *command,
                      RequestId **request,
                      const ProtobufCMessageDescriptor *reply,
                      ProtobufCClosure closure,
                      void *data)
{
    struct hti_kv_front_ask *ask;
    struct hti_kv_fault fault;
    RequestId own;

    if (!hti_kv_check_command(command, &fault)) {
        refuse(service, data, &fault);
        return;
    }
    ask = hti_kv_front_begin(front_of(service), reply, closure, data);
    if (ask != NULL) {
        *request = hti_kv_front_identify(ask, *request, &own);
        send_command(ask, command, *request != NULL);
    }
}

static void on_put(Store *service,
                   const PutRequest *in,
                   Hardtack__Kv__PutReply_Closure closure,
                   void *data)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    PutRequest put = *in;

    command.op_case = COMMAND(PUT);
    command.put = &put;
    send_once(service, &command, &put.request,
              &hardtack__kv__put_reply__descriptor, CLOSURE(closure), data);
}

static void on_del(Store *service,
                   const DelRequest *in,
                   Hardtack__Kv__DelReply_Closure closure,
                   void *data)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    DelRequest del = *in;

    command.op_case = COMMAND(DEL);
    command.del = &del;
    send_once(service, &command, &del.request,
              &hardtack__kv__del_reply__descriptor, CLOSURE(closure), data);
}

static void on_compare_and_swap(Store *service,
                                const SwapRequest *in,
                                Hardtack__Kv__SwapReply_Closure closure,
                                void *data)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    SwapRequest swap = *in;

    command.op_case = COMMAND(SWAP);
    command.swap = &swap;
    send_once(service, &command, &swap.request,
              &hardtack__kv__swap_reply__descriptor, CLOSURE(closure), data);
}

static void on_txn(Store *service,
                   const TxnRequest *in,
                   Hardtack__Kv__TxnReply_Closure closure,
                   void *data)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    TxnRequest txn = *in;

    command.op_case = COMMAND(TXN);
    command.txn = &txn;
    send_once(service, &command, &txn.request,
              &hardtack__kv__txn_reply__descriptor, CLOSURE(closure), data);
}

/* ---- leases -------------------------------------------------------------- */

static void on_lease_grant(Store *service,
                           const LeaseGrantRequest *in,
                           Hardtack__Kv__LeaseReply_Closure closure,
                           void *data)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    LeaseGrantRequest grant = *in;

    command.op_case = COMMAND(GRANT);
    command.grant = &grant;
    send_once(service, &command, &grant.request,
              &hardtack__kv__lease_reply__descriptor, CLOSURE(closure), data);
}

static void on_lease_keep_alive(Store *service,
                                const LeaseRequest *in,
                                Hardtack__Kv__LeaseReply_Closure closure,
                                void *data)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    struct hti_kv_front_ask *ask = hti_kv_front_begin(
        front_of(service), &hardtack__kv__lease_reply__descriptor,
        CLOSURE(closure), data);

    if (ask != NULL) {
        command.op_case = COMMAND(KEEP_ALIVE);
        command.keep_alive = (LeaseRequest *)(uintptr_t)in;
        send_command(ask, &command, true); /* twice is once */
    }
}

/* Not sent again by itself: the second time it would be "no_lease". */
static void on_lease_revoke(Store *service,
                            const LeaseRequest *in,
                            Hardtack__Kv__LeaseReply_Closure closure,
                            void *data)
{
    Command command = HARDTACK__KVLOG__COMMAND__INIT;
    struct hti_kv_front_ask *ask = hti_kv_front_begin(
        front_of(service), &hardtack__kv__lease_reply__descriptor,
        CLOSURE(closure), data);

    if (ask != NULL) {
        command.op_case = COMMAND(REVOKE);
        command.revoke = (LeaseRequest *)(uintptr_t)in;
        send_command(ask, &command, false);
    }
}

static void on_lease_info(Store *service,
                          const LeaseRequest *in,
                          Hardtack__Kv__LeaseReply_Closure closure,
                          void *data)
{
    Ask message = HARDTACK__KVLOG__ASK__INIT;
    struct hti_kv_front_ask *ask = hti_kv_front_begin(
        front_of(service), &hardtack__kv__lease_reply__descriptor,
        CLOSURE(closure), data);

    if (ask != NULL) {
        message.what_case = ASK(LEASE_INFO);
        message.lease_info = (LeaseRequest *)(uintptr_t)in;
        hti_kv_front_send(ask, &message.base, true, false, 0);
    }
}

/* ---- reads --------------------------------------------------------------- */

static void on_get(Store *service,
                   const GetRequest *in,
                   Hardtack__Kv__GetReply_Closure closure,
                   void *data)
{
    Ask message = HARDTACK__KVLOG__ASK__INIT;
    struct hti_kv_front_ask *ask;
    struct hti_kv_fault fault;

    if (!hti_kv_check_get(in, &fault)) {
        refuse(service, data, &fault);
        return;
    }
    ask = hti_kv_front_begin(front_of(service),
                             &hardtack__kv__get_reply__descriptor,
                             CLOSURE(closure), data);
    if (ask != NULL) {
        message.what_case = ASK(GET);
        message.get = (GetRequest *)(uintptr_t)in;
        hti_kv_front_send(ask, &message.base, true, in->stale != 0, 0);
    }
}

static void on_range(Store *service,
                     const RangeRequest *in,
                     Hardtack__Kv__RangeReply_Closure closure,
                     void *data)
{
    Ask message = HARDTACK__KVLOG__ASK__INIT;
    struct hti_kv_front_ask *ask;
    struct hti_kv_fault fault;

    if (!hti_kv_check_range(in, &fault)) {
        refuse(service, data, &fault);
        return;
    }
    ask = hti_kv_front_begin(front_of(service),
                             &hardtack__kv__range_reply__descriptor,
                             CLOSURE(closure), data);
    if (ask != NULL) {
        message.what_case = ASK(RANGE);
        message.range = (RangeRequest *)(uintptr_t)in;
        hti_kv_front_send(ask, &message.base, true, in->stale != 0, 0);
    }
}

static void on_status(Store *service,
                      const Hardtack__Empty *in,
                      Hardtack__Kv__StatusReply_Closure closure,
                      void *data)
{
    struct hti_kv_front *front = front_of(service);
    Ask message = HARDTACK__KVLOG__ASK__INIT;
    Hardtack__Kvlog__FrontCounts counts = HARDTACK__KVLOG__FRONT_COUNTS__INIT;
    struct hti_kv_front_ask *ask = hti_kv_front_begin(
        front, &hardtack__kv__status_reply__descriptor, CLOSURE(closure), data);

    if (ask != NULL) {
        counts.forwarded = front->forwarded;
        counts.refused = front->refused;
        counts.waiting = front->asks_count - 1;
        message.what_case = ASK(STATUS);
        message.status = (Hardtack__Empty *)(uintptr_t)in;
        message.counts = &counts;
        hti_kv_front_send(ask, &message.base, true, true, 0);
    }
}

/* ---- watching ------------------------------------------------------------ */

static void on_changes(Store *service,
                       const ChangesRequest *in,
                       Hardtack__Kv__ChangesReply_Closure closure,
                       void *data)
{
    Ask message = HARDTACK__KVLOG__ASK__INIT;
    struct hti_kv_front_ask *ask;
    struct hti_kv_fault fault;

    if (!hti_kv_check_changes(in, &fault)) {
        refuse(service, data, &fault);
        return;
    }
    ask = hti_kv_front_begin(front_of(service),
                             &hardtack__kv__changes_reply__descriptor,
                             CLOSURE(closure), data);
    if (ask != NULL) {
        message.what_case = ASK(CHANGES);
        message.changes = (ChangesRequest *)(uintptr_t)in;
        hti_kv_front_send(ask, &message.base, true, true, in->wait_ms);
    }
}

/* As an argument block, for another node; false: there is no such address. */
static bool caller(Store *service, ht_args *ret)
{
    ht_ref from = ht_service_from();

    *ret = (ht_args)HT_ARGS_INIT;
    if (ht_ref_is_none(from)) {
        return false;
    }
    ht_args_ref(ret, front_of(service)->node, from);
    return ret->err == HT_OK;
}

static const struct hti_kv_fault nobody = {
    HTI_KV_BAD_REQUEST, "only actors can watch; threads use Changes"};

static void on_watch(Store *service,
                     const WatchRequest *in,
                     Hardtack__Kv__WatchReply_Closure closure,
                     void *data)
{
    Ask message = HARDTACK__KVLOG__ASK__INIT;
    struct hti_kv_front_ask *ask;
    struct hti_kv_fault fault = nobody;
    ht_args from;

    if (!caller(service, &from) || !hti_kv_check_watch(in, &fault)) {
        ht_args_fini(&from);
        refuse(service, data, &fault);
        return;
    }
    ask = hti_kv_front_begin(front_of(service),
                             &hardtack__kv__watch_reply__descriptor,
                             CLOSURE(closure), data);
    if (ask != NULL) {
        message.what_case = ASK(WATCH);
        message.watch = (WatchRequest *)(uintptr_t)in;
        message.watcher.data = from.data;
        message.watcher.len = from.len;
        hti_kv_front_send(ask, &message.base, false, true, 0);
    }
    ht_args_fini(&from);
}

/* Which member has the watch nobody knows any more: all are told. */
static void on_unwatch(Store *service,
                       const Hardtack__Kv__UnwatchRequest *in,
                       Hardtack__Empty_Closure closure,
                       void *data)
{
    static const Hardtack__Empty done = HARDTACK__EMPTY__INIT;
    Ask message = HARDTACK__KVLOG__ASK__INIT;
    ht_args from;

    if (!caller(service, &from)) {
        ht_args_fini(&from);
        refuse(service, data, &nobody);
        return;
    }
    message.what_case = ASK(UNWATCH);
    message.unwatch = in->watch;
    message.watcher.data = from.data;
    message.watcher.len = from.len;
    hti_kv_front_tell_all(front_of(service), &message.base);
    ht_args_fini(&from);
    closure(&done, data);
}

void hti_kv_front_fill_service(Store *service)
{
    static const Store methods = HARDTACK__KV__STORE__INIT(on_);

    *service = methods;
}
