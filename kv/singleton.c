/* SPDX-License-Identifier: Apache-2.0 */
/* singleton.c - an actor of which the cluster has one.
 *
 * On every node that may run it stands a *keeper*.  It claims a name of its own
 * ("NAME#keeper"); the one that holds it runs the instance, and gives it the
 * global name.  Both names hang on the node's lease, so they go together.
 *
 *   idle --(nobody keeps)--> claiming --> held: the instance runs
 *    ^  ^                        |          |  ^   |
 *    |  +------ taken -----------+          |  +---+ it ended: started again
 *    +--- lost: the instance is killed <----+
 */
#include <hardtack/args.h>
#include <hardtack/kv.h>
#include <hardtack/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/messages.h"
#include "kv/names.h"

#define NAME_MAX_BYTES 200u
#define LOOK_MS        500u /* whether the keeper's name is free */
#define RESTART_MIN_MS 50u
#define RESTART_MAX_MS 5000u

struct keeper {
    ht_node *node;
    ht_actor *self;
    ht_stub *names;
    const ht_behavior *behavior;
    void *arg;
    ht_spawn_opts opts;
    bool asking;     /* the names' actor */
    bool held;       /* the keeper's name */
    bool stopping;   /* ends when the instance has */
    ht_ref instance; /* none: it does not run */
    uint64_t monitor;
    uint64_t restart_timer;
    uint32_t restart_ms;
    char name[NAME_MAX_BYTES + 1];
    char keeper_name[NAME_MAX_BYTES + 16];
    char actor_name[NAME_MAX_BYTES + 32];
};

static void run_instance(struct keeper *keeper);

/* ---- claiming ------------------------------------------------------------ */

static void claim(struct keeper *keeper,
                  const char *name,
                  ht_ref ref,
                  Hardtack__Kv__ClaimReply_Closure closure)
{
    Hardtack__Kv__ClaimRequest request = HARDTACK__KV__CLAIM_REQUEST__INIT;
    ht_args actor = HT_ARGS_INIT;

    ht_args_ref(&actor, keeper->node, ref);
    request.name = (char *)(uintptr_t)name;
    request.actor.data = actor.data;
    request.actor.len = actor.err == HT_OK ? actor.len : 0;
    hardtack__kv__names__claim(ht_stub_service(keeper->names), &request,
                               closure, keeper);
    ht_args_fini(&actor);
}

static void on_keeping(const Hardtack__Kv__ClaimReply *reply, void *arg)
{
    struct keeper *keeper = arg;

    keeper->asking = false;
    if (reply != NULL && reply->held) {
        keeper->held = true;
        keeper->restart_ms = 0;
        run_instance(keeper);
    }
}

static void on_found(const Hardtack__Kv__FindReply *reply, void *arg)
{
    struct keeper *keeper = arg;

    keeper->asking = false;
    if (reply != NULL && !reply->found && !keeper->stopping) {
        keeper->asking = true;
        claim(keeper, keeper->keeper_name, ht_self(keeper->self), on_keeping);
    }
}

/* A look costs no write; a claim that fails would. */
static void look(struct keeper *keeper)
{
    Hardtack__Kv__FindRequest request = HARDTACK__KV__FIND_REQUEST__INIT;

    if (keeper->held || keeper->asking || keeper->stopping ||
        !ht_ref_is_none(keeper->instance)) {
        return;
    }
    keeper->asking = true;
    request.name = keeper->keeper_name;
    hardtack__kv__names__find(ht_stub_service(keeper->names), &request,
                              on_found, keeper);
}

static void on_released(const Hardtack__Kv__ReleaseReply *reply, void *arg)
{
    (void)reply;
    (void)arg;
}

static void release(struct keeper *keeper)
{
    Hardtack__Kv__ReleaseRequest request = HARDTACK__KV__RELEASE_REQUEST__INIT;

    keeper->held = false;
    request.name = keeper->keeper_name;
    hardtack__kv__names__release(ht_stub_service(keeper->names), &request,
                                 on_released, keeper);
}

/* ---- the instance -------------------------------------------------------- */

static void restart_later(struct keeper *keeper)
{
    uint32_t wait =
        keeper->restart_ms == 0 ? RESTART_MIN_MS : keeper->restart_ms * 2;

    keeper->restart_ms = wait > RESTART_MAX_MS ? RESTART_MAX_MS : wait;
    if (ht_timer_start(keeper->self, keeper->restart_ms, 0, keeper,
                       &keeper->restart_timer) != HT_OK) {
        keeper->restart_timer = 0;
        release(keeper); /* another node may do better */
    }
}

static void on_named(const Hardtack__Kv__ClaimReply *reply, void *arg)
{
    struct keeper *keeper = arg;
    ht_args args = HT_ARGS_INIT;

    if (ht_ref_is_none(keeper->instance) || !keeper->held) {
        return; /* it has ended meanwhile */
    }
    if (reply == NULL || !reply->held) {
        /* The name is another's, or the store is away: one without its name
         * must not run. */
        (void)ht_kill(keeper->node, keeper->instance);
        return;
    }
    ht_args_str(&args, keeper->name);
    ht_args_u64(&args, reply->token);
    if (ht_args_cast(keeper->node, keeper->instance, "HtGlobalHeld", &args) !=
        HT_OK) {
        (void)ht_kill(keeper->node, keeper->instance);
    }
}

