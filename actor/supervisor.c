/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors: actors that start others, in order, and start them again.
 *
 * A supervisor is an ordinary actor that traps the exits of its children.  What
 * is to happen to a child is noted on it (stop_due, start_due); advance() then
 * stops what must stop, one at a time, last first, waiting for each to end, and
 * after that starts what must start, in order.  So every strategy is only a way
 * to set those notes.
 *
 * A start that fails counts as one more restart.  More than `intensity` of them
 * within period_ms end the supervisor, and a reaper ends its children in order.
 *
 * Requests (add, remove) carry plain structs of this process: a supervisor is
 * local_only.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "actor/directory.h"
#include "actor/internal.h"
#include "actor/reaper.h"
#include "actor/supervisor.h"

#define INTENSITY_DEFAULT   3
#define INTENSITY_MAX       65536
#define PERIOD_MS_DEFAULT   5000
#define SHUTDOWN_MS_DEFAULT 5000

struct child {
    TAILQ_ENTRY(child) entry;
    const ht_behavior *behavior;
    void *arg;
    ht_spawn_opts opts;
    ht_restart restart;
    uint32_t shutdown_ms;
    ht_ref ref;     /* none: it does not run */
    bool stop_due;  /* it must end */
    bool start_due; /* it must be started when all that must end has */
    bool forget;    /* once it has ended */
    bool added;     /* its first start: failing is the caller's business */
    ht_call caller; /* of add or remove, to be answered */
    char *name;     /* opts.name, in id[] */
    char id[];
};
TAILQ_HEAD(children, child);

struct supervisor {
    ht_actor *self;
    ht_ref parent;
    ht_strategy strategy;
    uint32_t intensity;
    uint32_t period_ms;
    struct children children;
    struct child *stopping; /* told to stop, not yet ended */
    uint64_t timer;         /* then it is killed; 0: none */
    uint64_t restarts;      /* so far */
    uint64_t restart_ms[];  /* when the last `intensity` ones were, a ring */
};

/* ---- children ------------------------------------------------------------ */

static struct child *
child_new(const ht_child_spec *spec, const char *id, const char *name)
{
    size_t id_len = strlen(id), name_len = name != NULL ? strlen(name) : 0;
    struct child *child = calloc(1, sizeof *child + id_len + name_len + 2);

    if (child == NULL) {
        return NULL;
    }
    memcpy(child->id, id, id_len + 1);
    if (name != NULL) {
        child->name = child->id + id_len + 1;
        memcpy(child->name, name, name_len + 1);
    }
    child->behavior = spec->behavior;
    child->arg = spec->arg;
    child->opts = spec->opts;
    child->opts.name = child->name;
    child->opts.link = true;
    child->restart = spec->restart;
    child->shutdown_ms =
        spec->shutdown_ms != 0 ? spec->shutdown_ms : SHUTDOWN_MS_DEFAULT;
    return child;
}

static struct child *child_by_id(struct supervisor *sup, const char *id)
{
    struct child *child;

    TAILQ_FOREACH (child, &sup->children, entry) {
        if (strcmp(child->id, id) == 0) {
            return child;
        }
    }
    return NULL;
}

static struct child *child_by_ref(struct supervisor *sup, ht_ref ref)
{
    struct child *child;

    TAILQ_FOREACH (child, &sup->children, entry) {
        if (ht_ref_equal(child->ref, ref)) {
            return child;
        }
    }
    return NULL;
}

static bool child_runs(const struct child *child)
{
    return !ht_ref_is_none(child->ref);
}

/* An ht_err need not be one that a call can end with, so it is the answer. */
static void
child_answer(struct supervisor *sup, struct child *child, ht_err err)
{
    if (child->caller.id != 0) {
        ht_reply_ok(sup->self, child->caller, &err, sizeof err);
        child->caller.id = 0;
    }
}

static void child_forget(struct supervisor *sup, struct child *child)
{
    assert(!child_runs(child) && sup->stopping != child);
    child_answer(sup, child, HT_OK);
    TAILQ_REMOVE(&sup->children, child, entry);
    free(child);
}

