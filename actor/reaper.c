/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/reaper.h"

#include <stdlib.h>
#include <string.h>

#include "actor/internal.h"

/* HT_ENOPROC: it has ended, which is what we want. */
static void stop(ht_node *node, ht_ref ref)
{
    hti_actor_control(node, ref.pid, HTI_CONTROL_STOP, HT_EXIT_SHUTDOWN,
                      "its supervisor ended");
}

struct reaper {
    size_t left; /* children[left - 1] is being stopped */
    uint64_t monitor;
    uint64_t timer; /* 0: none */
    struct hti_reap children[];
};

/* Stop the last that is left.  On an error nobody would tell of its end. */
static ht_err reap_last(ht_actor *self, struct reaper *reaper)
{
    const struct hti_reap *child = &reaper->children[reaper->left - 1];
    ht_node *node = ht_actor_node(self);
    ht_err err = ht_monitor(self, child->ref, &reaper->monitor);

    if (err != HT_OK) {
        return err;
    }
    stop(node, child->ref);
    if (child->shutdown_ms != HT_INFINITE &&
        ht_timer_start(self, child->shutdown_ms, 0, NULL, &reaper->timer) !=
            HT_OK) {
        ht_kill(node, child->ref);
    }
    return HT_OK;
}

static ht_err reaper_init(ht_actor *self, void *arg)
{
    ht_set_state(self, arg);
    return reap_last(self, arg);
}

static ht_err reaper_event(ht_actor *self, const ht_event *event)
{
    struct reaper *reaper = ht_state(self);

    if (reaper->left == 0) {
        return HT_OK;
    }
    if (event->kind == HT_EVENT_TIMER &&
        event->u.timer.timer == reaper->timer) {
        reaper->timer = 0;
        ht_kill(ht_actor_node(self), reaper->children[reaper->left - 1].ref);
    } else if (event->kind == HT_EVENT_DOWN &&
               event->u.down.monitor == reaper->monitor) {
        if (reaper->timer != 0) {
            ht_timer_cancel(self, reaper->timer);
            reaper->timer = 0;
        }
        reaper->left--;
        if (reaper->left > 0) {
            return reap_last(self, reaper);
        }
        ht_stop(ht_actor_node(self), ht_self(self), NULL);
    }
    return HT_OK;
}

static void reaper_terminate(ht_actor *self, const ht_exit *why)
{
    struct reaper *reaper = ht_state(self);

    (void)why;
    /* Ended before its time, by an error or a node that will not wait: so are
     * they. */
    while (reaper->left > 0) {
        stop(ht_actor_node(self), reaper->children[--reaper->left].ref);
    }
    free(reaper);
}

void hti_reap(ht_node *node, const struct hti_reap *children, size_t count)
{
    static const ht_behavior behavior = {.init = reaper_init,
                                         .on_event = reaper_event,
                                         .terminate = reaper_terminate};
    const ht_spawn_opts opts = {.local_only = true};
    struct reaper *reaper;
    ht_ref ref;

    if (count == 0) {
        return;
    }
    reaper = calloc(1, sizeof *reaper + count * sizeof *children);
    if (reaper != NULL) {
        reaper->left = count;
        memcpy(reaper->children, children, count * sizeof *children);
        if (hti_spawn_flagged(node, &behavior, reaper, &opts, HTI_ACTOR_REAPER,
                              &ref) == HT_OK) {
            return;
        }
        free(reaper);
    }
    while (count > 0) {
        stop(node, children[--count].ref);
    }
}
