/* SPDX-License-Identifier: Apache-2.0 */
/* survey_view.c - the picture that is shown.  Texts are lent by the survey; the
 * messages and lists live in the view's own memory. */
#include <stdlib.h>
#include <string.h>

#include "proto/arena.h"
#include "survey/survey_internal.h"

#define VIEW_BYTES_MAX (8u << 20)

struct maker {
    ProtobufCAllocator *memory;
    bool failed;
};

/* Zeroed; NULL: no memory, which the end will tell. */
static void *make(struct maker *maker, size_t size)
{
    void *at = maker->memory->alloc(maker->memory->allocator_data,
                                    size > 0 ? size : 1);

    if (at == NULL) {
        maker->failed = true;
        return NULL;
    }
    memset(at, 0, size);
    return at;
}

/* A list of `count` zeroed messages of `size` bytes; its pointers. */
static void *make_list(struct maker *maker, size_t count, size_t size)
{
    void **list = make(maker, (count + 1) * sizeof(void *));
    char *items = make(maker, count * size);

    for (size_t i = 0; list != NULL && items != NULL && i < count; i++) {
        list[i] = items + i * size;
    }
    return items != NULL ? list : NULL;
}

/* ---- nodes --------------------------------------------------------------- */

static const char *state_word(enum hti_seen_state state)
{
    switch (state) {
    case HTI_SEEN_UP:
        return "up";
    case HTI_SEEN_SILENT:
        return "silent";
    case HTI_SEEN_RACTOR:
        return "ractor";
    case HTI_SEEN_NEW:
    case HTI_SEEN_DOWN:
        break;
    }
    return "down";
}

static void fill_link(Hardtack__Dashboard__Link *out,
                      const Hardtack__Admin__Node *in,
                      const Hardtack__Admin__Node *old,
                      uint64_t ms)
{
    hardtack__dashboard__link__init(out);
    out->peer = in->name;
    out->address = in->address;
    out->state = in->state;
    out->encryption = in->encryption;
    out->auth = in->auth;
    out->last_error = in->last_error;
    out->initiated = in->initiated;
    out->since_ms = in->since_ms;
    out->rtt_us = in->rtt_us;
    out->outbox_bytes = in->outbox_bytes;
    out->outbox_refused = in->outbox_refused;
    out->calls_in_flight = in->calls_in_flight;
    out->dropped = in->dropped;
    if (old == NULL) {
        return;
    }
    out->sent_bytes_rate = hti_rate(in->sent_bytes, old->sent_bytes, ms);
    out->received_bytes_rate =
        hti_rate(in->received_bytes, old->received_bytes, ms);
    out->sent_frames_rate = hti_rate(in->sent_frames, old->sent_frames, ms);
    out->received_frames_rate =
        hti_rate(in->received_frames, old->received_frames, ms);
}

static void add_links(struct maker *maker,
                      Hardtack__Dashboard__Node *out,
                      const struct hti_seen *seen)
{
    const Hardtack__Admin__NodesReply *nodes = seen->now.look->nodes;
    size_t count = nodes != NULL ? nodes->n_nodes : 0;
    uint64_t ms = seen->now.look_ms - seen->before.look_ms;

    out->links = make_list(maker, count, sizeof(**out->links));
    for (size_t i = 0;
         out->links != NULL && i < count && out->n_links < HTI_SURVEY_LINKS_MAX;
         i++) {
        const Hardtack__Admin__Node *link = nodes->nodes[i];

        if (!link->hidden) {
            fill_link(out->links[out->n_links++], link,
                      hti_survey_link(seen->before.look, link), ms);
        }
    }
}

static void add_look(struct maker *maker,
                     Hardtack__Dashboard__Node *out,
                     const struct hti_seen *seen)
{
    const Hardtack__Admin__LookReply *look = seen->now.look;
    const Hardtack__Admin__StatusReply *status = look->status;

    out->version = status->version;
    out->uptime_ms = status->uptime_ms;
    out->incarnation = status->incarnation;
    out->pid = status->pid;
    out->actors = status->actors;
    out->runnable = status->runnable;
    out->groups = status->groups;
    out->timers = status->timers;
    out->calls = status->calls;
    out->handled = status->handled;
    out->dropped = status->dropped;
    out->mailbox_messages = look->mailbox_messages;
    out->mailbox_bytes = look->mailbox_bytes;
    if (seen->before.look != NULL) {
        out->handled_rate =
            hti_rate(status->handled, seen->before.look->status->handled,
                     seen->now.look_ms - seen->before.look_ms);
    }
    add_links(maker, out, seen);
}

