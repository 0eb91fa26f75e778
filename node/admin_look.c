/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin_look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/runtime.h"
#include "node/admin.h"
#include "node/admin_describe.h"
#include "node/admin_list.h"

/* Asked for in one look. */
#define NAMES_MAX 16

/* ---- status -------------------------------------------------------------- */

Hardtack__Admin__StatusReply *hti_admin_status(ht_node *node,
                                               uint64_t started_ns)
{
    Hardtack__Admin__StatusReply *out = malloc(sizeof(*out));
    ht_strangers strangers;
    ht_stats stats;

    if (out == NULL) {
        return NULL;
    }
    hardtack__admin__status_reply__init(out);
    ht_node_stats(node, &stats);
    out->name = hti_admin_string(ht_node_name(node));
    out->version = hti_admin_string(ht_version());
    out->incarnation = ht_node_incarnation(node);
    out->port = (uint32_t)ht_node_port(node);
    out->uptime_ms = (hti_rt_now_ns(node) - started_ns) / 1000000u;
    out->pid = (uint64_t)getpid();
    out->actors = stats.actors;
    out->handled = stats.handled;
    out->dropped = stats.dropped;
    out->runnable = stats.runnable;
    out->timers = stats.timers;
    out->calls = stats.calls;
    out->jobs_refused = stats.jobs_refused;
    ht_node_strangers(node, &strangers);
    out->strangers_waiting = strangers.waiting;
    out->strangers_evicted = strangers.evicted;
    out->strangers_barred = strangers.barred;
    out->groups = hti_admin_count_groups(node);
    hti_admin_count_nodes(node, &out->nodes, &out->nodes_ready);
    if (out->name == NULL || out->version == NULL) {
        hti_admin_message_free(out);
        return NULL;
    }
    return out;
}

/* ---- the first actors ---------------------------------------------------- */

struct row {
    ht_actor_info info;
    char name[256];
};

/* The rows with the most of something, the most first. */
struct top {
    struct row *rows;
    size_t count, max;
};

struct walk {
    struct top by_mailbox, by_handled;
    uint64_t messages, bytes;
};

/* What a list goes by. */
static uint64_t rank(const ht_actor_info *info, bool by_handled)
{
    return by_handled ? info->handled : info->mailbox_messages;
}

static void top_add(struct top *top, const ht_actor_info *info, bool by_handled)
{
    uint64_t value = rank(info, by_handled);
    size_t at = top->count;
    struct row *row;

    while (at > 0 && value > rank(&top->rows[at - 1].info, by_handled)) {
        at--;
    }
    if (value == 0 || at == top->max) {
        return;
    }
    top->count += top->count < top->max;
    row = &top->rows[at];
    memmove(row + 1, row, (top->count - at - 1) * sizeof(*row));
    row->info = *info;
    snprintf(row->name, sizeof(row->name), "%s", info->name);
}

/* The look itself is in a mailbox until it is answered: it does not count. */
static void look_at(const ht_actor_info *given, void *arg)
{
    struct walk *walk = arg;
    ht_actor_info info = *given;

    if (info.mailbox_messages > 0 && strcmp(info.name, HTI_ADMIN_NAME) == 0) {
        info.mailbox_messages--;
        info.mailbox_bytes = info.mailbox_messages > 0 ? info.mailbox_bytes : 0;
    }
    walk->messages += info.mailbox_messages;
    walk->bytes += info.mailbox_bytes;
    top_add(&walk->by_mailbox, &info, false);
    top_add(&walk->by_handled, &info, true);
}

static bool top_list(ht_node *node,
                     struct top *top,
                     Hardtack__Admin__Actor ***ret_list,
                     size_t *ret_count)
{
    *ret_list = calloc(top->count + 1, sizeof(Hardtack__Admin__Actor *));
    if (*ret_list == NULL) {
        return false;
    }
    for (size_t i = 0; i < top->count; i++) {
        top->rows[i].info.name = top->rows[i].name;
        (*ret_list)[i] = hti_admin_actor(node, &top->rows[i].info);
        if ((*ret_list)[i] == NULL) {
            return false;
        }
        ++*ret_count;
    }
    return true;
}

static bool
look_at_actors(ht_node *node, uint32_t asked, Hardtack__Admin__LookReply *out)
{
    size_t max =
        asked < HTI_ADMIN_LOOK_ACTORS_MAX ? asked : HTI_ADMIN_LOOK_ACTORS_MAX;
    struct row *rows = calloc(2 * max + 1, sizeof(*rows));
    struct walk walk = {
        .by_mailbox = {.rows = rows, .max = max},
        .by_handled = {.rows = rows + max, .max = max},
    };
    bool ok;

    if (rows == NULL) {
        return false;
    }
    ht_actor_each(node, look_at, &walk);
    out->mailbox_messages = walk.messages;
    out->mailbox_bytes = walk.bytes;
    ok = top_list(node, &walk.by_mailbox, &out->by_mailbox,
                  &out->n_by_mailbox) &&
         top_list(node, &walk.by_handled, &out->by_handled, &out->n_by_handled);
    free(rows);
    return ok;
}

/* ---- names --------------------------------------------------------------- */

static bool look_for_names(ht_node *node,
                           const Hardtack__Admin__LookRequest *request,
                           Hardtack__Admin__LookReply *out)
{
    size_t count = request->n_names < NAMES_MAX ? request->n_names : NAMES_MAX;

    out->present = calloc(count + 1, sizeof(char *));
    for (size_t i = 0; out->present != NULL && i < count; i++) {
        char *name;

        if (ht_ref_is_none(ht_whereis(node, request->names[i]))) {
            continue;
        }
        name = hti_admin_string(request->names[i]);
        if (name == NULL) {
            return false;
        }
        out->present[out->n_present++] = name;
    }
    return out->present != NULL;
}

/* ---- a look -------------------------------------------------------------- */

Hardtack__Admin__LookReply *
hti_admin_look(ht_node *node,
               uint64_t started_ns,
               const Hardtack__Admin__LookRequest *request)
{
    Hardtack__Admin__LookReply *out = malloc(sizeof(*out));
    Hardtack__Admin__PageRequest nodes = HARDTACK__ADMIN__PAGE_REQUEST__INIT;
    Hardtack__Admin__GroupsRequest groups =
        HARDTACK__ADMIN__GROUPS_REQUEST__INIT;
    bool ok;

    if (out == NULL) {
        return NULL;
    }
    hardtack__admin__look_reply__init(out);
    nodes.limit = request->nodes;
    groups.limit = request->groups;
    groups.members = request->members;
    out->status = hti_admin_status(node, started_ns);
    ok = out->status != NULL && look_at_actors(node, request->actors, out) &&
         look_for_names(node, request, out);
    if (ok && nodes.limit > 0) {
        out->nodes = hti_admin_nodes(node, &nodes);
        ok = out->nodes != NULL;
    }
    if (ok && groups.limit > 0) {
        out->groups = hti_admin_groups(node, &groups);
        ok = out->groups != NULL;
    }
    if (!ok) {
        hti_admin_message_free(out);
        return NULL;
    }
    return out;
}
