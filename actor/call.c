/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - calls: from actors without blocking, from ordinary threads with.
 *
 * The record is entered before the message leaves, so an answer always finds
 * it; if the message cannot leave, the record is claimed back.  When somebody
 * else claims it in that moment (the node went down), the call has ended the
 * ordinary way and the caller hears of it there.
 */
#include <errno.h>
#include <time.h>

#include "actor/internal.h"

#define CALL_MS_DEFAULT 5000

struct target {
    ht_ref to; /* pid 0: by name */
    ht_bytes name;
};

/* What a public function was asked to call. */
struct asked {
    ht_ref to;
    bool by_name; /* then not to, but: */
    const char *node_name, *name;
    const char *variant;
    const void *args;
    size_t args_len;
};

static ht_err aim(ht_node *node,
                  const struct asked *asked,
                  struct target *ret_target,
                  struct hti_view *ret_view)
{
    ht_err err =
        hti_view_of(asked->variant, asked->args, asked->args_len, ret_view);

    *ret_target = (struct target){.to = asked->to};
    if (err == HT_OK && asked->by_name) {
        err = hti_resolve(node, asked->node_name, asked->name, &ret_target->to,
                          &ret_target->name);
    }
    return err;
}

static bool is_local(const ht_node *node, ht_ref to)
{
    return to.node == node->local_handle;
}

struct answer_to {
    ht_reply_fn on_reply;
    void (*drop)(void *arg); /* may be NULL */
    void *arg;
};

static ht_err dispatch(ht_node *node,
                       const struct target *target,
                       struct hti_view *view,
                       struct hti_flight *f,
                       uint64_t deadline_ns,
                       uint32_t timeout_ms)
{
    ht_actor *self = hti_caller(node);
    ht_ref from = self != NULL ? ht_self(self) : (ht_ref){0};
    struct hti_msg_call call = {.origin = {.caller = from,
                                           .to = target->to.pid,
                                           .tag = hti_flight_tag(f)},
                                .deadline_ns = deadline_ns};
    ht_msg *msg;
    ht_err err;

    view->to = target->to.pid;
    view->to_name = target->name;
    view->from = from.pid;
    if (!is_local(node, target->to)) {
        err = node->remote->call(node->remote_arg, target->to.node, view,
                                 call.origin.tag, timeout_ms);
        if (err == HT_OK) {
            hti_flight_sent(f);
        }
        return err;
    }
    msg = hti_msg_build(view, from, &call);
    if (msg == NULL) {
        return HT_ENOMEM;
    }
    err = hti_mailbox_send(node, target->to.pid, msg);
    if (err != HT_OK) {
        ht_msg_free(msg);
    }
    return err;
}

static ht_err check_target(const ht_node *node, ht_ref to)
{
    if (to.node == 0) {
        return HT_ENOPROC;
    }
    if (!is_local(node, to) && node->remote == NULL) {
        return HT_ENOCONN;
    }
    return HT_OK;
}

static ht_ref flight_ref(const ht_node *node, ht_ref to)
{
    return (ht_ref){.node = is_local(node, to) ? 0 : to.node, .pid = to.pid};
}

static ht_err call_async(ht_actor *self,
                         const struct asked *asked,
                         uint32_t timeout_ms,
                         const struct answer_to *answer_to,
                         uint64_t *ret_call)
{
    uint32_t ms = timeout_ms != 0 ? timeout_ms : CALL_MS_DEFAULT;
    struct hti_flight_what what;
    struct target target;
    struct hti_view view;
    struct hti_flight *f;
    ht_node *node;
    uint64_t tag;
    ht_err err;

    if (self == NULL || self != hti_thread.actor ||
        answer_to->on_reply == NULL) {
        return HT_EINVAL;
    }
    node = self->node;
    err = aim(node, asked, &target, &view);
    if (err == HT_OK) {
        err = check_target(node, target.to);
    }
    if (err != HT_OK) {
        return err;
    }
    what = (struct hti_flight_what){.to = flight_ref(node, target.to),
                                    .deadline_ns = hti_deadline(node, ms),
                                    .on_reply = answer_to->on_reply,
                                    .arg = answer_to->arg,
                                    .drop = answer_to->drop};
    err = hti_flight_open(node, self, &what, &f);
    if (err != HT_OK) {
        return err;
    }
    tag = hti_flight_tag(f);
    err = dispatch(node, &target, &view, f, what.deadline_ns, ms);
    if (err != HT_OK && hti_flight_claim(f, tag)) {
        LIST_REMOVE(f, entry);
        f->listed = false;
        f->drop = NULL;
        hti_flight_release(f);
        return err;
    }
    if (ret_call != NULL) {
        *ret_call = tag;
    }
    return HT_OK;
}

ht_err hti_call_async_owned(ht_actor *self,
                            ht_ref to,
                            const char *variant,
                            const void *args,
                            size_t args_len,
                            uint32_t timeout_ms,
                            ht_reply_fn on_reply,
                            void (*drop)(void *arg),
                            void *arg)
{
    const struct asked asked = {
        .to = to, .variant = variant, .args = args, .args_len = args_len};
    const struct answer_to answer_to = {on_reply, drop, arg};

    return call_async(self, &asked, timeout_ms, &answer_to, NULL);
}

ht_err ht_call_async(ht_actor *self,
                     ht_ref to,
                     const char *variant,
                     const void *args,
                     size_t args_len,
                     uint32_t timeout_ms,
                     ht_reply_fn on_reply,
                     void *arg,
                     uint64_t *ret_call)
{
    const struct asked asked = {
        .to = to, .variant = variant, .args = args, .args_len = args_len};
    const struct answer_to answer_to = {on_reply, NULL, arg};

    return call_async(self, &asked, timeout_ms, &answer_to, ret_call);
}

