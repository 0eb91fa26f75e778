/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - open calls: what an actor has been asked and not yet answered.
 *
 * An ht_call is generation << 32 | index + 1 into the actor's own table.  Each
 * is answered exactly once: by the handler, by its deadline, or by the actor's
 * end; a call from a peer holds a reference to its link until then.
 *
 * Deadlines are kept by one timer an actor, coarsely: the caller has its own.
 */
#include <stdlib.h>
#include <string.h>

#include "actor/internal.h"

#define NONE            UINT32_MAX
#define REAP_MS         100 /* the reaper runs at most this often */
#define ANSWERS_AT_ONCE 8

struct hti_answer {
    struct hti_origin origin;
    uint64_t deadline_ns;
    uint32_t generation;
    uint32_t next_free;
    bool open;
};

void hti_origin_answer(ht_node *node,
                       const struct hti_origin *origin,
                       ht_err err,
                       const char *reason,
                       const void *data,
                       size_t len)
{
    if (origin->node == 0) {
        (void)hti_flight_complete(node, origin->tag, err,
                                  (ht_bytes){reason, strlen(reason)},
                                  (ht_bytes){data, len}, NULL);
    } else {
        node->remote->reply(node->remote_arg, origin, err, reason, data, len);
    }
}

/* ---- the table ------------------------------------------------------------
 */

static struct hti_answer *answer_find(const ht_actor *a, ht_call call)
{
    uint32_t index = (uint32_t)call.id - 1;
    struct hti_answer *answer;

    if ((uint32_t)call.id == 0 || index >= a->answers_cap) {
        return NULL;
    }
    answer = &a->answers[index];
    return answer->open && answer->generation == (uint32_t)(call.id >> 32)
               ? answer
               : NULL;
}

static ht_err grow(ht_actor *a)
{
    uint32_t cap = a->answers_cap != 0 ? a->answers_cap * 2 : ANSWERS_AT_ONCE;
    struct hti_answer *answers;

    if (cap > HTI_ANSWERS_MAX) {
        return HT_EOVERLOAD;
    }
    answers = hti_alloc(cap * sizeof(*answers));
    if (answers == NULL) {
        return HT_EOVERLOAD;
    }
    if (a->answers_cap > 0) {
        memcpy(answers, a->answers, a->answers_cap * sizeof(*answers));
    }
    for (uint32_t i = a->answers_cap; i < cap; i++) {
        answers[i] = (struct hti_answer){
            .next_free = i + 1 < cap ? i + 1 : NONE,
            /* Not the same in every life of the slot, so that a call kept from
             * an earlier life names nothing in this one. */
            .generation = a->generation << 8,
        };
    }
    a->answers_free = a->answers_cap;
    hti_free(a->answers);
    a->answers = answers;
    a->answers_cap = cap;
    return HT_OK;
}

ht_err
hti_answer_open(ht_actor *a, const struct hti_msg_call *call, ht_call *ret_call)
{
    struct hti_answer *answer;
    uint32_t index;

    if (a->answers_cap == 0 || a->answers_free == NONE) {
        ht_err err = grow(a);

        if (err != HT_OK) {
            return err;
        }
    }
    index = a->answers_free;
    answer = &a->answers[index];
    a->answers_free = answer->next_free;
    answer->origin = call->origin;
    answer->deadline_ns = call->deadline_ns;
    answer->generation++;
    answer->open = true;
    atomic_fetch_add_explicit(&a->answers_open, 1, memory_order_relaxed);
    ret_call->id = (uint64_t)answer->generation << 32 | (index + 1);
    return HT_OK;
}

bool hti_answer_is_open(const ht_actor *a, ht_call call)
{
    return answer_find(a, call) != NULL;
}

static void answer_close(ht_actor *a,
                         struct hti_answer *answer,
                         ht_err err,
                         const char *reason,
                         ht_bytes data)
{
    struct hti_origin origin = answer->origin;

    answer->open = false;
    answer->next_free = a->answers_free;
    a->answers_free = (uint32_t)(answer - a->answers);
    atomic_fetch_sub_explicit(&a->answers_open, 1, memory_order_relaxed);
    hti_origin_answer(a->node, &origin, err, reason, data.data, data.len);
}