static ht_err child_start(struct supervisor *sup, struct child *child)
{
    ht_node *node = ht_actor_node(sup->self);
    ht_err err = hti_spawn_flagged(node, child->behavior, child->arg,
                                   &child->opts, HTI_ACTOR_CHILD, &child->ref);

    if (err != HT_OK) {
        child->ref = (ht_ref){0, 0};
        return err;
    }
    child->start_due = false;
    /* It may have ended already; then nobody needs to find it. */
    err = hti_directory_register_child(node->directory, ht_self(sup->self).pid,
                                       child->id, child->ref.pid);
    if (err == HT_ENOMEM) {
        hti_log(hti_rt_log(node), HT_LOG_WARN, "HT-SUPERVISOR-LOOKUP",
                "child cannot be looked up: err=\"%s\"", ht_strerror(err));
    }
    return HT_OK;
}

/* ---- restarts ------------------------------------------------------------ */

static void log_child(struct supervisor *sup,
                      ht_log_level level,
                      const char *id,
                      const struct child *child,
                      const char *what,
                      const char *text)
{
    char name[128], words[256];

    hti_log(hti_rt_log(ht_actor_node(sup->self)), level, id, "child=%s %s=%s",
            hti_quote(name, sizeof name, child->id, strlen(child->id)), what,
            hti_quote(words, sizeof words, text, strlen(text)));
}

/* Count one; false: that was one too many. */
static bool restart_allowed(struct supervisor *sup)
{
    uint64_t now_ms = hti_rt_now_ns(ht_actor_node(sup->self)) / 1000000;
    uint64_t *oldest = &sup->restart_ms[sup->restarts % sup->intensity];

    if (sup->restarts >= sup->intensity && now_ms - *oldest < sup->period_ms) {
        return false;
    }
    *oldest = now_ms;
    sup->restarts++;
    return true;
}

/* Note what has to stop and start because child failed. */
static void plan_restart(struct supervisor *sup, struct child *failed)
{
    bool after = false;
    struct child *child;

    failed->start_due = true;
    if (sup->strategy == HT_ONE_FOR_ONE) {
        return;
    }
    TAILQ_FOREACH (child, &sup->children, entry) {
        if (child == failed) {
            after = true;
        } else if ((after || sup->strategy == HT_ONE_FOR_ALL) &&
                   child_runs(child)) {
            child->stop_due = true;
            child->forget |= child->restart == HT_TEMPORARY;
            child->start_due = !child->forget;
        }
    }
}

/* HT_OK, or the error with which the supervisor ends. */
static ht_err plan_or_give_up(struct supervisor *sup, struct child *child)
{
    if (!restart_allowed(sup)) {
        log_child(sup, HT_LOG_ERROR, "HT-SUPERVISOR-GIVE-UP", child, "reason",
                  "too many restarts");
        return HT_EFAILED;
    }
    plan_restart(sup, child);
    return HT_OK;
}

/* ---- stopping and starting ----------------------------------------------- */

static void stop_begin(struct supervisor *sup, struct child *child)
{
    ht_node *node = ht_actor_node(sup->self);

    sup->stopping = child;
    /* HT_ENOPROC: it is ending by itself, and its exit is on its way. */
    hti_actor_control(node, child->ref.pid, HTI_CONTROL_STOP, HT_EXIT_SHUTDOWN,
                      "stopped by its supervisor");
    if (child->shutdown_ms != HT_INFINITE &&
        ht_timer_start(sup->self, child->shutdown_ms, 0, NULL, &sup->timer) !=
            HT_OK) {
        ht_kill(node, child->ref);
    }
}

/* True: one is being stopped, and its exit will call advance() again. */
static bool advance_stops(struct supervisor *sup)
{
    struct child *child, *before;

    if (sup->stopping != NULL) {
        return true;
    }
    for (child = TAILQ_LAST(&sup->children, children); child != NULL;
         child = before) {
        before = TAILQ_PREV(child, children, entry);
        if (child->stop_due && child_runs(child)) {
            stop_begin(sup, child);
            return true;
        }
        child->stop_due = false;
        if (child->forget && !child_runs(child)) {
            child_forget(sup, child);
        }
    }
    return false;
}

/* The start of a child failed. */
static ht_err
start_failed(struct supervisor *sup, struct child *child, ht_err err)
{
    if (child->added) {
        child_answer(sup, child, err);
        child_forget(sup, child);
        return HT_OK;
    }
    log_child(sup, HT_LOG_WARN, "HT-SUPERVISOR-START", child, "err",
              ht_strerror(err));
    if (err == HT_ECLOSED) {
        return err; /* the node is stopping */
    }
    return plan_or_give_up(sup, child);
}

