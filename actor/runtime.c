/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.c - the node: made, stopped, freed, and what is known of it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actor/directory.h"
#include "actor/internal.h"
#include "actor/pool.h"

#define MAILBOX_MESSAGES_DEFAULT 4096
#define MAILBOX_BYTES_DEFAULT    (1024 * 1024)
#define TURN_AT_END              1024

static void node_init(ht_node *node, const struct hti_rt_config *config)
{
    node->scheds_count = config->scheds;
    node->single_threaded = config->single_threaded;
    node->mailbox_messages_max = config->mailbox_messages_max != 0
                                     ? config->mailbox_messages_max
                                     : MAILBOX_MESSAGES_DEFAULT;
    node->mailbox_bytes_max = config->mailbox_bytes_max != 0
                                  ? config->mailbox_bytes_max
                                  : MAILBOX_BYTES_DEFAULT;
    node->local_handle = config->local_handle;
    memcpy(node->instance, config->instance, sizeof(node->instance));
    node->log = config->log;
    node->host = config->host;
    node->host_arg = config->host_arg;
    node->host->random(node->host_arg, &node->hash_key, sizeof(node->hash_key));
    atomic_init(&node->number_next, 1);
    STAILQ_INIT(&node->free_slots);
    for (unsigned i = 0; i < HTI_RELATION_BUCKETS; i++) {
        LIST_INIT(&node->remote_ends[i]);
        LIST_INIT(&node->by_key[i]);
    }
    pthread_mutex_init(&node->lock, NULL);
    pthread_mutex_init(&node->threads_lock, NULL);
}

static bool config_is_valid(const struct hti_rt_config *config)
{
    return config->name != NULL && config->host != NULL &&
           config->scheds >= 1 && config->scheds <= HTI_SCHEDS_MAX &&
           (!config->single_threaded || config->scheds == 1) &&
           config->local_handle != 0;
}

ht_err hti_rt_new(const struct hti_rt_config *config, ht_node **ret_node)
{
    ht_node *node;
    ht_err err = HT_ENOMEM;

    if (!config_is_valid(config)) {
        return HT_EINVAL;
    }
    node = hti_zalloc(sizeof(*node));
    if (node == NULL) {
        return HT_ENOMEM;
    }
    node_init(node, config);
    node->name = hti_alloc(strlen(config->name) + 1);
    node->slots = calloc(HTI_SLOT_CHUNKS_MAX, sizeof(*node->slots));
    if (node->name == NULL || node->slots == NULL) {
        goto fail;
    }
    memcpy(node->name, config->name, strlen(config->name) + 1);
    err = hti_scheds_new(node);
    if (err == HT_OK) {
        err = hti_flights_new(node);
    }
    if (err == HT_OK) {
        err = hti_directory_new(node, &node->directory);
    }
    if (err == HT_OK) {
        err = hti_pool_new(node, config->pool_threads,
                           config->host->pool_inline, &node->pool);
    }
    if (err != HT_OK) {
        goto fail;
    }
    /* Until a scheduler is entered, whoever made the node drives it. */
    if (node->single_threaded) {
        atomic_store(&node->owner, (uintptr_t)&hti_thread);
    }
    *ret_node = node;
    return HT_OK;

fail:
    hti_rt_free(node);
    return err;
}

void hti_rt_refuse(ht_node *node)
{
    atomic_store(&node->refusing, true);
}

/* Whether it ends without being told, in its turn and its time: a supervisor's
 * child, a reaper, and a supervisor whose parent will end. */
static bool is_ended_by_others(ht_node *node, const ht_actor *a, uint64_t pid)
{
    uint32_t flags = hti_actor_flags(node, pid);
    ht_ref self = {node->local_handle, pid};
    ht_ref parent = {node->local_handle, 0};
    bool linked = false;

    if ((flags & HTI_ACTOR_NESTED) == 0) {
        return (flags & (HTI_ACTOR_CHILD | HTI_ACTOR_REAPER)) != 0;
    }
    /* It waits for news of its parent only as long as it is linked to it. */
    pthread_mutex_lock(&node->lock);
    if (hti_actor_find(node, pid) == a) {
        parent.pid = a->parent;
        linked = hti_actor_find(node, parent.pid) != NULL &&
                 hti_relation_find_link(node, self, parent) != NULL;
    }
    pthread_mutex_unlock(&node->lock);
    return linked;
}