void hti_answer_end(ht_actor *a, const ht_exit *why)
{
    bool failed = why->kind == HT_EXIT_FAILED;

    for (uint32_t i = 0; i < a->answers_cap; i++) {
        if (a->answers[i].open) {
            answer_close(a, &a->answers[i], failed ? HT_EFAILED : HT_ENOPROC,
                         failed ? why->text : "actor ended", (ht_bytes){0});
        }
    }
    hti_free(a->answers);
    a->answers = NULL;
    a->answers_cap = 0;
    /* Its timer was stopped with the others. */
    a->reaper = NULL;
}

/* ---- deadlines ------------------------------------------------------------
 */

static void reap_at(ht_actor *a, uint64_t deadline_ns)
{
    struct hti_timer *timer;

    /* Without memory the calls stay until the next one is kept, or the actor
     * ends. */
    if (hti_timer_new(a, deadline_ns, 0, &timer) == HT_OK) {
        timer->reaper = true;
        a->reaper = timer;
    }
}

void hti_answer_keep(ht_actor *a, ht_call call)
{
    struct hti_answer *answer = answer_find(a, call);

    if (answer == NULL || answer->deadline_ns == UINT64_MAX) {
        return;
    }
    if (a->reaper != NULL) {
        if (a->reaper->deadline_ns <= answer->deadline_ns) {
            return;
        }
        hti_timer_stop(a->reaper);
        a->reaper = NULL;
    }
    reap_at(a, answer->deadline_ns);
}

void hti_answer_reap(ht_actor *a)
{
    uint64_t now = hti_now(a->node);
    uint64_t next = UINT64_MAX;

    a->reaper = NULL;
    for (uint32_t i = 0; i < a->answers_cap; i++) {
        struct hti_answer *answer = &a->answers[i];

        if (!answer->open) {
            continue;
        }
        if (answer->deadline_ns <= now) {
            answer_close(a, answer, hti_expired(&answer->origin), "",
                         (ht_bytes){0});
        } else if (answer->deadline_ns < next) {
            next = answer->deadline_ns;
        }
    }
    if (next != UINT64_MAX) {
        uint64_t soonest = now + (uint64_t)REAP_MS * 1000000;

        reap_at(a, next > soonest ? next : soonest);
    }
}

/* ---- public ---------------------------------------------------------------
 */

ht_err ht_reply_ok(ht_actor *self, ht_call call, const void *data, size_t len)
{
    struct hti_answer *answer;

    if (self == NULL || self != hti_thread.actor || (data == NULL && len > 0)) {
        return HT_EINVAL;
    }
    answer = answer_find(self, call);
    if (answer == NULL) {
        return HT_ENOENT;
    }
    if (len > HTI_MESSAGE_BYTES_MAX) {
        answer_close(self, answer, HT_ETOOBIG, "", (ht_bytes){0});
        return HT_ETOOBIG;
    }
    answer_close(self, answer, HT_OK, "", (ht_bytes){data, len});
    return HT_OK;
}

/* The errors that a callee may answer with; see ht_reply. */
static bool is_callee_error(ht_err code)
{
    return code == HT_ENOPROC || code == HT_ENOVARIANT || code == HT_EARGS ||
           code == HT_EOVERLOAD || code == HT_EFAILED || code == HT_EEXPIRED ||
           code == HT_ECANCELLED || code == HT_EDENIED || code == HT_ETOOBIG;
}

ht_err
ht_reply_error(ht_actor *self, ht_call call, ht_err code, const char *reason)
{
    struct hti_answer *answer;

    if (self == NULL || self != hti_thread.actor) {
        return HT_EINVAL;
    }
    answer = answer_find(self, call);
    if (answer == NULL) {
        return HT_ENOENT;
    }
    answer_close(self, answer, is_callee_error(code) ? code : HT_EFAILED,
                 reason != NULL ? reason : "", (ht_bytes){0});
    return HT_OK;
}

ht_err
hti_rt_call_origin(ht_actor *self, ht_call call, struct hti_origin *ret_origin)
{
    const struct hti_answer *answer = answer_find(self, call);

    if (answer == NULL) {
        return HT_ENOENT;
    }
    *ret_origin = answer->origin;
    return HT_OK;
}