/* HT_OK: as far as it can go now. */
static ht_err advance(struct supervisor *sup)
{
    while (!advance_stops(sup)) {
        struct child *child;
        ht_err err;

        TAILQ_FOREACH (child, &sup->children, entry) {
            if (child->start_due) {
                break;
            }
        }
        if (child == NULL) {
            return HT_OK;
        }
        err = child_start(sup, child);
        if (err == HT_OK) {
            child->added = false;
            child_answer(sup, child, HT_OK);
        } else {
            err = start_failed(sup, child, err);
            if (err != HT_OK) {
                return err;
            }
        }
    }
    return HT_OK;
}

/* ---- what happens to children -------------------------------------------- */

static bool is_abnormal(ht_exit_kind kind)
{
    return kind != HT_EXIT_NORMAL && kind != HT_EXIT_SHUTDOWN &&
           kind != HT_EXIT_DRAINED;
}

static ht_err
child_ended(struct supervisor *sup, struct child *child, const ht_exit *why)
{
    bool asked = child->stop_due || child->forget;
    ht_err err;

    child->ref = (ht_ref){0, 0};
    if (sup->stopping == child) {
        sup->stopping = NULL;
        if (sup->timer != 0) {
            ht_timer_cancel(sup->self, sup->timer);
            sup->timer = 0;
        }
    }
    child->stop_due = false;
    if (!asked &&
        (child->restart == HT_PERMANENT ||
         (child->restart == HT_TRANSIENT && is_abnormal(why->kind)))) {
        log_child(sup, HT_LOG_WARN, "HT-SUPERVISOR-RESTART", child,
                  ht_exit_name(why->kind), why->text);
        err = plan_or_give_up(sup, child);
        if (err != HT_OK) {
            return err;
        }
    } else if (child->restart == HT_TEMPORARY) {
        child->forget = true;
    }
    return advance(sup);
}

static ht_err sup_event(ht_actor *self, const ht_event *event)
{
    struct supervisor *sup = ht_state(self);

    if (event->kind == HT_EVENT_TIMER && event->u.timer.timer == sup->timer) {
        sup->timer = 0;
        if (sup->stopping != NULL) {
            ht_kill(ht_actor_node(self), sup->stopping->ref);
        }
    } else if (event->kind == HT_EVENT_EXIT) {
        struct child *child = child_by_ref(sup, event->u.exit.from);

        if (child != NULL) {
            return child_ended(sup, child, &event->u.exit.why);
        }
        if (ht_ref_equal(event->u.exit.from, sup->parent)) {
            ht_stop(ht_actor_node(self), ht_self(self), "its parent ended");
        }
    }
    return HT_OK;
}

/* ---- requests ------------------------------------------------------------ */

static void answer(ht_actor *self, ht_call call, ht_err err)
{
    if (call.id != 0) {
        ht_reply_ok(self, call, &err, sizeof err);
    }
}

static ht_err handle_add(struct supervisor *sup, ht_bytes args, ht_call call)
{
    struct hti_add_request request;
    struct child *child;
    const char *id;

    assert(args.len >= sizeof request);
    memcpy(&request, args.data, sizeof request);
    id = (const char *)args.data + sizeof request;
    if (child_by_id(sup, id) != NULL) {
        answer(sup->self, call, HT_EEXIST);
        return HT_OK;
    }
    child = child_new(&request.spec, id,
                      request.has_name ? id + request.id_len + 1 : NULL);
    if (child == NULL) {
        answer(sup->self, call, HT_ENOMEM);
        return HT_OK;
    }
    child->caller = call;
    child->added = true;
    child->start_due = true;
    TAILQ_INSERT_TAIL(&sup->children, child, entry);
    return advance(sup);
}

static ht_err
handle_remove(struct supervisor *sup, const char *id, ht_call call)
{
    struct child *child = child_by_id(sup, id);

    if (child == NULL || child->forget) {
        answer(sup->self, call, HT_ENOENT);
        return HT_OK;
    }
    /* Whoever waits for its start is told that it will not come. */
    child_answer(sup, child, HT_ECANCELLED);
    child->caller = call;
    child->stop_due = true;
    child->start_due = false;
    child->forget = true;
    return advance(sup);
}

static ht_err sup_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct supervisor *sup = ht_state(self);
    const char *variant = ht_msg_variant(msg);

    if (strcmp(variant, HTI_SUPERVISOR_ADD) == 0) {
        return handle_add(sup, ht_msg_args(msg), call);
    }
    if (strcmp(variant, HTI_SUPERVISOR_REMOVE) == 0) {
        return handle_remove(sup, ht_msg_args(msg).data, call);
    }
    if (call.id != 0) {
        ht_reply_error(self, call, HT_ENOVARIANT, NULL);
    }
    return HT_OK;
}

