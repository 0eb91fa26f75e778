/* SPDX-License-Identifier: Apache-2.0 */
/* tracer.c - see tracer.h. */
#include "tests/lib/tracer.h"

#include <stdarg.h>

#include "actor/internal.h"
#include "tests/lib/check.h"

void tracer_note(struct tracer *tracer, const char *format, ...)
{
    size_t len = strlen(tracer->trace);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(tracer->trace + len, sizeof(tracer->trace) - len, format,
                    args);
    va_end(args);
}

void tracer_check_(struct tracer *tracer,
                   const char *want,
                   const char *file,
                   int line)
{
    if (strcmp(tracer->trace, want) != 0) {
        print_error("trace is  \"%s\"\nexpected  \"%s\"\n", tracer->trace,
                    want);
        _fail(file, line);
    }
    tracer->trace[0] = '\0';
}

static ht_err tracer_init(ht_actor *self, void *arg)
{
    struct tracer *tracer = arg;

    ht_set_state(self, tracer);
    return tracer->init_err;
}

static ht_err tracer_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct tracer *tracer = ht_state(self);
    ht_bytes args = ht_msg_args(msg);

    tracer_note(tracer, "%s%s(%.*s) ", call.id != 0 ? "?" : "",
                ht_msg_variant(msg), (int)(args.len < 64 ? args.len : 64),
                args.len > 0 ? (const char *)args.data : "");
    tracer->from = ht_msg_from(msg);
    if (call.id != 0 && tracer->echo) {
        (void)ht_reply_ok(self, call, args.data, args.len);
    } else if (call.id != 0 && tracer->calls_count < TRACER_CALLS_MAX) {
        tracer->calls[tracer->calls_count++] = call;
    }
    return tracer->ret;
}

static ht_err tracer_on_event(ht_actor *self, const ht_event *event)
{
    struct tracer *tracer = ht_state(self);
    const ht_exit *why;

    switch (event->kind) {
    case HT_EVENT_DOWN:
        why = &event->u.down.why;
        tracer_note(tracer, "down(%s:%s) ", ht_exit_name(why->kind), why->text);
        break;
    case HT_EVENT_EXIT:
        why = &event->u.exit.why;
        tracer_note(tracer, "exit(%s:%s) ", ht_exit_name(why->kind), why->text);
        break;
    case HT_EVENT_TIMER:
        tracer_note(
            tracer, "timer(%s) ",
            event->u.timer.arg != NULL ? (const char *)event->u.timer.arg : "");
        break;
    case HT_EVENT_GROUP:
        tracer_note(tracer, "group(%s) ", event->u.group.group);
        break;
    case HT_EVENT_NODE:
        tracer_note(tracer, "node(%s) ", event->u.node.name);
        break;
    case HT_EVENT_WRITABLE:
        tracer_note(tracer, "writable ");
        break;
    }
    return tracer->ret;
}

static void tracer_terminate(ht_actor *self, const ht_exit *why)
{
    struct tracer *tracer = ht_state(self);

    tracer_note(tracer, "end(%s:%s) ", ht_exit_name(why->kind), why->text);
    if (tracer->on_terminate != NULL) {
        tracer->on_terminate(self, tracer);
    }
}

const ht_behavior tracer_behavior = {
    .init = tracer_init,
    .handle = tracer_handle,
    .on_event = tracer_on_event,
    .terminate = tracer_terminate,
};

ht_ref
tracer_spawn(ht_node *node, struct tracer *tracer, const ht_spawn_opts *o)
{
    CHECK_OK(ht_spawn(node, &tracer_behavior, tracer, o, &tracer->ref));
    return tracer->ref;
}

struct step {
    struct hti_done_item item;
    void (*fn)(ht_actor *self, void *arg);
    void *arg;
};

static void step_run(ht_actor *self, struct hti_item *item)
{
    struct step *step = (struct step *)(void *)item;

    step->fn(self, step->arg);
}

static void step_release(struct hti_item *item)
{
    free(item);
}

void tracer_do(ht_node *node,
               struct tracer *tracer,
               void (*fn)(ht_actor *self, void *arg),
               const void *arg)
{
    struct step *step = calloc(1, sizeof(*step));

    CHECK(step != NULL);
    step->item.item.kind = HTI_ITEM_DONE;
    step->item.run = step_run;
    step->item.release = step_release;
    step->fn = fn;
    step->arg = (void *)(uintptr_t)arg;
    (void)hti_post(node, tracer->ref.pid, &step->item.item);
}

void tracer_on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    (void)self;
    tracer_note(arg, "reply(%s:%.*s%s) ", ht_errname(reply->err),
                (int)(reply->len < 64 ? reply->len : 64),
                reply->len > 0 ? (const char *)reply->data : "", reply->reason);
}