static void add_gateway(Hardtack__Dashboard__Node *out,
                        const struct hti_seen *seen)
{
    const Hardtack__Dashboard__GatewayStatus *now = seen->now.gateway;
    const Hardtack__Dashboard__GatewayStatus *old = seen->before.gateway;
    uint64_t ms = seen->now.gateway_ms - seen->before.gateway_ms;

    out->gateway = seen->now.gateway;
    if (now != NULL && old != NULL) {
        out->client_messages_rate =
            hti_rate(now->messages_in + now->messages_out,
                     old->messages_in + old->messages_out, ms);
    }
}

static void fill_node(struct maker *maker,
                      Hardtack__Dashboard__Node *out,
                      const struct hti_seen *seen,
                      struct hti_survey_now now)
{
    hardtack__dashboard__node__init(out);
    out->name = seen->name;
    out->state = (char *)state_word(seen->state);
    out->reason = seen->reason;
    out->via = seen->via;
    out->since_ms = now.ms - seen->since_ms;
    if (seen->state == HTI_SEEN_UP) {
        add_look(maker, out, seen);
        add_gateway(out, seen);
    }
}

static void add_nodes(struct maker *maker,
                      Hardtack__Dashboard__ViewReply *out,
                      const struct hti_survey *survey,
                      struct hti_survey_now now)
{
    const struct hti_seen *seen;

    out->nodes_left_out = survey->left_out;
    out->nodes = make_list(maker, survey->nodes_count, sizeof(**out->nodes));
    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        if (out->nodes != NULL && seen->state != HTI_SEEN_NEW) {
            fill_node(maker, out->nodes[out->n_nodes++], seen, now);
        }
    }
}

/* ---- the replicated store -------------------------------------------------
 */

/* How far behind a member is, the leader knows. */
static uint64_t lag_of(const struct hti_survey *survey, const char *member)
{
    const struct hti_seen *seen;

    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        const Hardtack__Dashboard__StoreAnswer *store = seen->now.store;

        if (seen->state != HTI_SEEN_UP || store == NULL ||
            strcmp(store->role, "leader") != 0) {
            continue;
        }
        for (size_t i = 0; i < store->n_members; i++) {
            if (strcmp(store->members[i]->name, member) == 0) {
                return store->members[i]->lag;
            }
        }
    }
    return 0;
}

static void fill_store(Hardtack__Dashboard__Store *out,
                       const struct hti_survey *survey,
                       const struct hti_seen *seen)
{
    const Hardtack__Dashboard__StoreAnswer *now = seen->now.store;
    const Hardtack__Dashboard__StoreAnswer *old = seen->before.store;
    uint64_t ms = seen->now.store_ms - seen->before.store_ms;

    hardtack__dashboard__store__init(out);
    out->node = seen->name;
    out->store = now->store;
    out->role = now->role;
    out->leader = now->leader;
    out->term = now->term;
    out->commit_index = now->commit_index;
    out->applied_index = now->applied_index;
    out->last_index = now->last_index;
    out->lag = lag_of(survey, seen->name);
    out->keys = now->keys;
    out->bytes = now->bytes;
    out->commit_us = now->commit_us;
    out->commit_p99_us = now->commit_p99_us;
    out->fsyncs = now->fsyncs_total;
    out->fsync_us = now->fsync_us;
    out->disk_full = now->disk_full;
    if (old != NULL) {
        out->fsyncs_rate = hti_rate(now->fsyncs_total, old->fsyncs_total, ms);
        out->writes_rate = hti_rate(now->writes_total, old->writes_total, ms);
    }
}

static void add_stores(struct maker *maker,
                       Hardtack__Dashboard__ViewReply *out,
                       const struct hti_survey *survey)
{
    const struct hti_seen *seen;

    out->stores = make_list(maker, survey->nodes_count, sizeof(**out->stores));
    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        if (out->stores != NULL && seen->state == HTI_SEEN_UP &&
            seen->now.store != NULL) {
            fill_store(out->stores[out->n_stores++], survey, seen);
        }
    }
}

/* ---- groups -------------------------------------------------------------- */

