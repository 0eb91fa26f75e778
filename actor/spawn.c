/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.c - how an actor begins.
 *
 * On a scheduler's thread init runs at once, inside the call.  An ordinary
 * thread hands the new actor to its home scheduler, where all its life happens,
 * and waits.  The pid takes messages before init runs (it may register itself
 * and be called back); they are handled after.
 */
#include "actor/directory.h"
#include "actor/internal.h"

struct hti_spawn_wait {
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done;
    ht_err err;
};

static uint32_t limit(uint32_t wanted, uint32_t node_default, uint32_t max)
{
    uint32_t n = wanted != 0 ? wanted : node_default;

    return n < max ? n : max;
}

/* Publish the slot's new life; false: the node is stopping, or
 * about to. */
static bool publish(ht_actor *a, uint32_t flags)
{
    ht_node *node = a->node;
    uint64_t pid = (uint64_t)a->generation << 32 | a->index;
    bool ok;

    pthread_mutex_lock(&node->lock);
    /* A reaper is how what is there ends in order. */
    ok = (flags & HTI_ACTOR_REAPER) != 0 ||
         (!atomic_load_explicit(&node->stopping, memory_order_relaxed) &&
          !atomic_load_explicit(&node->refusing, memory_order_relaxed));
    if (ok) {
        a->own_pid = pid;
        a->life = HTI_LIFE_STARTING;
        atomic_fetch_add(&node->actors, 1);
        atomic_store_explicit(&a->flags, flags, memory_order_relaxed);
        atomic_store_explicit(&a->pid, pid, memory_order_release);
    }
    pthread_mutex_unlock(&node->lock);
    return ok;
}

static unsigned choose_home(ht_node *node, const ht_spawn_opts *opts)
{
    struct hti_sched *here = hti_here(node);

    if (opts->scheduler != 0) {
        return opts->scheduler - 1;
    }
    if (here != NULL) {
        return here->index;
    }
    return atomic_fetch_add_explicit(&node->next_home, 1,
                                     memory_order_relaxed) %
           node->scheds_count;
}

/* init runs inside the call on a scheduler's thread, so that has to be the
 * right one. */
static bool scheduler_is_valid(const ht_node *node, const ht_spawn_opts *opts)
{
    struct hti_sched *here = hti_here(node);

    return opts->scheduler == 0 ||
           (opts->scheduler <= node->scheds_count &&
            (here == NULL || here->index == opts->scheduler - 1));
}

static ht_err actor_new(ht_node *node,
                        const ht_behavior *behavior,
                        void *arg,
                        const ht_spawn_opts *opts,
                        uint32_t flags,
                        ht_actor **ret_actor)
{
    ht_actor *a = hti_slot_take(node);

    if (a == NULL) {
        return HT_ENOMEM;
    }
    a->behavior = behavior;
    a->init_arg = arg;
    a->state = behavior->init == NULL ? arg : NULL;
    a->trap_exit = opts->trap_exit;
    a->parent = opts->link ? hti_caller(node)->own_pid : 0;
    a->spawn_wait = NULL;
    atomic_store_explicit(&a->handled, 0, memory_order_relaxed);
    atomic_store_explicit(&a->dropped, 0, memory_order_relaxed);
    atomic_store_explicit(&a->service, NULL, memory_order_relaxed);
    atomic_store_explicit(&a->messages_max,
                          limit(opts->mailbox_messages_max,
                                node->mailbox_messages_max,
                                HTI_MAILBOX_MESSAGES_MAX),
                          memory_order_relaxed);
    atomic_store_explicit(
        &a->bytes_max,
        limit(opts->mailbox_bytes_max, node->mailbox_bytes_max, UINT32_MAX),
        memory_order_relaxed);
    a->settled = opts->scheduler != 0;
    atomic_store_explicit(&a->pinned, a->settled, memory_order_relaxed);
    atomic_store_explicit(&a->home, choose_home(node, opts),
                          memory_order_relaxed);
    if (!publish(a, flags)) {
        hti_slot_give_back(a);
        hti_actor_let_go(a);
        return HT_ECLOSED;
    }
    *ret_actor = a;
    return HT_OK;
}

static ht_err run_init(ht_actor *a)
{
    ht_actor *outer = hti_thread.actor;
    ht_err err = HT_OK;

    if (atomic_load(&a->node->stopping) &&
        (atomic_load(&a->flags) & HTI_ACTOR_REAPER) == 0) {
        err = HT_ECLOSED;
    } else if (a->behavior->init != NULL) {
        hti_thread.actor = a;
        err = a->behavior->init(a, a->init_arg);
        hti_thread.actor = outer;
    }
    if (err != HT_OK) {
        hti_actor_abandon(a, err);
        return err;
    }
    a->life = HTI_LIFE_ALIVE;
    return HT_OK;
}

