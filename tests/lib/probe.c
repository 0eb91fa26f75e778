/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    ht_err (*fn)(ht_actor *self, struct probe *probe, void *arg);
    void *arg;
    ht_err err;
    bool done;
};

#define RUN "probe.run"

static ht_err on_init(ht_actor *self, void *arg)
{
    struct probe *p = arg;

    ht_set_state(self, p);
    ht_trap_exit(self, p->trap_exit);
    return HT_OK;
}

static void run_job(ht_actor *self, struct probe *p, const ht_msg *msg)
{
    struct job *job;

    memcpy(&job, ht_msg_args(msg).data, sizeof job);
    job->err = job->fn(self, p, job->arg);
    job->done = true;
}

static void answer(ht_actor *self, struct probe *p, ht_call call)
{
    if (strcmp(p->variant, "echo") == 0) {
        (void)ht_reply_ok(self, call, p->args, p->args_len);
    } else if (strcmp(p->variant, "fail") == 0) {
        (void)ht_reply_error(self, call, HT_EFAILED, "division by zero");
    } else if (strcmp(p->variant, "hold") == 0) {
        p->held = call;
    } else if (strcmp(p->variant, "large") == 0) {
        size_t len = strtoul(p->args, NULL, 10);
        char *data = calloc(1, len + 1);

        memset(data, 'x', len);
        (void)ht_reply_ok(self, call, data, len);
        free(data);
    } else {
        (void)ht_reply_error(self, call, HT_ENOVARIANT, "");
    }
}

static ht_err on_message(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct probe *p = ht_state(self);
    ht_bytes args = ht_msg_args(msg);
    size_t keep = args.len < sizeof p->args - 1 ? args.len : sizeof p->args - 1;

    if (strcmp(ht_msg_variant(msg), RUN) == 0) {
        run_job(self, p, msg);
        return HT_OK;
    }
    snprintf(p->variant, sizeof p->variant, "%s", ht_msg_variant(msg));
    if (keep > 0) {
        memcpy(p->args, args.data, keep);
    }
    p->args[keep] = '\0';
    p->args_len = args.len < sizeof p->args ? args.len : keep;
    p->from = ht_msg_from(msg);
    if (call.id == 0) {
        p->casts++;
        return HT_OK;
    }
    p->calls++;
    answer(self, p, call);
    return HT_OK;
}

static void on_node(struct probe *p, const ht_event *event)
{
    snprintf(p->node_name, sizeof p->node_name, "%s", event->u.node.name);
    switch (event->u.node.event) {
    case HT_NODE_OPENED:
        p->opened++;
        break;
    case HT_NODE_AUTHENTICATED:
        p->authenticated++;
        break;
    case HT_NODE_READY:
        p->ups++;
        break;
    case HT_NODE_DISCONNECTED:
        p->downs_of_nodes++;
        p->node_reason = event->u.node.reason;
        break;
    }
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct probe *p = ht_state(self);

    switch (event->kind) {
    case HT_EVENT_DOWN:
        p->downs++;
        p->down_kind = event->u.down.why.kind;
        p->down_ref = event->u.down.ref;
        snprintf(p->down_text, sizeof p->down_text, "%s",
                 event->u.down.why.text);
        break;
    case HT_EVENT_EXIT:
        p->exits++;
        p->exit_kind = event->u.exit.why.kind;
        break;
    case HT_EVENT_NODE:
        on_node(p, event);
        break;
    case HT_EVENT_WRITABLE:
        p->writables++;
        break;
    case HT_EVENT_TIMER:
    case HT_EVENT_GROUP:
        break;
    }
    return HT_OK;
}

static void on_terminate(ht_actor *self, const ht_exit *why)
{
    struct probe *p = ht_state(self);

    p->ended = true;
    p->exit_kind = why->kind;
}

static const ht_behavior behavior = {
    .init = on_init,
    .handle = on_message,
    .on_event = on_event,
    .terminate = on_terminate,
};

ht_err probe_spawn(struct pipe_node *node,
                   const char *name,
                   bool local_only,
                   struct probe *probe)
{
    ht_spawn_opts opts = {
        .name = name,
        .local_only = local_only,
        .trap_exit = probe->trap_exit,
    };
    bool trap_exit = probe->trap_exit;

    memset(probe, 0, sizeof *probe);
    probe->trap_exit = trap_exit;
    probe->node = node->node;
    return ht_spawn(node->node, &behavior, probe, &opts, &probe->ref);
}