ht_err ht_call_name_async(ht_actor *self,
                          const char *node_name,
                          const char *name,
                          const char *variant,
                          const void *args,
                          size_t args_len,
                          uint32_t timeout_ms,
                          ht_reply_fn on_reply,
                          void *arg,
                          uint64_t *ret_call)
{
    const struct asked asked = {.by_name = true,
                                .node_name = node_name,
                                .name = name,
                                .variant = variant,
                                .args = args,
                                .args_len = args_len};
    const struct answer_to answer_to = {on_reply, NULL, arg};

    return call_async(self, &asked, timeout_ms, &answer_to, ret_call);
}

ht_err ht_call_cancel(ht_actor *self, uint64_t call)
{
    struct hti_flight *f;

    if (self == NULL || self != hti_thread.actor) {
        return HT_EINVAL;
    }
    f = hti_flight_find(self->node, call);
    /* The tag names this call only while it is in flight or its answer is in
     * our mailbox; a record of ours does not change under us. */
    if (f == NULL || !hti_flight_is_of(f, call, self)) {
        return HT_ENOENT;
    }
    hti_flight_drop(self, f);
    return HT_OK;
}

/* ---- ordinary threads -----------------------------------------------------
 */

static void wait_init(struct hti_call_wait *wait)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&wait->lock, NULL);
    pthread_cond_init(&wait->done_cond, &attr);
    pthread_condattr_destroy(&attr);
    wait->done = false;
}

/* Wait for the answer; true: the time is over. ms HT_INFINITE: for ever. */
static bool wait_for(struct hti_call_wait *wait, uint32_t ms)
{
    struct timespec at;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&wait->lock);
    while (!wait->done && rc != ETIMEDOUT) {
        rc = ms == HT_INFINITE
                 ? pthread_cond_wait(&wait->done_cond, &wait->lock)
                 : pthread_cond_timedwait(&wait->done_cond, &wait->lock, &at);
    }
    rc = wait->done ? 0 : rc;
    pthread_mutex_unlock(&wait->lock);
    return rc == ETIMEDOUT;
}

static void wait_answer(struct hti_flight *f,
                        struct hti_call_wait *wait,
                        uint32_t ms,
                        ht_reply *ret_reply)
{
    if (wait_for(wait, ms)) {
        if (hti_flight_give_up(f, hti_flight_tag(f))) {
            ret_reply->err = HT_ETIMEDOUT;
            return;
        }
        /* The answer is being handed over right now. */
        (void)wait_for(wait, HT_INFINITE);
    }
    *ret_reply = f->reply;
    f->reply = (ht_reply){.reason = ""};
}

/* Where waiting would wait for itself. */
static bool may_block(const ht_node *node)
{
    return node != NULL && !node->single_threaded && hti_thread.actor == NULL &&
           hti_here(node) == NULL;
}

static ht_err wait_call(ht_node *node,
                        const struct target *target,
                        struct hti_view *view,
                        uint32_t timeout_ms,
                        ht_reply *ret_reply)
{
    uint32_t ms = timeout_ms != 0 ? timeout_ms : CALL_MS_DEFAULT;
    struct hti_call_wait wait;
    struct hti_flight_what what = {.to = flight_ref(node, target->to),
                                   .deadline_ns = hti_deadline(node, ms),
                                   .wait = &wait};
    struct hti_flight *f;
    ht_err err = check_target(node, target->to);

    if (err != HT_OK) {
        return err;
    }
    wait_init(&wait);
    err = hti_flight_open(node, NULL, &what, &f);
    if (err == HT_OK) {
        err = dispatch(node, target, view, f, what.deadline_ns, ms);
        if (err == HT_OK || !hti_flight_claim(f, hti_flight_tag(f))) {
            wait_answer(f, &wait, ms, ret_reply);
            err = ret_reply->err;
        }
        hti_flight_release(f);
    }
    pthread_cond_destroy(&wait.done_cond);
    pthread_mutex_destroy(&wait.lock);
    return err;
}

static ht_err call_wait(ht_node *node,
                        const struct asked *asked,
                        uint32_t timeout_ms,
                        ht_reply *ret_reply)
{
    struct target target;
    struct hti_view view;
    ht_err err;

    if (ret_reply == NULL) {
        return HT_EINVAL;
    }
    *ret_reply = (ht_reply){.reason = ""};
    err = may_block(node) ? aim(node, asked, &target, &view) : HT_EINVAL;
    if (err == HT_OK) {
        err = wait_call(node, &target, &view, timeout_ms, ret_reply);
    }
    ret_reply->err = err;
    return err;
}

ht_err ht_call_wait(ht_node *node,
                    ht_ref to,
                    const char *variant,
                    const void *args,
                    size_t args_len,
                    uint32_t timeout_ms,
                    ht_reply *ret_reply)
{
    const struct asked asked = {
        .to = to, .variant = variant, .args = args, .args_len = args_len};

    return call_wait(node, &asked, timeout_ms, ret_reply);
}

ht_err ht_call_name_wait(ht_node *node,
                         const char *node_name,
                         const char *name,
                         const char *variant,
                         const void *args,
                         size_t args_len,
                         uint32_t timeout_ms,
                         ht_reply *ret_reply)
{
    const struct asked asked = {.by_name = true,
                                .node_name = node_name,
                                .name = name,
                                .variant = variant,
                                .args = args,
                                .args_len = args_len};

    return call_wait(node, &asked, timeout_ms, ret_reply);
}