/* ---- life ---------------------------------------------------------------- */

/* Hand the children to a reaper.  They are unlinked first: otherwise our own
 * exit would end them all at once, in no order. */
static void sup_free(struct supervisor *sup, ht_actor *self)
{
    struct hti_reap *reap;
    struct child *child;
    size_t count = 0;

    TAILQ_FOREACH (child, &sup->children, entry) {
        count += child_runs(child);
    }
    reap = calloc(count + 1, sizeof *reap);
    count = 0;
    TAILQ_FOREACH (child, &sup->children, entry) {
        if (!child_runs(child)) {
            continue;
        }
        ht_unlink(self, child->ref);
        if (reap != NULL) {
            reap[count].ref = child->ref;
            reap[count++].shutdown_ms = child->shutdown_ms;
        } else {
            ht_stop(ht_actor_node(self), child->ref, NULL);
        }
    }
    hti_reap(ht_actor_node(self), reap, count);
    free(reap);
    while ((child = TAILQ_FIRST(&sup->children)) != NULL) {
        TAILQ_REMOVE(&sup->children, child, entry);
        free(child);
    }
    free(sup);
}

static void sup_terminate(ht_actor *self, const ht_exit *why)
{
    (void)why;
    sup_free(ht_state(self), self);
}

struct sup_args {
    const ht_supervisor_spec *spec;
    ht_ref parent;
};

static struct supervisor *sup_new(ht_actor *self, const struct sup_args *args)
{
    const ht_supervisor_spec *spec = args->spec;
    uint32_t intensity =
        spec->intensity != 0 ? spec->intensity : INTENSITY_DEFAULT;
    struct supervisor *sup =
        calloc(1, sizeof *sup + intensity * sizeof sup->restart_ms[0]);

    if (sup == NULL) {
        return NULL;
    }
    sup->self = self;
    sup->parent = args->parent;
    sup->strategy = spec->strategy;
    sup->intensity = intensity;
    sup->period_ms = spec->period_ms != 0 ? spec->period_ms : PERIOD_MS_DEFAULT;
    TAILQ_INIT(&sup->children);
    return sup;
}

static ht_err sup_init(ht_actor *self, void *arg)
{
    const struct sup_args *args = arg;
    struct supervisor *sup = sup_new(self, args);
    ht_err err = HT_OK;

    if (sup == NULL) {
        return HT_ENOMEM;
    }
    for (size_t i = 0; err == HT_OK && i < args->spec->children_count; i++) {
        const ht_child_spec *spec = &args->spec->children[i];
        struct child *child = NULL;

        if (child_by_id(sup, spec->id) != NULL) {
            err = HT_EEXIST;
            break;
        }
        child = child_new(spec, spec->id, spec->opts.name);
        if (child == NULL) {
            err = HT_ENOMEM;
            break;
        }
        TAILQ_INSERT_TAIL(&sup->children, child, entry);
        err = child_start(sup, child);
    }
    if (err != HT_OK) {
        sup_free(sup, self);
        return err;
    }
    ht_set_state(self, sup);
    return HT_OK;
}

ht_err ht_supervisor_start(ht_node *node,
                           const ht_supervisor_spec *spec,
                           ht_ref *ret_ref)
{
    static const ht_behavior behavior = {.init = sup_init,
                                         .handle = sup_handle,
                                         .on_event = sup_event,
                                         .terminate = sup_terminate};
    ht_actor *parent = ht_current();
    struct sup_args args = {spec, {0, 0}};
    ht_spawn_opts opts = {.trap_exit = true, .local_only = true};

    if (spec == NULL || spec->strategy < HT_ONE_FOR_ONE ||
        spec->strategy > HT_REST_FOR_ONE || spec->intensity > INTENSITY_MAX) {
        return HT_EINVAL;
    }
    for (size_t i = 0; i < spec->children_count; i++) {
        if (!hti_child_spec_is_valid(&spec->children[i])) {
            return HT_EINVAL;
        }
    }
    opts.name = spec->name;
    if (parent != NULL && ht_actor_node(parent) == node) {
        opts.link = true;
        args.parent = ht_self(parent);
    }
    return hti_spawn_flagged(node, &behavior, &args, &opts,
                             opts.link ? HTI_ACTOR_NESTED : 0, ret_ref);
}