ht_err probe_run(struct pipe_node *node,
                 struct probe *probe,
                 ht_err (*fn)(ht_actor *self, struct probe *probe, void *arg),
                 void *arg)
{
    struct job job = {fn, arg, HT_EFAILED, false};
    struct job *at = &job;
    ht_err err = ht_cast(node->node, probe->ref, RUN, &at, sizeof at);

    for (unsigned i = 0; err == HT_OK && !job.done && i < 10; i++) {
        (void)hti_sched_turn(node->node, 0, 64);
    }
    return err != HT_OK ? err : job.err;
}

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct probe *p = arg;
    size_t keep =
        reply->len < sizeof p->reply - 1 ? reply->len : sizeof p->reply - 1;

    (void)self;
    p->replies++;
    p->reply_err = reply->err;
    p->reply_len = reply->len;
    snprintf(p->reply_reason, sizeof p->reply_reason, "%s", reply->reason);
    if (keep > 0) {
        memcpy(p->reply, reply->data, keep);
    }
    p->reply[keep] = '\0';
}

struct message {
    ht_ref to;
    const char *node_name, *name, *variant, *args;
    uint32_t timeout_ms;
};

static ht_err do_call(ht_actor *self, struct probe *p, void *arg)
{
    const struct message *m = arg;

    return ht_call_async(self, m->to, m->variant, m->args, strlen(m->args),
                         m->timeout_ms, on_reply, p, &p->call_id);
}

ht_err probe_call(struct pipe_node *node,
                  struct probe *probe,
                  ht_ref to,
                  const char *variant,
                  const char *args,
                  uint32_t timeout_ms)
{
    struct message m = {to, NULL, NULL, variant, args, timeout_ms};

    return probe_run(node, probe, do_call, &m);
}

static ht_err do_call_name(ht_actor *self, struct probe *p, void *arg)
{
    const struct message *m = arg;

    return ht_call_name_async(self, m->node_name, m->name, m->variant, m->args,
                              strlen(m->args), 0, on_reply, p, &p->call_id);
}

ht_err probe_call_name(struct pipe_node *node,
                       struct probe *probe,
                       const char *node_name,
                       const char *name,
                       const char *variant,
                       const char *args)
{
    struct message m = {{0, 0}, node_name, name, variant, args, 0};

    return probe_run(node, probe, do_call_name, &m);
}

static ht_err do_cast(ht_actor *self, struct probe *p, void *arg)
{
    const struct message *m = arg;

    (void)p;
    return ht_cast(ht_actor_node(self), m->to, m->variant, m->args,
                   strlen(m->args));
}

ht_err probe_cast(struct pipe_node *node,
                  struct probe *probe,
                  ht_ref to,
                  const char *variant)
{
    struct message m = {to, NULL, NULL, variant, "", 0};

    return probe_run(node, probe, do_cast, &m);
}

static ht_err do_monitor(ht_actor *self, struct probe *p, void *arg)
{
    return ht_monitor(self, *(const ht_ref *)arg, &p->monitor_id);
}

static ht_err do_demonitor(ht_actor *self, struct probe *p, void *arg)
{
    (void)arg;
    return ht_demonitor(self, p->monitor_id);
}

static ht_err do_link(ht_actor *self, struct probe *p, void *arg)
{
    (void)p;
    return ht_link(self, *(const ht_ref *)arg);
}

static ht_err do_unlink(ht_actor *self, struct probe *p, void *arg)
{
    (void)p;
    return ht_unlink(self, *(const ht_ref *)arg);
}

static ht_err do_watch_nodes(ht_actor *self, struct probe *p, void *arg)
{
    (void)p;
    (void)arg;
    return ht_monitor_nodes(self, true);
}

static ht_err do_notify(ht_actor *self, struct probe *p, void *arg)
{
    (void)p;
    return ht_notify_writable(self, *(const ht_ref *)arg);
}

static ht_err do_reply(ht_actor *self, struct probe *p, void *arg)
{
    (void)arg;
    return ht_reply_ok(self, p->held, "late", 4);
}

ht_err probe_monitor(struct pipe_node *node, struct probe *probe, ht_ref ref)
{
    return probe_run(node, probe, do_monitor, &ref);
}

ht_err probe_demonitor(struct pipe_node *node, struct probe *probe)
{
    return probe_run(node, probe, do_demonitor, NULL);
}

ht_err probe_link(struct pipe_node *node, struct probe *probe, ht_ref ref)
{
    return probe_run(node, probe, do_link, &ref);
}

ht_err probe_unlink(struct pipe_node *node, struct probe *probe, ht_ref ref)
{
    return probe_run(node, probe, do_unlink, &ref);
}

ht_err probe_watch_nodes(struct pipe_node *node, struct probe *probe)
{
    return probe_run(node, probe, do_watch_nodes, NULL);
}

ht_err
probe_notify_writable(struct pipe_node *node, struct probe *probe, ht_ref ref)
{
    return probe_run(node, probe, do_notify, &ref);
}

ht_err probe_reply_held(struct pipe_node *node, struct probe *probe)
{
    return probe_run(node, probe, do_reply, NULL);
}