/* Groups are the same everywhere: those that our own node sees. */
static void add_groups(struct maker *maker,
                       Hardtack__Dashboard__ViewReply *out,
                       const struct hti_survey *survey)
{
    const struct hti_seen *own = TAILQ_FIRST(&survey->nodes);
    const Hardtack__Admin__GroupsReply *groups =
        own->now.look != NULL ? own->now.look->groups : NULL;
    size_t count = groups != NULL ? groups->n_groups : 0;

    out->groups_total = groups != NULL ? groups->total : 0;
    out->groups = make_list(maker, count, sizeof(**out->groups));
    for (size_t i = 0; out->groups != NULL && i < count; i++) {
        Hardtack__Dashboard__Group *group = out->groups[i];

        hardtack__dashboard__group__init(group);
        group->scope = groups->groups[i]->scope;
        group->group = groups->groups[i]->group;
        group->count = groups->groups[i]->count;
        group->members = groups->groups[i]->members;
        group->n_members = groups->groups[i]->n_members;
        out->n_groups++;
    }
}

/* ---- actors -------------------------------------------------------------- */

struct ranked {
    const struct hti_seen *seen;
    const Hardtack__Admin__Actor *actor;
};

static int by_mailbox(const void *a, const void *b)
{
    const struct ranked *left = a;
    const struct ranked *right = b;

    return (left->actor->mailbox_messages < right->actor->mailbox_messages) -
           (left->actor->mailbox_messages > right->actor->mailbox_messages);
}

static int by_handled(const void *a, const void *b)
{
    const struct ranked *left = a;
    const struct ranked *right = b;

    return (left->actor->handled < right->actor->handled) -
           (left->actor->handled > right->actor->handled);
}

static Hardtack__Admin__Actor **
list_of(const Hardtack__Admin__LookReply *look, bool handled, size_t *ret_count)
{
    *ret_count = 0;
    if (look == NULL) {
        return NULL;
    }
    *ret_count = handled ? look->n_by_handled : look->n_by_mailbox;
    return handled ? look->by_handled : look->by_mailbox;
}

/* What it handled since the answer before, if it was in a list of that too. */
static double rate_of(const struct ranked *ranked)
{
    const struct hti_answer *before = &ranked->seen->before;
    uint64_t ms = ranked->seen->now.look_ms - before->look_ms;

    for (int handled = 0; handled <= 1; handled++) {
        size_t count;
        Hardtack__Admin__Actor **list =
            list_of(before->look, handled != 0, &count);

        for (size_t i = 0; i < count; i++) {
            if (strcmp(list[i]->ref, ranked->actor->ref) == 0) {
                return hti_rate(ranked->actor->handled, list[i]->handled, ms);
            }
        }
    }
    return 0;
}

static void fill_actor(Hardtack__Dashboard__Actor *out,
                       const struct ranked *ranked)
{
    hardtack__dashboard__actor__init(out);
    out->node = ranked->seen->name;
    out->ref = ranked->actor->ref;
    out->name = ranked->actor->name;
    out->mailbox_messages = ranked->actor->mailbox_messages;
    out->mailbox_bytes = ranked->actor->mailbox_bytes;
    out->handled = ranked->actor->handled;
    out->dropped = ranked->actor->dropped;
    out->handled_rate = rate_of(ranked);
}

/* The first of all nodes together. */
static Hardtack__Dashboard__Actor **top_actors(struct maker *maker,
                                               const struct hti_survey *survey,
                                               bool handled,
                                               size_t *ret_count)
{
    size_t max = survey->nodes_count * HTI_SURVEY_ACTORS_MAX, count = 0;
    struct ranked *all = make(maker, max * sizeof(*all));
    Hardtack__Dashboard__Actor **out;
    const struct hti_seen *seen;

    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        size_t n;
        Hardtack__Admin__Actor **list = list_of(
            seen->state == HTI_SEEN_UP ? seen->now.look : NULL, handled, &n);

        for (size_t i = 0; all != NULL && i < n && count < max; i++) {
            all[count++] = (struct ranked){seen, list[i]};
        }
    }
    if (count > 0) {
        qsort(all, count, sizeof(*all), handled ? by_handled : by_mailbox);
    }
    count = count < HTI_SURVEY_ACTORS_MAX ? count : HTI_SURVEY_ACTORS_MAX;
    out = make_list(maker, count, sizeof(**out));
    for (size_t i = 0; out != NULL && i < count; i++) {
        fill_actor(out[i], &all[i]);
    }
    *ret_count = out != NULL ? count : 0;
    return out;
}