static void run_instance(struct keeper *keeper)
{
    if (!keeper->held || keeper->stopping ||
        !ht_ref_is_none(keeper->instance)) {
        return;
    }
    if (ht_spawn(keeper->node, keeper->behavior, keeper->arg, &keeper->opts,
                 &keeper->instance) != HT_OK) {
        keeper->instance = (ht_ref){0, 0};
        restart_later(keeper);
        return;
    }
    if (ht_monitor(keeper->self, keeper->instance, &keeper->monitor) != HT_OK) {
        (void)ht_kill(keeper->node, keeper->instance);
        keeper->instance = (ht_ref){0, 0};
        restart_later(keeper);
        return;
    }
    claim(keeper, keeper->name, keeper->instance, on_named);
}

static void on_instance_down(struct keeper *keeper)
{
    keeper->instance = (ht_ref){0, 0};
    keeper->monitor = 0;
    if (keeper->stopping) {
        if (keeper->held) {
            release(keeper);
        }
        (void)ht_stop(keeper->node, ht_self(keeper->self), NULL);
    } else if (keeper->held) {
        restart_later(keeper);
    }
}

static void on_lost(struct keeper *keeper)
{
    keeper->held = false;
    if (!ht_ref_is_none(keeper->instance)) {
        (void)ht_kill(keeper->node, keeper->instance);
    }
}

static void on_stop(struct keeper *keeper)
{
    keeper->stopping = true;
    if (!ht_ref_is_none(keeper->instance)) {
        (void)ht_stop(keeper->node, keeper->instance, "moved");
    } else {
        on_instance_down(keeper);
    }
}

/* ---- the keeper's actor -------------------------------------------------- */

static ht_err on_init(ht_actor *self, void *arg)
{
    struct keeper *keeper = arg;
    uint64_t timer;
    ht_ref names;
    ht_err err = hti_kv_names_start(keeper->node, NULL, &names);

    ht_set_state(self, keeper);
    keeper->self = self;
    if (err == HT_OK) {
        err = ht_stub_new(keeper->node, names, &hardtack__kv__names__descriptor,
                          &keeper->names);
    }
    if (err == HT_OK) {
        ht_stub_set_timeout(keeper->names, HT_INFINITE);
        err = ht_timer_start(self, 0, LOOK_MS, keeper, &timer);
    }
    return err;
}

static ht_err handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct keeper *keeper = ht_state(self);
    const char *variant = ht_msg_variant(msg);

    (void)call;
    if (strcmp(variant, "HtGlobalLost") == 0) {
        on_lost(keeper);
    } else if (strcmp(variant, "HtSingletonStop") == 0) {
        on_stop(keeper);
    } else {
        return HT_ENOVARIANT;
    }
    return HT_OK;
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct keeper *keeper = ht_state(self);

    if (event->kind == HT_EVENT_DOWN &&
        event->u.down.monitor == keeper->monitor) {
        on_instance_down(keeper);
    } else if (event->kind == HT_EVENT_TIMER) {
        if (event->u.timer.timer == keeper->restart_timer) {
            keeper->restart_timer = 0;
            run_instance(keeper);
        } else {
            look(keeper);
        }
    }
    return HT_OK;
}

/* Runs for every way to end, kill included: the instance does not outlive it.
 */
static void on_terminate(ht_actor *self, const ht_exit *why)
{
    struct keeper *keeper = ht_state(self);

    (void)why;
    if (!ht_ref_is_none(keeper->instance)) {
        (void)ht_kill(keeper->node, keeper->instance);
    }
    ht_stub_free(keeper->names);
    free(keeper);
}

static const ht_behavior keeping = {
    .init = on_init,
    .handle = handle,
    .on_event = on_event,
    .terminate = on_terminate,
};

ht_err ht_singleton_start(ht_node *node, const ht_singleton_config *config)
{
    ht_spawn_opts opts = {.trap_exit = true, .local_only = true};
    struct keeper *keeper;
    ht_ref ref;
    ht_err err;

    if (node == NULL || config == NULL || config->behavior == NULL ||
        (config->size != 0 && config->size != sizeof(*config)) ||
        config->name == NULL ||
        !hti_kv_global_name_valid(config->name, NAME_MAX_BYTES) ||
        config->opts.name != NULL || config->opts.link) {
        return HT_EINVAL;
    }
    keeper = calloc(1, sizeof(*keeper));
    if (keeper == NULL) {
        return HT_ENOMEM;
    }
    keeper->node = node;
    keeper->behavior = config->behavior;
    keeper->arg = config->arg;
    keeper->opts = config->opts;
    (void)snprintf(keeper->name, sizeof(keeper->name), "%s", config->name);
    (void)snprintf(keeper->keeper_name, sizeof(keeper->keeper_name),
                   "%s#keeper", config->name);
    (void)snprintf(keeper->actor_name, sizeof(keeper->actor_name),
                   "hardtack.singleton.%s", config->name);
    opts.name = keeper->actor_name;
    err = ht_spawn(node, &keeping, keeper, &opts, &ref);
    if (err != HT_OK) {
        ht_stub_free(keeper->names);
        free(keeper);
    }
    return err;
}

ht_err ht_singleton_stop(ht_node *node, const char *name)
{
    char actor[NAME_MAX_BYTES + 32];
    ht_err err;

    if (node == NULL || name == NULL || strlen(name) > NAME_MAX_BYTES) {
        return HT_EINVAL;
    }
    (void)snprintf(actor, sizeof(actor), "hardtack.singleton.%s", name);
    err = ht_cast_name(node, NULL, actor, "HtSingletonStop", NULL, 0);
    return err == HT_ENOPROC ? HT_ENOENT : err;
}
