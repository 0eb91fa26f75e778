/* SPDX-License-Identifier: Apache-2.0 */
/* messages.h - the store's messages by their names in kv.proto and
 * command.proto, without their packages. */
#ifndef HTI_KV_MESSAGES_H
#define HTI_KV_MESSAGES_H

#include <hardtack/kv.pb-c.h>

#include "kv/command.pb-c.h"

typedef Hardtack__Kv__RequestId RequestId;
typedef Hardtack__Kv__KeyValue KeyValue;
typedef Hardtack__Kv__GetRequest GetRequest;
typedef Hardtack__Kv__GetReply GetReply;
typedef Hardtack__Kv__RangeRequest RangeRequest;
typedef Hardtack__Kv__RangeReply RangeReply;
typedef Hardtack__Kv__PutRequest PutRequest;
typedef Hardtack__Kv__PutReply PutReply;
typedef Hardtack__Kv__DelRequest DelRequest;
typedef Hardtack__Kv__DelReply DelReply;
typedef Hardtack__Kv__SwapRequest SwapRequest;
typedef Hardtack__Kv__SwapReply SwapReply;
typedef Hardtack__Kv__Condition Condition;
typedef Hardtack__Kv__Op Op;
typedef Hardtack__Kv__OpReply OpReply;
typedef Hardtack__Kv__TxnRequest TxnRequest;
typedef Hardtack__Kv__TxnReply TxnReply;
typedef Hardtack__Kv__Event Event;
typedef Hardtack__Kv__Events Events;
typedef Hardtack__Kv__WatchRequest WatchRequest;
typedef Hardtack__Kv__WatchReply WatchReply;
typedef Hardtack__Kv__ChangesRequest ChangesRequest;
typedef Hardtack__Kv__ChangesReply ChangesReply;
typedef Hardtack__Kv__LeaseGrantRequest LeaseGrantRequest;
typedef Hardtack__Kv__LeaseRequest LeaseRequest;
typedef Hardtack__Kv__LeaseReply LeaseReply;
typedef Hardtack__Kv__StatusReply StatusReply;

typedef Hardtack__Kvlog__Command Command;
typedef Hardtack__Kvlog__Record Record;

#endif /* HTI_KV_MESSAGES_H */