void hti_spawn_finish(ht_actor *a)
{
    struct hti_spawn_wait *wait = a->spawn_wait;
    ht_err err;

    a->spawn_wait = NULL;
    err = run_init(a);
    pthread_mutex_lock(&wait->lock);
    wait->err = err;
    wait->done = true;
    pthread_cond_signal(&wait->done_cond);
    pthread_mutex_unlock(&wait->lock);
}

/* On the actor's home scheduler. */
static ht_err init_there(ht_actor *a)
{
    struct hti_spawn_wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                  .done_cond = PTHREAD_COND_INITIALIZER};

    /* cppcheck-suppress autoVariables ; the waiter outlives the wait */
    a->spawn_wait = &wait;
    atomic_exchange_explicit(&a->run_state, HTI_RUN_QUEUED,
                             memory_order_acq_rel);
    hti_schedule(a);
    pthread_mutex_lock(&wait.lock);
    while (!wait.done) {
        pthread_cond_wait(&wait.done_cond, &wait.lock);
    }
    pthread_mutex_unlock(&wait.lock);
    pthread_mutex_destroy(&wait.lock);
    pthread_cond_destroy(&wait.done_cond);
    return wait.err;
}

static ht_err init_here(ht_actor *a)
{
    ht_node *node = a->node;
    ht_err err = run_init(a);

    hti_actor_let_go(a);
    /* A program that drives the node itself does not know yet when the timers
     * that init has started are due. */
    if (node->single_threaded &&
        (hti_thread.node != node || !hti_thread.in_turn)) {
        node->host->wake(node->host_arg, 0);
    }
    return err;
}

static ht_err spawn(ht_node *node,
                    const ht_behavior *behavior,
                    void *arg,
                    const ht_spawn_opts *opts,
                    uint32_t flags,
                    ht_ref *ret_ref)
{
    ht_actor *parent = node != NULL ? hti_caller(node) : NULL;
    ht_actor *a;
    uint64_t pid;
    ht_err err;

    if (node == NULL || behavior == NULL || (opts->link && parent == NULL) ||
        !scheduler_is_valid(node, opts)) {
        return HT_EINVAL;
    }
    flags |= opts->local_only ? HTI_ACTOR_LOCAL_ONLY : 0;
    flags |= opts->unlisted ? HTI_ACTOR_UNLISTED : 0;
    err = actor_new(node, behavior, arg, opts, flags, &a);
    if (err != HT_OK) {
        return err;
    }
    pid = a->own_pid;
    if (opts->name != NULL) {
        err = hti_directory_register(node->directory, pid, opts->name);
    }
    if (err == HT_OK && opts->link) {
        err = hti_relation_link_local(node, parent->own_pid, pid);
    }
    if (err != HT_OK) {
        hti_actor_abandon(a, err);
        hti_actor_let_go(a);
        return err;
    }
    err = hti_here(node) != NULL ? init_here(a) : init_there(a);
    if (err == HT_OK && ret_ref != NULL) {
        *ret_ref = (ht_ref){.node = node->local_handle, .pid = pid};
    }
    return err;
}

ht_err ht_spawn(ht_node *node,
                const ht_behavior *behavior,
                void *arg,
                const ht_spawn_opts *opts,
                ht_ref *ret_ref)
{
    static const ht_spawn_opts none;

    return spawn(node, behavior, arg, opts != NULL ? opts : &none, 0, ret_ref);
}

ht_err hti_spawn_flagged(ht_node *node,
                         const ht_behavior *behavior,
                         void *arg,
                         const ht_spawn_opts *opts,
                         uint32_t flags,
                         ht_ref *ret_ref)
{
    return spawn(node, behavior, arg, opts, flags, ret_ref);
}

ht_err hti_rt_spawn_unlisted(ht_node *node,
                             const ht_behavior *behavior,
                             void *arg,
                             const ht_spawn_opts *opts,
                             ht_ref *ret_ref)
{
    static const ht_spawn_opts none;

    return spawn(node, behavior, arg, opts != NULL ? opts : &none,
                 HTI_ACTOR_UNLISTED, ret_ref);
}

/* ---- what an actor knows of itself ----------------------------------------
 */

ht_ref ht_self(const ht_actor *self)
{
    return (ht_ref){.node = self->node->local_handle, .pid = self->own_pid};
}

ht_node *ht_actor_node(const ht_actor *self)
{
    return self->node;
}

void *ht_state(const ht_actor *self)
{
    return self->state;
}

const ht_behavior *hti_actor_behavior(const ht_actor *self)
{
    return self->behavior;
}

void ht_set_state(ht_actor *self, void *state)
{
    self->state = state;
}

void ht_trap_exit(ht_actor *self, bool trap)
{
    self->trap_exit = trap;
}
