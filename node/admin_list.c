/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin_list.h"

#include <stdlib.h>
#include <string.h>

#include "node/admin.h"
#include "node/admin_describe.h"

#define REF_MAX 512

/* A growing array of pointers; failed once memory was out. */
struct list {
    void **items;
    size_t count;
    size_t cap;
    bool failed;
};

static bool list_add(struct list *list, void *item)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 64 : list->cap * 2;
        void **items = realloc(list->items, cap * sizeof(void *));

        if (items == NULL) {
            list->failed = true;
            return false;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = item;
    return true;
}

static size_t page_limit(uint32_t asked)
{
    return asked == 0 || asked > HTI_ADMIN_PAGE_MAX ? HTI_ADMIN_PAGE_MAX
                                                    : asked;
}

/* Keep items[after .. after + limit), free the others. */
static void list_cut(struct list *list,
                     uint64_t after,
                     size_t limit,
                     void (*free_item)(void *item))
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (i >= after && kept < limit) {
            list->items[kept++] = list->items[i];
        } else {
            free_item(list->items[i]);
        }
    }
    list->count = kept;
}

static void list_free(struct list *list, void (*free_item)(void *item))
{
    for (size_t i = 0; i < list->count; i++) {
        free_item(list->items[i]);
    }
    free(list->items);
    memset(list, 0, sizeof(*list));
}

/* ---- counts -------------------------------------------------------------- */

static void count_group(const char *scope,
                        const char *group,
                        const ht_ref *refs,
                        size_t count,
                        void *arg)
{
    (void)scope;
    (void)group;
    (void)refs;
    (void)count;
    (*(uint64_t *)arg)++;
}

uint64_t hti_admin_count_groups(ht_node *node)
{
    uint64_t count = 0;

    ht_group_each(node, count_group, &count);
    return count;
}

static void count_node(const ht_peer_info *info, void *arg)
{
    uint64_t *counts = arg;

    /* Clients come and go: they are no part of the cluster. */
    if (info->hidden) {
        return;
    }
    counts[0]++;
    counts[1] += strcmp(info->state, "ready") == 0;
}

void hti_admin_count_nodes(ht_node *node,
                           uint64_t *ret_known,
                           uint64_t *ret_ready)
{
    uint64_t counts[2] = {0, 0};

    ht_peer_each(node, count_node, counts);
    *ret_known = counts[0];
    *ret_ready = counts[1];
}

/* ---- nodes --------------------------------------------------------------- */

static void free_node(void *item)
{
    hti_admin_message_free(item);
}

static void collect_node(const ht_peer_info *info, void *arg)
{
    struct list *list = arg;
    Hardtack__Admin__Node *node = malloc(sizeof(*node));

    if (node == NULL) {
        list->failed = true;
        return;
    }
    hardtack__admin__node__init(node);
    node->name = hti_admin_string(info->name);
    node->address = hti_admin_string(info->address);
    node->state = hti_admin_string(info->state);
    node->encryption = hti_admin_string(info->encryption);
    node->auth = hti_admin_string(info->auth);
    node->last_error = hti_admin_string(info->last_error);
    node->initiated = info->initiated;
    node->hidden = info->hidden;
    node->incarnation = info->incarnation;
    node->since_ms = info->since_ms;
    node->rtt_us = info->rtt_us;
    node->sent_frames = info->sent_frames;
    node->sent_bytes = info->sent_bytes;
    node->received_frames = info->received_frames;
    node->received_bytes = info->received_bytes;
    node->outbox_bytes = info->outbox_bytes;
    node->outbox_refused = info->outbox_refused;
    node->calls_in_flight = info->calls_in_flight;
    node->calls_refused = info->calls_refused;
    node->dropped = info->dropped;
    if (node->name == NULL || node->address == NULL || node->state == NULL ||
        node->encryption == NULL || node->auth == NULL ||
        node->last_error == NULL || !list_add(list, node)) {
        list->failed = true;
        free_node(node);
    }
}

static int compare_nodes(const void *a, const void *b)
{
    const Hardtack__Admin__Node *const *left = a;
    const Hardtack__Admin__Node *const *right = b;
    int order = strcmp((*left)->name, (*right)->name);

    return order != 0 ? order : strcmp((*left)->address, (*right)->address);
}