void hti_rt_stop(ht_node *node)
{
    uint32_t count;
    bool again;

    pthread_mutex_lock(&node->lock);
    again = atomic_exchange(&node->stopping, true);
    pthread_mutex_unlock(&node->lock);
    /* Nothing is published after this, but reapers: what is counted now is all
     * there is. */
    count = atomic_load_explicit(&node->slots_count, memory_order_acquire);
    for (uint32_t i = 1; i <= count; i++) {
        ht_actor *a = hti_slot_at(node, i);
        uint64_t pid = atomic_load_explicit(&a->pid, memory_order_acquire);

        if (pid != 0 && (again || !is_ended_by_others(node, a, pid))) {
            (void)hti_actor_control(node, pid, HTI_CONTROL_STOP,
                                    HT_EXIT_SHUTDOWN, "node is stopping");
        }
    }
}

void hti_rt_stop_pool(ht_node *node)
{
    hti_pool_stop(node->pool);
}

/* The schedulers' threads are gone: end whoever is left, here. */
static void finish_actors(ht_node *node)
{
    while (!hti_rt_is_quiet(node)) {
        hti_rt_stop(node);
        for (unsigned i = 0; i < node->scheds_count; i++) {
            (void)hti_sched_turn(node, i, TURN_AT_END);
        }
    }
}

/* What was pushed to slots after their actors had ended. */
static void bounce_all(ht_node *node)
{
    uint32_t count =
        atomic_load_explicit(&node->slots_count, memory_order_acquire);

    for (uint32_t i = 1; i <= count; i++) {
        hti_mailbox_bounce(hti_slot_at(node, i));
    }
}

void hti_rt_free(ht_node *node)
{
    if (node == NULL) {
        return;
    }
    if (node->pool != NULL) {
        finish_actors(node);
    }
    hti_pool_free(node->pool);
    if (node->slots != NULL) {
        bounce_all(node);
    }
    hti_directory_free(node->directory);
    hti_scheds_free(node);
    hti_flights_free(node);
    hti_slots_free(node);
    hti_free(node->node_watchers);
    hti_free(node->name);
    pthread_mutex_destroy(&node->threads_lock);
    pthread_mutex_destroy(&node->lock);
    hti_free(node);
}

/* ---- what is known of it ----------------------------------------------------
 */

void hti_rt_set_remote(ht_node *node,
                       const struct hti_remote_ops *ops,
                       void *arg)
{
    node->remote = ops;
    node->remote_arg = arg;
}

void hti_rt_set_slot(ht_node *node, enum hti_slot slot, void *value)
{
    node->slots_above[slot] = value;
}

void *hti_rt_slot(const ht_node *node, enum hti_slot slot)
{
    return node->slots_above[slot];
}

struct hti_log *hti_rt_log(ht_node *node)
{
    return &node->log;
}

uint64_t hti_rt_now_ns(ht_node *node)
{
    return hti_now(node);
}

void hti_rt_random(ht_node *node, void *buf, size_t len)
{
    node->host->random(node->host_arg, buf, len);
}

uint64_t hti_rt_local_handle(const ht_node *node)
{
    return node->local_handle;
}

const char *hti_rt_name(const ht_node *node)
{
    return node->name;
}

ht_err hti_rt_ref_out(ht_node *node, ht_ref ref, uint8_t ret_instance[16])
{
    if (ref.node == 0) {
        return HT_EINVAL;
    }
    if (ref.node == node->local_handle) {
        memcpy(ret_instance, node->instance, sizeof(node->instance));
        return HT_OK;
    }
    return node->remote != NULL ? node->remote->node_instance(
                                      node->remote_arg, ref.node, ret_instance)
                                : HT_EINVAL;
}

ht_err hti_rt_ref_in(ht_node *node,
                     const uint8_t instance[16],
                     uint64_t pid,
                     ht_ref *ret_ref)
{
    uint64_t handle;

    if (memcmp(instance, node->instance, sizeof(node->instance)) == 0) {
        *ret_ref = (ht_ref){.node = node->local_handle, .pid = pid};
        return HT_OK;
    }
    if (node->remote == NULL) {
        return HT_EINVAL;
    }
    handle = node->remote->node_of_instance(node->remote_arg, instance);
    if (handle == 0) {
        return HT_ENOMEM;
    }
    *ret_ref = (ht_ref){.node = handle, .pid = pid};
    return HT_OK;
}
