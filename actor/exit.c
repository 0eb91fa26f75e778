/* SPDX-License-Identifier: Apache-2.0 */
/* exit.c - how an actor ends.
 *
 * In this order: it ceases to be addressable; its names and groups go; its
 * terminate hook runs, and may still send; what it waits for and what waits for
 * it is dropped or answered; and only then are its monitors and links told, so
 * that nothing it sent is overtaken by the news of its end.
 */
#include <assert.h>
#include <string.h>

#include "actor/directory.h"
#include "actor/internal.h"

/* From now on nobody finds it. Returns what ht_stop() left to say, if it did.
 */
static char *unpublish(ht_actor *a)
{
    ht_node *node = a->node;
    char *text;

    pthread_mutex_lock(&node->lock);
    atomic_store_explicit(&a->pid, 0, memory_order_release);
    atomic_store_explicit(&a->flags, 0, memory_order_release);
    atomic_store(&a->control, 0);
    text = a->stop_text;
    a->stop_text = NULL;
    pthread_mutex_unlock(&node->lock);
    return text;
}

/* Everything but terminate and the news. */
static void drop_all(ht_actor *a, const ht_exit *why)
{
    hti_timer_end(a);
    hti_watch_end(a);
    hti_flight_end(a);
    hti_answer_end(a, why);
    hti_mailbox_bounce(a);
}

static void free_life(ht_actor *a)
{
    ht_node *node = a->node;

    a->own_pid = 0;
    a->life = HTI_LIFE_FREE;
    a->state = NULL;
    a->behavior = NULL;
    hti_slot_give_back(a);
    atomic_fetch_sub(&node->actors, 1);
}

void hti_actor_end(ht_actor *a, const ht_exit *why)
{
    ht_actor *outer = hti_thread.actor;
    char *text;

    assert(a->life == HTI_LIFE_ALIVE);
    a->life = HTI_LIFE_ENDING;
    text = unpublish(a);
    hti_directory_actor_ended(a->node->directory, a->own_pid);
    if (a->behavior->terminate != NULL) {
        hti_thread.actor = a;
        a->behavior->terminate(a, why);
        hti_thread.actor = outer;
    }
    drop_all(a, why);
    hti_relation_end_all(a, why);
    hti_free(text);
    free_life(a);
}

void hti_actor_abandon(ht_actor *a, ht_err err)
{
    ht_exit why = {.kind = HT_EXIT_FAILED, .text = ht_strerror(err)};

    assert(a->life == HTI_LIFE_STARTING);
    a->life = HTI_LIFE_ENDING;
    hti_free(unpublish(a));
    hti_directory_actor_ended(a->node->directory, a->own_pid);
    drop_all(a, &why);
    /* The spawner gets the error, not an exit. */
    if (hti_caller(a->node) != NULL) {
        hti_relation_unlink_local(a->node, hti_caller(a->node)->own_pid,
                                  a->own_pid);
    }
    hti_relation_end_all(a, &why);
    free_life(a);
}

/* ---- stop, kill, drain ----------------------------------------------------
 */

ht_err hti_actor_control(ht_node *node,
                         uint64_t pid,
                         uint32_t control,
                         ht_exit_kind kind,
                         const char *text)
{
    ht_actor *a = hti_slot_of(node, pid);
    size_t len = text != NULL ? strlen(text) : 0;
    char *copy = len > 0 ? hti_alloc(len + 1) : NULL;
    ht_err err = HT_ENOPROC;

    /* Without memory it ends without words. */
    if (copy != NULL) {
        memcpy(copy, text, len + 1);
    }
    if (a == NULL || pid == 0) {
        hti_free(copy);
        return HT_ENOPROC;
    }
    pthread_mutex_lock(&node->lock);
    if (atomic_load_explicit(&a->pid, memory_order_relaxed) == pid) {
        uint32_t old = atomic_fetch_or(&a->control, control);

        /* The first stop says why. */
        if ((control & HTI_CONTROL_STOP) && !(old & HTI_CONTROL_STOP)) {
            a->stop_kind = kind;
            a->stop_text = copy;
            copy = NULL;
        }
        err = HT_OK;
    }
    pthread_mutex_unlock(&node->lock);
    hti_free(copy);
    if (err == HT_OK) {
        hti_actor_poke(a);
    }
    return err;
}

void hti_actor_obey(ht_actor *a)
{
    uint32_t control = atomic_load(&a->control);
    ht_exit why = {.kind = HT_EXIT_NORMAL, .text = ""};

    if (control == 0 || a->life != HTI_LIFE_ALIVE) {
        return;
    }
    if (control & HTI_CONTROL_KILL) {
        why = (ht_exit){.kind = HT_EXIT_KILLED, .text = "killed"};
    } else if (control & HTI_CONTROL_STOP) {
        pthread_mutex_lock(&a->node->lock);
        why.kind = a->stop_kind;
        why.text = a->stop_text != NULL ? a->stop_text : "";
        pthread_mutex_unlock(&a->node->lock);
    } else if (HTI_LOAD_MESSAGES(atomic_load(&a->load)) == 0) {
        why = (ht_exit){.kind = HT_EXIT_DRAINED, .text = "drained"};
    } else {
        return;
    }
    hti_actor_end(a, &why);
}

static ht_err
control_ref(ht_node *node, ht_ref ref, uint32_t control, const ht_exit *why)
{
    if (node == NULL) {
        return HT_EINVAL;
    }
    if (ref.node == node->local_handle) {
        return hti_actor_control(node, ref.pid, control, why->kind, why->text);
    }
    if (ht_ref_is_none(ref)) {
        return HT_ENOPROC;
    }
    if (node->remote == NULL) {
        return HT_ENOCONN;
    }
    return node->remote->stop(node->remote_arg, ref, why);
}

ht_err ht_stop(ht_node *node, ht_ref ref, const char *text)
{
    return control_ref(
        node, ref, HTI_CONTROL_STOP,
        &(ht_exit){.kind = HT_EXIT_NORMAL, .text = text != NULL ? text : ""});
}

ht_err ht_kill(ht_node *node, ht_ref ref)
{
    return control_ref(node, ref, HTI_CONTROL_KILL,
                       &(ht_exit){.kind = HT_EXIT_KILLED, .text = "killed"});
}

ht_err ht_drain(ht_node *node, ht_ref ref)
{
    return control_ref(node, ref, HTI_CONTROL_DRAIN,
                       &(ht_exit){.kind = HT_EXIT_DRAINED, .text = "drained"});
}

ht_err hti_rt_remote_stop(ht_node *node, uint64_t pid, const ht_exit *why)
{
    uint32_t control = why->kind == HT_EXIT_KILLED    ? HTI_CONTROL_KILL
                       : why->kind == HT_EXIT_DRAINED ? HTI_CONTROL_DRAIN
                                                      : HTI_CONTROL_STOP;

    if ((hti_actor_flags(node, pid) & HTI_ACTOR_LOCAL_ONLY) != 0) {
        return HT_EDENIED;
    }
    return hti_actor_control(node, pid, control, why->kind, why->text);
}

bool ht_is_alive(ht_node *node, ht_ref ref)
{
    if (node == NULL || ht_ref_is_none(ref)) {
        return false;
    }
    if (ref.node == node->local_handle) {
        return hti_actor_is_live(node, ref.pid);
    }
    return node->remote != NULL &&
           node->remote->node_state(node->remote_arg, ref.node) == HT_OK;
}
