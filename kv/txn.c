/* SPDX-License-Identifier: Apache-2.0 */
/* txn.c - conditions, and steps that are done together. */
#include <string.h>

#include "kv/turn.h"

/* ---- conditions ---------------------------------------------------------- */

static bool holds(enum _Hardtack__Kv__Relation is, int order)
{
    switch (is) {
    case HARDTACK__KV__RELATION__EQUAL:
        return order == 0;
    case HARDTACK__KV__RELATION__NOT_EQUAL:
        return order != 0;
    case HARDTACK__KV__RELATION__LESS:
        return order < 0;
    case HARDTACK__KV__RELATION__GREATER:
        return order > 0;
    case _HARDTACK__KV__RELATION_IS_INT_SIZE:
        break;
    }
    return false;
}

static bool number_holds(const Condition *condition, uint64_t is, uint64_t to)
{
    return holds(condition->is, (is > to) - (is < to));
}

static bool value_holds(const Condition *condition,
                        const struct hti_kv_version *now,
                        ht_bytes to)
{
    if (now == NULL) {
        return condition->is == HARDTACK__KV__RELATION__NOT_EQUAL;
    }
    return holds(condition->is,
                 hti_kv_key_compare(hti_kv_version_value(now), now->value_len,
                                    to.data, to.len));
}

static bool condition_holds(struct hti_kv *kv, const Condition *condition)
{
    const struct hti_kv_item *item =
        hti_kv_map_find(&kv->map, condition->key, strlen(condition->key));
    const struct hti_kv_version *now = item == NULL ? NULL : item->now;

    switch (condition->to_case) {
    case HARDTACK__KV__CONDITION__TO_REVISION:
        return number_holds(condition, now == NULL ? 0 : now->revision,
                            condition->revision);
    case HARDTACK__KV__CONDITION__TO_CREATE_REVISION:
        return number_holds(condition, now == NULL ? 0 : now->create_revision,
                            condition->create_revision);
    case HARDTACK__KV__CONDITION__TO_VERSION:
        return number_holds(condition, now == NULL ? 0 : now->version,
                            condition->version);
    case HARDTACK__KV__CONDITION__TO_LEASE:
        return number_holds(condition, now == NULL ? 0 : now->lease,
                            condition->lease);
    case HARDTACK__KV__CONDITION__TO_EXISTS:
        return number_holds(condition, now != NULL, condition->exists != 0);
    case HARDTACK__KV__CONDITION__TO_VALUE:
        return value_holds(
            condition, now,
            (ht_bytes){condition->value.data, condition->value.len});
    case HARDTACK__KV__CONDITION__TO_TEXT:
        return value_holds(
            condition, now,
            (ht_bytes){condition->text, strlen(condition->text)});
    case HARDTACK__KV__CONDITION__TO__NOT_SET:
    case _HARDTACK__KV__CONDITION__TO__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

bool hti_kv_txn_holds(struct hti_kv *kv, const TxnRequest *request)
{
    for (size_t i = 0; i < request->n_conditions; i++) {
        if (!condition_holds(kv, request->conditions[i])) {
            return false;
        }
    }
    return true;
}

/* ---- steps --------------------------------------------------------------- */

static ht_err put_step(struct hti_kv_turn *turn, const Op *op, OpReply *ret)
{
    ret->put = hti_kv_turn_alloc(turn, sizeof(*ret->put));
    if (ret->put == NULL) {
        return HT_ENOMEM;
    }
    hardtack__kv__put_reply__init(ret->put);
    ret->op_case = HARDTACK__KV__OP_REPLY__OP_PUT;
    return hti_kv_do_put(turn, op->put, ret->put);
}

static ht_err del_step(struct hti_kv_turn *turn, const Op *op, OpReply *ret)
{
    ret->del = hti_kv_turn_alloc(turn, sizeof(*ret->del));
    if (ret->del == NULL) {
        return HT_ENOMEM;
    }
    hardtack__kv__del_reply__init(ret->del);
    ret->op_case = HARDTACK__KV__OP_REPLY__OP_DEL;
    return hti_kv_do_del(turn, op->del, ret->del);
}

static ht_err get_step(struct hti_kv_turn *turn, const Op *op, OpReply *ret)
{
    ret->get = hti_kv_turn_alloc(turn, sizeof(*ret->get));
    if (ret->get == NULL) {
        return HT_ENOMEM;
    }
    hardtack__kv__get_reply__init(ret->get);
    ret->op_case = HARDTACK__KV__OP_REPLY__OP_GET;
    return hti_kv_do_get(turn, op->get, ret->get);
}

static ht_err do_step(struct hti_kv_turn *turn, const Op *op, OpReply **ret)
{
    OpReply *reply = hti_kv_turn_alloc(turn, sizeof(*reply));

    if (reply == NULL) {
        return HT_ENOMEM;
    }
    hardtack__kv__op_reply__init(reply);
    *ret = reply;
    switch (op->op_case) {
    case HARDTACK__KV__OP__OP_PUT:
        return put_step(turn, op, reply);
    case HARDTACK__KV__OP__OP_DEL:
        return del_step(turn, op, reply);
    case HARDTACK__KV__OP__OP_GET:
        return get_step(turn, op, reply);
    case HARDTACK__KV__OP__OP__NOT_SET:
    case _HARDTACK__KV__OP__OP__CASE_IS_INT_SIZE:
        break;
    }
    return HT_EINVAL; /* it was checked */
}

ht_err hti_kv_do_txn(struct hti_kv_turn *turn,
                     const TxnRequest *request,
                     TxnReply *ret)
{
    Op *const *steps;
    size_t count;
    ht_err err = HT_OK;

    ret->held = hti_kv_txn_holds(turn->kv, request);
    steps = ret->held ? request->then : request->otherwise;
    count = ret->held ? request->n_then : request->n_otherwise;
    ret->replies = hti_kv_turn_alloc(turn, (count + 1) * sizeof(OpReply *));
    if (ret->replies == NULL) {
        return HT_ENOMEM;
    }
    for (size_t i = 0; err == HT_OK && i < count; i++) {
        err = do_step(turn, steps[i], &ret->replies[i]);
        ret->n_replies++;
    }
    ret->revision = turn->changed ? turn->revision : turn->kv->revision;
    return err;
}
