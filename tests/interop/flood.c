/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/interop/flood.h"

#include <stdlib.h>
#include <string.h>

#include "tests/interop/report.h"

struct flood {
    ht_ref to;
    uint64_t next;
    uint64_t count;
    char id[];
};

static ht_err flood_go(ht_actor *self)
{
    struct flood *flood = ht_state(self);
    ht_err err = HT_OK;

    while (flood->next < flood->count) {
        ht_args args = HT_ARGS_INIT;

        ht_args_u64(&args, flood->next);
        err = ht_args_cast(ht_actor_node(self), flood->to, "Seq", &args);
        if (err == HT_EBUSY) {
            return ht_notify_writable(self, flood->to);
        }
        if (err) {
            report_error(flood->id, ht_strerror(err));
            return err;
        }
        flood->next++;
    }
    report_value(flood->id, json_string("sent"));
    return ht_stop(ht_actor_node(self), ht_self(self), NULL);
}

static ht_err flood_init(ht_actor *self, void *arg)
{
    ht_set_state(self, arg);
    return HT_OK;
}

static ht_err flood_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)msg;
    (void)call;
    return flood_go(self);
}

static ht_err flood_on_event(ht_actor *self, const ht_event *event)
{
    return event->kind == HT_EVENT_WRITABLE ? flood_go(self) : HT_OK;
}

static void flood_terminate(ht_actor *self, const ht_exit *why)
{
    (void)why;
    free(ht_state(self));
}

void start_flood(ht_node *node, ht_ref to, const char *id, uint64_t count)
{
    static const ht_behavior behavior = {flood_init, flood_handle,
                                         flood_on_event, flood_terminate};
    struct flood *flood = calloc(1, sizeof(*flood) + strlen(id) + 1);
    ht_ref self;
    ht_err err;

    if (flood == NULL) {
        abort();
    }
    memcpy(flood->id, id, strlen(id) + 1);
    flood->to = to;
    flood->count = count;
    err = ht_spawn(node, &behavior, flood, NULL, &self);
    if (err) {
        free(flood);
    } else {
        err = ht_cast(node, self, "go", NULL, 0);
    }
    if (err) {
        report_error(id, ht_strerror(err));
    }
}