Hardtack__Admin__NodesReply *
hti_admin_nodes(ht_node *node, const Hardtack__Admin__PageRequest *request)
{
    Hardtack__Admin__NodesReply *out = malloc(sizeof(*out));
    struct list list = {0};

    ht_peer_each(node, collect_node, &list);
    if (out == NULL || list.failed) {
        list_free(&list, free_node);
        free(out);
        return NULL;
    }
    hardtack__admin__nodes_reply__init(out);
    out->total = list.count;
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof(void *), compare_nodes);
    }
    list_cut(&list, request->after, page_limit(request->limit), free_node);
    out->n_nodes = list.count;
    out->nodes = (Hardtack__Admin__Node **)(void *)list.items;
    return out;
}

/* ---- groups -------------------------------------------------------------- */

/* Refs are formatted after the walk, which holds the directory's lock. */
struct group_row {
    char *scope;
    char *group;
    size_t count; /* members everywhere */
    size_t kept;
    ht_ref refs[];
};

struct group_walk {
    struct list list;
    const Hardtack__Admin__GroupsRequest *request;
};

static void free_group_row(void *item)
{
    struct group_row *row = item;

    if (row != NULL) {
        free(row->scope);
        free(row->group);
        free(row);
    }
}

static size_t members_limit(uint32_t asked)
{
    return asked == 0 || asked > HTI_ADMIN_MEMBERS_MAX ? HTI_ADMIN_MEMBERS_MAX
                                                       : asked;
}

static void collect_group(const char *scope,
                          const char *group,
                          const ht_ref *refs,
                          size_t count,
                          void *arg)
{
    struct group_walk *walk = arg;
    size_t max = members_limit(walk->request->members);
    size_t kept = count < max ? count : max;
    struct group_row *row;

    if ((walk->request->scope[0] != '\0' &&
         strcmp(walk->request->scope, scope) != 0) ||
        (walk->request->group[0] != '\0' &&
         strcmp(walk->request->group, group) != 0)) {
        return;
    }
    row = malloc(sizeof(*row) + kept * sizeof(ht_ref));
    if (row == NULL) {
        walk->list.failed = true;
        return;
    }
    row->scope = strdup(scope);
    row->group = strdup(group);
    row->count = count;
    row->kept = kept;
    if (kept > 0) {
        memcpy(row->refs, refs, kept * sizeof(ht_ref));
    }
    if (row->scope == NULL || row->group == NULL ||
        !list_add(&walk->list, row)) {
        walk->list.failed = true;
        free_group_row(row);
    }
}

static int compare_groups(const void *a, const void *b)
{
    const struct group_row *const *left = a;
    const struct group_row *const *right = b;
    int order = strcmp((*left)->scope, (*right)->scope);

    return order != 0 ? order : strcmp((*left)->group, (*right)->group);
}

static Hardtack__Admin__Group *format_group(ht_node *node,
                                            const struct group_row *row)
{
    Hardtack__Admin__Group *group = malloc(sizeof(*group));
    char text[REF_MAX];

    if (group == NULL) {
        return NULL;
    }
    hardtack__admin__group__init(group);
    group->scope = hti_admin_string(row->scope);
    group->group = hti_admin_string(row->group);
    group->count = row->count;
    group->members = calloc(row->kept + 1, sizeof(char *));
    if (group->scope == NULL || group->group == NULL ||
        group->members == NULL) {
        goto fail;
    }
    for (size_t i = 0; i < row->kept; i++) {
        group->members[i] = hti_admin_string(
            ht_ref_format(node, row->refs[i], text, sizeof(text)));
        if (group->members[i] == NULL) {
            goto fail;
        }
        group->n_members++;
    }
    return group;
fail:
    hti_admin_message_free(group);
    return NULL;
}