/* ---- what happened ------------------------------------------------------- */

static char *or_empty(char *text)
{
    return text != NULL ? text : (char *)protobuf_c_empty_string;
}

static void add_events(struct maker *maker,
                       Hardtack__Dashboard__ViewReply *out,
                       const struct hti_survey *survey,
                       uint64_t after)
{
    uint64_t kept = survey->events_count < HTI_SURVEY_EVENTS_MAX
                        ? survey->events_count
                        : HTI_SURVEY_EVENTS_MAX;

    out->events = make_list(maker, (size_t)kept, sizeof(**out->events));
    for (uint64_t i = survey->events_count - kept;
         out->events != NULL && i < survey->events_count; i++) {
        const struct hti_happened *event =
            &survey->events[i % HTI_SURVEY_EVENTS_MAX];
        Hardtack__Dashboard__Event *shown = out->events[out->n_events];

        if (event->round <= after) {
            continue;
        }
        hardtack__dashboard__event__init(shown);
        shown->number = event->number;
        shown->at_ms = event->at_ms;
        shown->kind = (char *)event->kind;
        shown->node = or_empty(event->node);
        shown->peer = or_empty(event->peer);
        shown->reason = or_empty(event->reason);
        out->n_events++;
    }
}

static void fill_series(struct maker *maker,
                        Hardtack__Dashboard__Series *out,
                        const struct hti_seen *seen,
                        uint64_t rounds)
{
    uint64_t kept = seen->points_count < HTI_SURVEY_POINTS_MAX
                        ? seen->points_count
                        : HTI_SURVEY_POINTS_MAX;
    size_t count = (size_t)(rounds < kept ? rounds : kept);
    uint32_t *values = make(maker, 4 * count * sizeof(*values));

    hardtack__dashboard__series__init(out);
    out->node = seen->name;
    if (values == NULL) {
        return;
    }
    out->n_handled_rate = out->n_bytes_rate = out->n_queued = out->n_clients =
        count;
    out->handled_rate = values;
    out->bytes_rate = values + count;
    out->queued = values + 2 * count;
    out->clients = values + 3 * count;
    for (size_t i = 0; i < count; i++) {
        const struct hti_point *point =
            &seen->points[(seen->points_count - count + i) %
                          HTI_SURVEY_POINTS_MAX];

        out->handled_rate[i] = point->handled_rate;
        out->bytes_rate[i] = point->bytes_rate;
        out->queued[i] = point->queued;
        out->clients[i] = point->clients;
    }
}

static void add_series(struct maker *maker,
                       Hardtack__Dashboard__ViewReply *out,
                       const struct hti_survey *survey,
                       uint64_t after)
{
    const struct hti_seen *seen;

    out->series = make_list(maker, survey->nodes_count, sizeof(**out->series));
    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        if (out->series != NULL && seen->points_count > 0) {
            fill_series(maker, out->series[out->n_series++], seen,
                        survey->ended - after);
        }
    }
}

/* ---- all of it ----------------------------------------------------------- */

ht_err hti_survey_view(const struct hti_survey *survey,
                       uint64_t after,
                       struct hti_survey_now now,
                       struct hti_view *ret_view)
{
    struct hti_arena *arena = hti_arena_new(VIEW_BYTES_MAX);
    Hardtack__Dashboard__ViewReply *out = &ret_view->reply;
    struct maker maker = {0};

    if (arena == NULL) {
        return HT_ENOMEM;
    }
    maker.memory = hti_arena_allocator(arena);
    after = after <= survey->ended ? after : 0;
    hardtack__dashboard__view_reply__init(out);
    out->tick = survey->ended;
    out->now_ms = now.unix_ms;
    out->node = survey->own_name;
    add_nodes(&maker, out, survey, now);
    add_stores(&maker, out, survey);
    add_groups(&maker, out, survey);
    out->by_mailbox = top_actors(&maker, survey, false, &out->n_by_mailbox);
    out->by_handled = top_actors(&maker, survey, true, &out->n_by_handled);
    add_events(&maker, out, survey, after);
    add_series(&maker, out, survey, after);
    ret_view->memory = arena;
    if (maker.failed) {
        hti_view_fini(ret_view);
        return HT_ENOMEM;
    }
    return HT_OK;
}

void hti_view_fini(struct hti_view *view)
{
    hti_arena_free(view->memory);
    view->memory = NULL;
}
