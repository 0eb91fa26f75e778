/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - looking into the runtime: actors, counts, whether it is idle. */
#include <stdarg.h>

#include "actor/directory.h"
#include "actor/internal.h"
#include "actor/pool.h"

static uint64_t read_u64(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

static uint32_t slots(const ht_node *node)
{
    return atomic_load_explicit(&node->slots_count, memory_order_acquire);
}

void ht_actor_each(ht_node *node,
                   void (*fn)(const ht_actor_info *info, void *arg),
                   void *arg)
{
    for (uint32_t i = 1; i <= slots(node); i++) {
        const ht_actor *a = hti_slot_at(node, i);
        uint64_t pid = atomic_load_explicit(&a->pid, memory_order_acquire);
        uint64_t load = read_u64(&a->load);
        char name[HTI_NAME_BYTES_MAX + 1];
        ht_actor_info info = {
            .ref = {.node = node->local_handle, .pid = pid},
            .mailbox_messages = HTI_LOAD_MESSAGES(load),
            .mailbox_bytes = HTI_LOAD_BYTES(load),
            .handled = read_u64(&a->handled),
            .dropped = read_u64(&a->dropped),
        };

        if (pid == 0) {
            continue;
        }
        info.name = hti_directory_name(node->directory, pid, name);
        fn(&info, arg);
    }
}

bool hti_rt_is_quiet(ht_node *node)
{
    return atomic_load(&node->actors) == 0;
}

static bool slot_is_idle(const ht_actor *a)
{
    return HTI_LOAD_MESSAGES(atomic_load(&a->load)) == 0 &&
           atomic_load(&a->answers_open) == 0 &&
           atomic_load(&a->run_state) == HTI_RUN_IDLE;
}

bool hti_rt_is_idle(ht_node *node)
{
    for (uint32_t i = 1; i <= slots(node); i++) {
        if (!slot_is_idle(hti_slot_at(node, i))) {
            return false;
        }
    }
    return true;
}

void hti_rt_stats(ht_node *node, struct hti_rt_stats *ret_stats)
{
    struct hti_rt_stats stats = {
        .actors = read_u64(&node->actors),
        .dropped = read_u64(&node->dropped),
        .wakes = read_u64(&node->wakes),
        .calls = hti_flights_pending(node),
        .jobs_refused = hti_pool_refused(node->pool),
    };

    for (unsigned i = 0; i < node->scheds_count; i++) {
        const struct hti_sched *s = &node->scheds[i];

        stats.runnable += atomic_load(&s->queued);
        stats.handled += read_u64(&s->handled);
        stats.timers += read_u64(&s->timers);
        stats.steals += read_u64(&s->steals);
    }
    *ret_stats = stats;
}

void ht_node_stats(ht_node *node, ht_stats *ret_stats)
{
    struct hti_rt_stats stats;

    hti_rt_stats(node, &stats);
    *ret_stats = (ht_stats){
        .actors = stats.actors,
        .runnable = stats.runnable,
        .handled = stats.handled,
        .dropped = stats.dropped,
        .timers = stats.timers,
        .calls = stats.calls,
        .jobs_refused = stats.jobs_refused,
    };
}

uint32_t ht_node_schedulers(const ht_node *node)
{
    return node->scheds_count;
}

void ht_node_log(
    ht_node *node, ht_log_level level, const char *id, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    hti_log_v(&node->log, level, id, format, args);
    va_end(args);
}
