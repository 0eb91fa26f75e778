/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - messages: one block with the header, the variant and the bytes.
 *
 * What a peer sent and is larger than HTI_COPY_BYTES_MAX is kept where it was
 * received, by a reference; smaller ones are copied, so that a small message
 * never pins a large buffer.
 */
#include <string.h>

#include "actor/internal.h"
#include "base/utf8.h"

ht_err hti_view_of(const char *variant,
                   const void *args,
                   size_t args_len,
                   struct hti_view *ret_view)
{
    size_t len = variant != NULL ? strlen(variant) : 0;

    if (args == NULL && args_len > 0) {
        return HT_EINVAL;
    }
    if (len > HTI_VARIANT_BYTES_MAX || args_len > HTI_MESSAGE_BYTES_MAX) {
        return HT_ETOOBIG;
    }
    if (!hti_utf8_valid(variant, len)) {
        return HT_EINVAL;
    }
    *ret_view =
        (struct hti_view){.variant = {variant, len}, .args = {args, args_len}};
    return HT_OK;
}

/* Append a copy; returns where it begins. */
static const void *put(char **at, ht_bytes bytes)
{
    char *begin = *at;

    if (bytes.len > 0) {
        memcpy(begin, bytes.data, bytes.len);
    }
    *at += bytes.len;
    return begin;
}

ht_msg *hti_msg_build(const struct hti_view *view,
                      ht_ref from,
                      const struct hti_msg_call *call)
{
    size_t body = view->args.len + view->metadata.len;
    bool keep = view->owner != NULL && body > HTI_COPY_BYTES_MAX;
    size_t size = sizeof(ht_msg) + (call != NULL ? sizeof(*call) : 0) +
                  view->variant.len + 1 + (keep ? 0 : body);
    ht_msg *msg = hti_alloc(size);
    char *at;

    if (msg == NULL) {
        return NULL;
    }
    memset(msg, 0, sizeof(*msg));
    msg->item.kind = HTI_ITEM_MESSAGE;
    msg->bytes = view->variant.len + body;
    msg->from = from;
    at = (char *)(msg + 1);
    if (call != NULL) {
        msg->call = (struct hti_msg_call *)(void *)at;
        *msg->call = *call;
        at += sizeof(*call);
    }
    msg->args = view->args;
    msg->metadata = view->metadata;
    if (keep) {
        msg->owner = hti_buf_ref(view->owner);
    } else {
        msg->args.data = put(&at, view->args);
        if (view->metadata.data != NULL) {
            msg->metadata.data = put(&at, view->metadata);
        }
    }
    msg->variant = put(&at, view->variant);
    *at = '\0';
    return msg;
}

ht_err ht_msg_new(const char *variant,
                  const void *args,
                  size_t args_len,
                  ht_msg **ret_msg)
{
    struct hti_view view;
    ht_msg *msg;
    ht_err err = hti_view_of(variant, args, args_len, &view);

    if (err != HT_OK) {
        return err;
    }
    msg = hti_msg_build(&view, (ht_ref){0}, NULL);
    if (msg == NULL) {
        return HT_ENOMEM;
    }
    *ret_msg = msg;
    return HT_OK;
}

ht_err ht_msg_set_metadata(ht_msg *msg, const void *data, size_t len)
{
    void *block;

    if (msg == NULL || (data == NULL && len > 0)) {
        return HT_EINVAL;
    }
    if (len > HTI_MESSAGE_BYTES_MAX) {
        return HT_ETOOBIG;
    }
    block = hti_alloc(len > 0 ? len : 1);
    if (block == NULL) {
        return HT_ENOMEM;
    }
    if (len > 0) {
        memcpy(block, data, len);
    }
    hti_free(msg->metadata_block);
    msg->metadata_block = block;
    msg->bytes += len - msg->metadata.len;
    msg->metadata = (ht_bytes){block, len};
    return HT_OK;
}

void ht_msg_free(ht_msg *msg)
{
    if (msg == NULL) {
        return;
    }
    hti_free(msg->metadata_block);
    if (msg->owner != NULL) {
        hti_buf_unref(msg->owner);
    }
    hti_free(msg);
}

const char *ht_msg_variant(const ht_msg *msg)
{
    return msg->variant;
}

ht_bytes ht_msg_args(const ht_msg *msg)
{
    return msg->args;
}

ht_bytes ht_msg_metadata(const ht_msg *msg)
{
    return msg->metadata;
}

ht_ref ht_msg_from(const ht_msg *msg)
{
    return msg->from;
}

/* ---- handling -------------------------------------------------------------
 */

void hti_msg_bounce(ht_node *node, ht_msg *msg, ht_err err)
{
    if (msg->call != NULL) {
        hti_origin_answer(node, &msg->call->origin, err,
                          err == HT_ENOPROC ? "actor ended" : "", NULL, 0);
    }
    ht_msg_free(msg);
}

/* Errors of a message, not of the actor: the caller gets them. */
static bool is_refusal(ht_err err)
{
    return err == HT_ENOVARIANT || err == HT_EARGS;
}

static ht_err run_cast(ht_actor *a, ht_msg *msg)
{
    ht_err err = HT_ENOVARIANT;

    if (a->behavior->handle != NULL) {
        err = a->behavior->handle(a, msg, (ht_call){0});
    }
    if (is_refusal(err)) {
        char quoted[96];

        atomic_fetch_add_explicit(&a->dropped, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&a->node->dropped, 1, memory_order_relaxed);
        hti_log(&a->node->log, HT_LOG_DEBUG, "HT-ACTOR-REFUSED",
                "pid=%llu variant=%s err=%s", (unsigned long long)a->own_pid,
                hti_quote(quoted, sizeof(quoted), msg->variant,
                          strlen(msg->variant)),
                ht_errname(err));
        err = HT_OK;
    }
    ht_msg_free(msg);
    return err;
}

ht_err hti_expired(const struct hti_origin *origin)
{
    return origin->node == 0 ? HT_ETIMEDOUT : HT_EEXPIRED;
}

/* Why a call is not handled any more; HT_OK: it is. */
static ht_err is_late(ht_actor *a, const struct hti_msg_call *call)
{
    /* The turn's clock: a call is not refused for a moment. */
    struct hti_sched *here = hti_here(a->node);
    uint64_t now = here != NULL ? here->now_ns : 0;

    if (call->deadline_ns <= now) {
        return hti_expired(&call->origin);
    }
    if (call->origin.node != 0 &&
        hti_inbound_is_cancelled(a->node, &call->origin)) {
        return HT_ECANCELLED;
    }
    return a->behavior->handle == NULL ? HT_ENOVARIANT : HT_OK;
}

static ht_err run_call(ht_actor *a, ht_msg *msg)
{
    ht_err err = is_late(a, msg->call);
    ht_call call;

    if (err == HT_OK) {
        err = hti_answer_open(a, msg->call, &call);
    }
    if (err != HT_OK) {
        hti_msg_bounce(a->node, msg, err);
        return HT_OK;
    }
    err = a->behavior->handle(a, msg, call);
    if (is_refusal(err)) {
        (void)ht_reply_error(a, call, err, "");
        err = HT_OK;
    } else if (err == HT_OK) {
        hti_answer_keep(a, call);
    }
    ht_msg_free(msg);
    return err;
}

ht_err hti_msg_run(ht_actor *a, ht_msg *msg)
{
    return msg->call != NULL ? run_call(a, msg) : run_cast(a, msg);
}