Hardtack__Admin__GroupsReply *
hti_admin_groups(ht_node *node, const Hardtack__Admin__GroupsRequest *request)
{
    Hardtack__Admin__GroupsReply *out = malloc(sizeof(*out));
    struct group_walk walk = {.request = request};
    struct list *list = &walk.list;

    if (out == NULL) {
        return NULL;
    }
    hardtack__admin__groups_reply__init(out);
    ht_group_each(node, collect_group, &walk);
    out->total = list->count;
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof(void *), compare_groups);
    }
    list_cut(list, request->after, page_limit(request->limit), free_group_row);
    out->groups = calloc(list->count + 1, sizeof(Hardtack__Admin__Group *));
    if (list->failed || out->groups == NULL) {
        goto fail;
    }
    for (size_t i = 0; i < list->count; i++) {
        out->groups[i] = format_group(node, list->items[i]);
        if (out->groups[i] == NULL) {
            goto fail;
        }
        out->n_groups++;
    }
    list_free(list, free_group_row);
    return out;
fail:
    list_free(list, free_group_row);
    hti_admin_message_free(out);
    return NULL;
}

/* ---- actors -------------------------------------------------------------- */

struct actor_row {
    ht_actor_info info;
    char name[];
};

static void collect_actor(const ht_actor_info *info, void *arg)
{
    struct list *list = arg;
    size_t len = strlen(info->name) + 1;
    struct actor_row *row = malloc(sizeof(*row) + len);

    if (row == NULL) {
        list->failed = true;
        return;
    }
    row->info = *info;
    memcpy(row->name, info->name, len);
    row->info.name = row->name;
    if (!list_add(list, row)) {
        free(row);
    }
}

static int compare_actors(const void *a, const void *b)
{
    const struct actor_row *const *left = a;
    const struct actor_row *const *right = b;

    return ((*left)->info.ref.pid > (*right)->info.ref.pid) -
           ((*left)->info.ref.pid < (*right)->info.ref.pid);
}

Hardtack__Admin__Actor *hti_admin_actor(ht_node *node,
                                        const ht_actor_info *info)
{
    Hardtack__Admin__Actor *actor = malloc(sizeof(*actor));
    char text[REF_MAX];

    if (actor == NULL) {
        return NULL;
    }
    hardtack__admin__actor__init(actor);
    actor->ref =
        hti_admin_string(ht_ref_format(node, info->ref, text, sizeof(text)));
    actor->name = hti_admin_string(info->name);
    actor->pid = info->ref.pid;
    actor->mailbox_messages = info->mailbox_messages;
    actor->mailbox_bytes = info->mailbox_bytes;
    actor->handled = info->handled;
    actor->dropped = info->dropped;
    if (actor->ref == NULL || actor->name == NULL) {
        hti_admin_message_free(actor);
        return NULL;
    }
    return actor;
}

/* The cursor is a pid and not a position, so that actors that come and go
 * between two pages make no other actor appear twice or not at all. */
static uint64_t actors_up_to(const struct list *list, uint64_t pid)
{
    uint64_t skip = 0;

    while (skip < list->count &&
           ((const struct actor_row *)list->items[skip])->info.ref.pid <= pid) {
        skip++;
    }
    return skip;
}

Hardtack__Admin__ActorsReply *
hti_admin_actors(ht_node *node, const Hardtack__Admin__PageRequest *request)
{
    Hardtack__Admin__ActorsReply *out = malloc(sizeof(*out));
    struct list list = {0};

    if (out == NULL) {
        return NULL;
    }
    hardtack__admin__actors_reply__init(out);
    ht_actor_each(node, collect_actor, &list);
    out->total = list.count;
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof(void *), compare_actors);
    }
    list_cut(&list,
             request->after == 0 ? 0 : actors_up_to(&list, request->after),
             page_limit(request->limit), free);
    out->actors = calloc(list.count + 1, sizeof(Hardtack__Admin__Actor *));
    if (list.failed || out->actors == NULL) {
        goto fail;
    }
    for (size_t i = 0; i < list.count; i++) {
        out->actors[i] = hti_admin_actor(
            node, &((const struct actor_row *)list.items[i])->info);
        if (out->actors[i] == NULL) {
            goto fail;
        }
        out->n_actors++;
    }
    list_free(&list, free);
    return out;
fail:
    list_free(&list, free);
    hti_admin_message_free(out);
    return NULL;
}
