/* SPDX-License-Identifier: Apache-2.0 */
/* slow_plugin - an untyped actor, "slow", for tests of whole programs:
 *
 *   Slow  answers "done" after the plugin's argument, in milliseconds
 *   Echo  answers with its argument block
 */
#include <hardtack/plugin.h>

#include <stdlib.h>

static uint32_t delay_ms;

static ht_err slow_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    const char *variant = ht_msg_variant(msg);
    uint64_t *waiting;
    uint64_t timer;

    if (call.id == 0) {
        return HT_OK;
    }
    if (variant[0] == 'E') {
        ht_bytes args = ht_msg_args(msg);
        return ht_reply_ok(self, call, args.data, args.len);
    }
    waiting = malloc(sizeof(*waiting));
    if (waiting == NULL) {
        return HT_ENOMEM;
    }
    *waiting = call.id;
    return ht_timer_start(self, delay_ms, 0, waiting, &timer);
}

static ht_err slow_on_event(ht_actor *self, const ht_event *event)
{
    if (event->kind == HT_EVENT_TIMER) {
        uint64_t *waiting = event->u.timer.arg;
        ht_call call = {*waiting};

        free(waiting);
        (void)ht_reply_ok(self, call, "done", 4);
    }
    return HT_OK;
}

static ht_err slow_start(ht_node *node, const char *args)
{
    static const ht_behavior behavior = {.handle = slow_handle,
                                         .on_event = slow_on_event};
    ht_spawn_opts opts = {.name = "slow"};
    ht_ref ref;

    delay_ms = (uint32_t)strtoul(args, NULL, 10);
    return ht_spawn(node, &behavior, NULL, &opts, &ref);
}

HT_PLUGIN = {HT_PLUGIN_ABI, "slow", slow_start, NULL};
