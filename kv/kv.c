/* SPDX-License-Identifier: Apache-2.0 */
/* kv.c - hardtack/kv.h, a member: the Raft member and the front before it. */
#include <hardtack/kv.h>
#include <hardtack/node.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kv/front.h"
#include "kv/limits.h"
#include "kv/member.h"

#define BYTES_DEFAULT    ((uint64_t)4 * 1024 * 1024 * 1024)
#define LEASES_DEFAULT   100000u
#define WATCHERS_DEFAULT 4096u

struct ht_kv {
    ht_node *node;
    ht_raft *raft;
    struct hti_kv_member member;
    ht_ref front_ref;
};

static struct hti_kv_member_opts member_opts(const ht_kv_config *config)
{
    return (struct hti_kv_member_opts){
        .state = {.history_max = config->history_max,
                  .history_bytes_max = config->history_bytes_max},
        .bytes_max = config->bytes_max > 0 ? config->bytes_max : BYTES_DEFAULT,
        .leases_max =
            config->leases_max > 0 ? config->leases_max : LEASES_DEFAULT,
        .watchers_max =
            config->watchers_max > 0 ? config->watchers_max : WATCHERS_DEFAULT,
    };
}

static ht_raft_config raft_config(const ht_kv_config *config, const char *store)
{
    return (ht_raft_config){
        .size = sizeof(ht_raft_config),
        .group = store,
        .directory = config->directory,
        .bootstrap = config->bootstrap,
        .heartbeat_ms = config->heartbeat_ms,
        .election_ms = config->election_ms,
        .command_bytes_max = HTI_KV_COMMAND_MAX,
        .segment_bytes = config->segment_bytes,
        .snapshot_after_entries = config->snapshot_after_entries,
        .snapshot_after_bytes = config->snapshot_after_bytes,
        .trailing_entries = config->trailing_entries,
    };
}

/* Made by whoever comes first; ends with its actor. */
static ht_err
make_front(ht_node *node, const struct hti_kv_front_opts *opts, ht_ref *ret_ref)
{
    struct hti_kv_front *front = calloc(1, sizeof(*front));
    ht_err err;

    if (front == NULL) {
        return HT_ENOMEM;
    }
    front->owned = true;
    err = hti_kv_front_start(front, node, opts, ret_ref);
    if (err != HT_OK) {
        free(front);
    }
    return err;
}

ht_err ht_kv_start(ht_node *node, const ht_kv_config *config, ht_kv **ret_kv)
{
    const char *store =
        config != NULL && config->store != NULL ? config->store : "kv";
    struct hti_kv_front_opts front = {.store = store, .member = true};
    struct hti_kv_member_opts opts;
    ht_raft_config raft;
    ht_err err;
    ht_kv *kv;

    if (node == NULL || config == NULL || ret_kv == NULL ||
        (config->size != 0 && config->size != sizeof(*config)) ||
        !hti_kv_store_name_valid(store)) {
        return HT_EINVAL;
    }
    kv = calloc(1, sizeof(*kv));
    if (kv == NULL) {
        return HT_ENOMEM;
    }
    kv->node = node;
    opts = member_opts(config);
    raft = raft_config(config, store);
    front.requests_max = config->requests_max;
    front.timeout_ms = config->request_timeout_ms;
    err = hti_kv_member_init(&kv->member, &opts);
    if (err == HT_OK) {
        err =
            ht_raft_start(node, &raft, &hti_kv_machine, &kv->member, &kv->raft);
    }
    if (err == HT_OK) {
        err = make_front(node, &front, &kv->front_ref);
    }
    if (err != HT_OK) {
        ht_kv_free(kv);
        return err;
    }
    *ret_kv = kv;
    return HT_OK;
}

/* Its name is free when this returns, for a member that is started again. */
static void end_front(ht_kv *kv)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    if (ht_ref_is_none(kv->front_ref)) {
        return;
    }
    (void)ht_stop(kv->node, kv->front_ref, "the store stops");
    while (ht_is_alive(kv->node, kv->front_ref)) {
        /* A single-threaded node's actors end only while it is driven. */
        if (ht_node_poll(kv->node, 1) != HT_OK) {
            (void)nanosleep(&pause, NULL);
        }
    }
}

void ht_kv_free(ht_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    end_front(kv);
    ht_raft_free(kv->raft);
    hti_kv_member_fini(&kv->member);
    free(kv);
}

ht_raft *ht_kv_raft(ht_kv *kv)
{
    return kv->raft;
}

ht_err ht_kv_front(ht_node *node, const char *store, ht_ref *ret_ref)
{
    const char *name = store != NULL ? store : "kv";
    const struct hti_kv_front_opts opts = {.store = name};
    char actor[80];
    ht_err err = HT_OK;
    ht_ref ref;

    if (node == NULL || ret_ref == NULL || !hti_kv_store_name_valid(name)) {
        return HT_EINVAL;
    }
    hti_kv_front_name(name, actor);
    ref = ht_whereis(node, actor);
    if (ht_ref_is_none(ref)) {
        err = make_front(node, &opts, &ref);
        if (err == HT_EEXIST) { /* another thread was faster */
            ref = ht_whereis(node, actor);
            err = ht_ref_is_none(ref) ? HT_ECLOSED : HT_OK;
        }
    }
    if (err == HT_OK) {
        *ret_ref = ref;
    }
    return err;
}
