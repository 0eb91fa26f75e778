/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions that start and end a member, or are called in its
 * turns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "raft/member.h"
#include "raft/tools.h"

static _Thread_local char start_error[1024];

/* All of the process, for ht_raft_each(). */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static ht_raft *all;

const char *ht_raft_start_error(void)
{
    return start_error;
}

void hti_raft_set_error(const char *what, const char *text)
{
    (void)snprintf(start_error, sizeof(start_error), "%s%s%s", what,
                   what[0] != '\0' && text[0] != '\0' ? ": " : "", text);
}

/* ---- settings ---------------------------------------------------------- */

static bool group_valid(const char *group)
{
    size_t len = group != NULL ? strlen(group) : 0;

    return len > 0 && len <= 64 &&
           strspn(group, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789._-") == len;
}

static uint32_t or_default(uint32_t value, uint32_t standard)
{
    return value != 0 ? value : standard;
}

static ht_err take_config(ht_raft *raft, const ht_raft_config *config)
{
    ht_raft_config *own = &raft->config;

    memcpy(own, config,
           config->size != 0 && config->size < sizeof(*own) ? config->size
                                                            : sizeof(*own));
    own->heartbeat_ms = or_default(own->heartbeat_ms, 100);
    own->election_ms = or_default(own->election_ms, 1000);
    own->command_bytes_max = or_default(own->command_bytes_max, 1u << 20);
    own->pending_max = or_default(own->pending_max, 16384);
    own->segment_bytes = or_default(own->segment_bytes, 16u << 20);
    own->snapshot_after_entries =
        or_default(own->snapshot_after_entries, 100000);
    own->snapshot_after_bytes =
        or_default(own->snapshot_after_bytes, 64u << 20);
    own->trailing_entries = or_default(own->trailing_entries, 10000);
    if (!group_valid(own->group)) {
        hti_raft_set_error("group", "1 to 64 of a-z A-Z 0-9 . _ -");
        return HT_EINVAL;
    }
    if (own->directory == NULL || own->directory[0] == '\0') {
        hti_raft_set_error("directory", "is missing");
        return HT_EINVAL;
    }
    if (own->election_ms < 3 * own->heartbeat_ms) {
        hti_raft_set_error("election_ms", "must be 3 heartbeats at least");
        return HT_ECONFIG;
    }
    if (own->command_bytes_max > 8u << 20) {
        hti_raft_set_error("command_bytes_max", "must be 8 MiB at most");
        return HT_ECONFIG;
    }
    if (own->segment_bytes < 64u << 10 || own->segment_bytes > 1u << 30) {
        hti_raft_set_error("segment_bytes", "must be 64 KiB to 1 GiB");
        return HT_ECONFIG;
    }
    (void)snprintf(raft->group, sizeof(raft->group), "%s", own->group);
    (void)snprintf(raft->name, sizeof(raft->name), "hardtack.raft.%s",
                   raft->group);
    raft->directory = strdup(own->directory);
    own->group = raft->group;
    own->directory = raft->directory;
    return raft->directory != NULL ? HT_OK : HT_ENOMEM;
}

static bool table_valid(const ht_raft_machine *table)
{
    return table != NULL && table->apply != NULL &&
           table->snapshot_open != NULL && table->snapshot_read != NULL &&
           table->snapshot_close != NULL && table->restore != NULL;
}

ht_err hti_raft_draw_id(uint64_t *ret_id)
{
    do {
        if (getrandom(ret_id, sizeof(*ret_id), 0) != (ssize_t)sizeof(*ret_id)) {
            return HT_EIO;
        }
    } while (*ret_id == 0);
    return HT_OK;
}

/* ---- life -------------------------------------------------------------- */

static ht_err open_directory(ht_raft *raft)
{
    const ht_raft_config *config = &raft->config;
    uint64_t id = 0;
    uint64_t group = 0;
    char text[256] = "";
    ht_err err = hti_disk_open(raft->directory, true, true, &raft->disk);

    if (err != HT_OK) {
        hti_raft_set_error(raft->directory,
                           err == HT_EEXIST
                               ? "is in use by another member or process"
                               : ht_strerror(err));
        return err;
    }
    err = hti_store_exists(&raft->disk, text, sizeof(text));
    if (err == HT_ENOENT) {
        err = hti_raft_draw_id(&id);
        if (err == HT_OK && config->bootstrap) {
            err = hti_raft_draw_id(&group);
        }
        if (err == HT_OK) {
            err = hti_store_create(&raft->disk, id, group,
                                   ht_node_name(raft->node),
                                   config->segment_bytes);
        }
    }
    if (err == HT_OK) {
        err = hti_member_open(raft, text, sizeof(text));
    }
    if (err != HT_OK) {
        char what[512];

        (void)snprintf(what, sizeof(what), "%s: %s", raft->directory,
                       ht_strerror(err));
        hti_raft_set_error(what, text);
    }
    return err;
}

static void free_raft(ht_raft *raft)
{
    hti_member_close(raft);
    hti_disk_close(&raft->disk);
    (void)pthread_mutex_destroy(&raft->lock);
    free(raft->directory);
    free(raft);
}

static ht_err start_actor(ht_raft *raft)
{
    ht_child_spec child = {
        .id = "member",
        .behavior = &hti_member_behavior,
        .arg = raft,
        /* Heartbeats share the mailbox with what clients send. */
        .opts = {.name = raft->name,
                 .mailbox_messages_max = 262144,
                 .mailbox_bytes_max = 256u << 20},
        .restart = HT_PERMANENT,
    };
    ht_supervisor_spec spec = {.children = &child, .children_count = 1};

    return ht_supervisor_start(raft->node, &spec, &raft->supervisor);
}

ht_err ht_raft_start(ht_node *node,
                     const ht_raft_config *config,
                     const ht_raft_machine *table,
                     void *machine,
                     ht_raft **ret_raft)
{
    ht_raft *raft;
    ht_err err;

    start_error[0] = '\0';
    if (node == NULL || config == NULL || !table_valid(table) ||
        ret_raft == NULL || ht_current() != NULL) {
        hti_raft_set_error("", "a required argument is missing");
        return HT_EINVAL;
    }
    raft = calloc(1, sizeof(*raft));
    if (raft == NULL) {
        return HT_ENOMEM;
    }
    raft->node = node;
    raft->table = table;
    raft->machine = machine;
    (void)pthread_mutex_init(&raft->lock, NULL);
    err = take_config(raft, config);
    if (err == HT_OK) {
        err = open_directory(raft);
    }
    if (err == HT_OK) {
        err = start_actor(raft);
        if (err != HT_OK) {
            hti_raft_set_error(raft->name, raft->failed[0] != '\0'
                                               ? raft->failed
                                               : ht_strerror(err));
        }
    }
    if (err != HT_OK) {
        free_raft(raft);
        return err;
    }
    (void)pthread_mutex_lock(&all_lock);
    raft->next = all;
    all = raft;
    (void)pthread_mutex_unlock(&all_lock);
    *ret_raft = raft;
    return HT_OK;
}

static void forget(ht_raft *raft)
{
    (void)pthread_mutex_lock(&all_lock);
    for (ht_raft **at = &all; *at != NULL; at = &(*at)->next) {
        if (*at == raft) {
            *at = raft->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&all_lock);
}

/* The supervisor too: it may be about to start the actor again. */
static bool has_ended(ht_raft *raft)
{
    bool alive;

    (void)pthread_mutex_lock(&raft->lock);
    alive = raft->alive;
    (void)pthread_mutex_unlock(&raft->lock);
    return !alive && !ht_is_alive(raft->node, raft->supervisor);
}

/* A single-threaded node's actors end only while it is driven. */
static void wait_ended(ht_raft *raft)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    while (!has_ended(raft)) {
        if (ht_node_poll(raft->node, 1) != HT_OK) {
            (void)nanosleep(&pause, NULL);
        }
    }
}

void ht_raft_free(ht_raft *raft)
{
    if (raft == NULL) {
        return;
    }
    forget(raft);
    (void)pthread_mutex_lock(&raft->lock);
    raft->closing = true;
    (void)pthread_mutex_unlock(&raft->lock);
    (void)ht_stop(raft->node, raft->supervisor, "the member is stopped");
    wait_ended(raft);
    free_raft(raft);
}

void ht_raft_each(ht_node *node,
                  void (*fn)(ht_raft *raft, void *arg),
                  void *arg)
{
    (void)pthread_mutex_lock(&all_lock);
    for (ht_raft *raft = all; raft != NULL; raft = raft->next) {
        if (raft->node == node) {
            fn(raft, arg);
        }
    }
    (void)pthread_mutex_unlock(&all_lock);
}

ht_ref ht_raft_ref(ht_raft *raft)
{
    return ht_whereis(raft->node, raft->name);
}

ht_node *ht_raft_node(ht_raft *raft)
{
    return raft->node;
}

const char *ht_raft_group(const ht_raft *raft)
{
    return raft->group;
}

/* ---- in a turn --------------------------------------------------------- */

static bool in_turn(const ht_raft *raft)
{
    ht_actor *self = ht_current();

    /* First what other threads may look at. */
    return self != NULL && ht_state(self) == raft && raft->self == self &&
           raft->core != NULL;
}

void ht_raft_status_get(ht_raft *raft, ht_raft_status *ret_status)
{
    if (in_turn(raft)) {
        hti_member_publish(raft);
    }
    (void)pthread_mutex_lock(&raft->lock);
    *ret_status = raft->status;
    (void)snprintf(ret_status->failed, sizeof(ret_status->failed), "%s",
                   raft->broken ? raft->failed : "");
    (void)pthread_mutex_unlock(&raft->lock);
}

ht_err ht_raft_propose(ht_raft *raft,
                       ht_bytes command,
                       ht_raft_done_fn done,
                       void *arg)
{
    ht_err err;

    if (!in_turn(raft) || (command.data == NULL && command.len > 0)) {
        return HT_EINVAL;
    }
    err = hti_core_propose(raft->core, hti_member_now(), command, done, arg);
    if (err == HT_OK) {
        hti_member_owe_flush(raft);
    }
    return err;
}

ht_err ht_raft_read(ht_raft *raft, ht_raft_ready_fn ready, void *arg)
{
    ht_err err;

    if (!in_turn(raft) || ready == NULL) {
        return HT_EINVAL;
    }
    err = hti_core_read(raft->core, ready, arg);
    if (err == HT_OK) {
        hti_member_owe_flush(raft);
    }
    return err;
}

bool ht_raft_leads(const ht_raft *raft)
{
    return raft->core != NULL && hti_core_leads(raft->core);
}

const char *ht_raft_leader(const ht_raft *raft, ht_ref *ret_ref)
{
    uint64_t id = 0;
    const char *node =
        raft->core != NULL ? hti_core_leader(raft->core, &id) : "";

    *ret_ref = (ht_ref){0};
    for (size_t i = 0; id != 0 && i < HT_RAFT_MEMBERS_MAX; i++) {
        if (raft->peers[i].id == id) {
            *ret_ref = raft->peers[i].ref;
        }
    }
    if (id != 0 && raft->self != NULL && id == hti_core_id(raft->core)) {
        *ret_ref = ht_self(raft->self);
    }
    return node;
}

static ht_err owed(ht_raft *raft, ht_err err)
{
    if (err == HT_OK) {
        hti_member_owe_flush(raft);
    }
    return err;
}

ht_err ht_raft_add(ht_raft *raft,
                   const char *node_name,
                   bool voter,
                   ht_raft_change_fn done,
                   void *arg)
{
    return in_turn(raft) ? owed(raft, hti_core_add(raft->core, node_name, voter,
                                                   done, arg))
                         : HT_EINVAL;
}

ht_err ht_raft_remove(ht_raft *raft,
                      const char *node_name,
                      ht_raft_change_fn done,
                      void *arg)
{
    return in_turn(raft)
               ? owed(raft, hti_core_remove(raft->core, node_name, done, arg))
               : HT_EINVAL;
}

ht_err ht_raft_transfer(ht_raft *raft,
                        const char *node_name,
                        ht_raft_change_fn done,
                        void *arg)
{
    return in_turn(raft)
               ? owed(raft, hti_core_transfer(raft->core, node_name, done, arg))
               : HT_EINVAL;
}

ht_err ht_raft_snapshot(ht_raft *raft, ht_raft_change_fn done, void *arg)
{
    return in_turn(raft) ? owed(raft, hti_core_snapshot(raft->core, done, arg))
                         : HT_EINVAL;
}
