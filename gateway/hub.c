/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "gateway/conn.h"
#include "gateway/dashboard.h"
#include "gateway/delivery.h"
#include "gateway/login.h"

/* A burst of messages to a group waits here for its loop. */
#define HUB_MESSAGES_MAX 16384
#define HUB_BYTES_MAX    (8u << 20)
/* Refs in one MEMBERS. */
#define REFS_MAX 128
#define REF_TEXT 256

struct gw_hubs {
    struct gw_hub *table; /* by group */
    struct gw_book *book;
};

struct gw_hub {
    UT_hash_handle hh;
    struct gw_loop *loop;
    ht_ref ref;
    struct gw_subs subs;
    bool listed; /* in the table */
    char group[];
};

static ht_node *node_of(const struct gw_loop *loop)
{
    return gw_view(gw_loop_gateway(loop))->node;
}

static struct gw_hubs *hubs_of(struct gw_loop *loop)
{
    struct gw_hubs **hubs = gw_loop_hubs(loop);

    if (*hubs == NULL) {
        *hubs = calloc(1, sizeof(**hubs));
    }
    return *hubs;
}

struct gw_book *gw_loop_book(struct gw_loop *loop)
{
    struct gw_hubs *hubs = hubs_of(loop);

    if (hubs != NULL && hubs->book == NULL) {
        hubs->book = gw_book_new();
    }
    return hubs != NULL ? hubs->book : NULL;
}

void gw_loop_messages_fini(struct gw_loop *loop)
{
    struct gw_hubs **hubs = gw_loop_hubs(loop);

    if (*hubs != NULL) {
        gw_book_free((*hubs)->book);
        HASH_CLEAR(hh, (*hubs)->table);
        free(*hubs);
        *hubs = NULL;
    }
}

/* ---- policy -------------------------------------------------------------- */

/* The dashboard, on this machine: no rule is needed, if the configuration says
 * so. */
static bool
may_look(const struct gw_client *client, enum gw_verb verb, const char *target)
{
    return verb == GW_SEND && strcmp(target, GW_DASHBOARD_NAME) == 0 &&
           gw_view(client->gateway)->config->dashboard == HT_DASHBOARD_LOCAL &&
           client->conn != NULL && client->conn->local;
}

ht_err gw_may(struct gw_client *client,
              enum gw_verb verb,
              const char *target,
              struct gw_failure *failure)
{
    uint64_t now_s = gw_now_s();
    const struct gw_identity *identity = client->identity;

    if (gw_policy_allows(gw_view(client->gateway)->policy, identity, verb,
                         target, now_s) ||
        may_look(client, verb, target)) {
        return HT_OK;
    }
    gw_count(client->loop, GW_DENIED, 1);
    if (identity == NULL || now_s >= identity->token.expires_s) {
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       identity == NULL ? "%.150s needs a token"
                                        : "%.150s: the token has expired",
                       target);
        return HT_EAUTH;
    }
    (void)snprintf(failure->reason, sizeof(failure->reason),
                   "%.150s is not allowed", target);
    return HT_EDENIED;
}

/* ---- fanning out --------------------------------------------------------- */

/* The same message, once an encoding. */
struct fan {
    struct gw_frame *frames[GW_ENCODINGS];
    bool tried[GW_ENCODINGS];
};

static void fan_fini(struct fan *fan)
{
    for (size_t i = 0; i < GW_ENCODINGS; i++) {
        if (fan->frames[i] != NULL) {
            gw_frame_unref(fan->frames[i]);
        }
    }
}

static void fan_send(struct fan *fan,
                     struct gw_client *client,
                     const struct gw_message *message)
{
    enum gw_encoding encoding = client->encoding;
    size_t len = 0;

    if (!fan->tried[encoding]) {
        fan->tried[encoding] = true;
        fan->frames[encoding] = gw_encode(encoding, message, &len);
    }
    if (fan->frames[encoding] != NULL &&
        gw_client_send_frame(client, fan->frames[encoding]) != HT_OK) {
        /* It is slow or going: its own affair. */
    }
}

static void
deliver(struct gw_hub *hub, struct gw_delivery *delivery, const char *group)
{
    struct gw_message json;
    struct gw_message pb;
    struct fan fan = {.frames = {NULL}};
    struct gw_sub *sub;
    struct gw_sub *next;

    gw_delivery_message(delivery, false, &json);
    gw_delivery_message(delivery, true, &pb);
    json.to = group;
    pb.to = group;
    for (sub = LIST_FIRST(&hub->subs); sub != NULL; sub = next) {
        next = LIST_NEXT(sub, of_hub);
        fan_send(&fan, sub->client,
                 sub->client->encoding == GW_PB ? &pb : &json);
    }
    fan_fini(&fan);
}

static ht_err hub_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct gw_hub *hub = ht_state(self);
    struct gw_delivery delivery;
    char group[GW_TO_MAX + 8];
    ht_err err;

    if (call.id != 0) {
        return HT_ENOVARIANT;
    }
    err = gw_delivery_read(&delivery, node_of(hub->loop), msg);
    if (err != HT_OK) {
        return HT_EARGS;
    }
    gw_count(hub->loop, GW_BROADCASTS, 1);
    (void)snprintf(group, sizeof(group), "group:%s", hub->group);
    deliver(hub, &delivery, group);
    gw_delivery_fini(&delivery);
    return HT_OK;
}

/* ---- members ------------------------------------------------------------- */

struct names {
    char text[REFS_MAX][REF_TEXT];
    const char *at[REFS_MAX];
    size_t count;
};

static void
name_refs(ht_node *node, const ht_ref *refs, size_t count, struct names *names)
{
    names->count = count < REFS_MAX ? count : REFS_MAX;
    for (size_t i = 0; i < names->count; i++) {
        names->at[i] = ht_ref_format(node, refs[i], names->text[i], REF_TEXT);
    }
}

static void members_message(struct gw_message *out,
                            const char *group,
                            bool joined,
                            const struct names *names)
{
    gw_message_init(out, GW_TYPE(MEMBERS));
    out->from = group;
    if (joined) {
        out->joined = names->at;
        out->joined_count = names->count;
    } else {
        out->left = names->at;
        out->left_count = names->count;
    }
}

static void
tell_members(struct gw_hub *hub, bool joined, const ht_ref *refs, size_t count)
{
    struct names *names = malloc(sizeof(*names));
    struct fan fan = {.frames = {NULL}};
    struct gw_message out;
    struct gw_sub *sub;
    struct gw_sub *next;
    char group[GW_TO_MAX + 8];

    if (names == NULL) {
        return;
    }
    name_refs(node_of(hub->loop), refs, count, names);
    (void)snprintf(group, sizeof(group), "group:%s", hub->group);
    members_message(&out, group, joined, names);
    for (sub = LIST_FIRST(&hub->subs); sub != NULL; sub = next) {
        next = LIST_NEXT(sub, of_hub);
        if (sub->members) {
            fan_send(&fan, sub->client, &out);
        }
    }
    fan_fini(&fan);
    free(names);
}

/* Who is there now: the first thing that one who asked for it is told. */
static void tell_present(struct gw_hub *hub, struct gw_client *client)
{
    ht_ref refs[REFS_MAX];
    struct names *names = malloc(sizeof(*names));
    struct gw_message out;
    char group[GW_TO_MAX + 8];
    size_t count;

    if (names == NULL) {
        return;
    }
    count =
        ht_group_members(node_of(hub->loop), NULL, hub->group, refs, REFS_MAX);
    name_refs(node_of(hub->loop), refs, count, names);
    (void)snprintf(group, sizeof(group), "group:%s", hub->group);
    members_message(&out, group, true, names);
    gw_send(client, &out);
    free(names);
}

static ht_err hub_event(ht_actor *self, const ht_event *event)
{
    struct gw_hub *hub = ht_state(self);

    if (event->kind == HT_EVENT_GROUP) {
        for (size_t at = 0; at < event->u.group.count; at += REFS_MAX) {
            tell_members(hub, event->u.group.joined, event->u.group.refs + at,
                         event->u.group.count - at);
        }
    }
    return HT_OK;
}

/* ---- life of a hub ------------------------------------------------------- */

static ht_err hub_init(ht_actor *self, void *arg)
{
    struct gw_hub *hub = arg;

    ht_set_state(self, hub);
    return ht_group_monitor(self, HT_SCOPE_DEFAULT, hub->group);
}

/* No more subscribers, or somebody killed it: then they hear no more, and a new
 * subscription makes a new hub. */
static void hub_end(ht_actor *self, const ht_exit *why)
{
    struct gw_hub *hub = ht_state(self);
    struct ht_gateway *gateway = gw_loop_gateway(hub->loop);
    struct gw_hubs *hubs = *gw_loop_hubs(hub->loop);
    struct gw_sub *sub;

    (void)why;
    if (hub->listed && hubs != NULL) {
        HASH_DEL(hubs->table, hub);
    }
    while ((sub = LIST_FIRST(&hub->subs)) != NULL) {
        LIST_REMOVE(sub, of_hub);
        sub->hub = NULL;
    }
    free(hub);
    gw_release(gateway);
}

static ht_err hub_spawn(struct gw_hub *hub)
{
    static const ht_behavior behavior = {
        .init = hub_init,
        .handle = hub_handle,
        .on_event = hub_event,
        .terminate = hub_end,
    };
    const ht_spawn_opts opts = {
        .mailbox_messages_max = HUB_MESSAGES_MAX,
        .mailbox_bytes_max = HUB_BYTES_MAX,
        .scheduler = gw_loop_scheduler(hub->loop),
    };

    return ht_spawn(node_of(hub->loop), &behavior, hub, &opts, &hub->ref);
}

/* NULL: failure has words. */
static struct gw_hub *
hub_new(struct gw_loop *loop, const char *group, struct gw_failure *failure)
{
    struct gw_hubs *hubs = hubs_of(loop);
    struct ht_gateway *gateway = gw_loop_gateway(loop);
    size_t len = strlen(group);
    struct gw_hub *hub = calloc(1, sizeof(*hub) + len + 1);

    failure->err = HT_ENOMEM;
    (void)snprintf(failure->reason, sizeof(failure->reason), "%s",
                   ht_strerror(HT_ENOMEM));
    if (hub == NULL || hubs == NULL) {
        free(hub);
        return NULL;
    }
    hub->loop = loop;
    LIST_INIT(&hub->subs);
    memcpy(hub->group, group, len);
    gw_hold(gateway);
    failure->err = hub_spawn(hub);
    if (failure->err != HT_OK) {
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "\"%.150s\": %s", group, ht_strerror(failure->err));
        free(hub);
        gw_release(gateway);
        return NULL;
    }
    failure->err =
        ht_group_join_scoped(node_of(loop), HT_GATEWAY_SCOPE, group, hub->ref);
    if (failure->err == HT_OK) {
        HASH_ADD(hh, hubs->table, group[0], len, hub);
        hub->listed = hti_in_table(&hub->hh);
        failure->err = hub->listed ? HT_OK : HT_ENOMEM;
    }
    if (failure->err != HT_OK) {
        (void)ht_stop(node_of(loop), hub->ref, NULL);
        return NULL;
    }
    return hub;
}

static struct gw_hub *hub_find(struct gw_loop *loop, const char *group)
{
    struct gw_hubs *hubs = hubs_of(loop);
    struct gw_hub *hub = NULL;

    if (hubs != NULL) {
        HASH_FIND(hh, hubs->table, group, strlen(group), hub);
    }
    return hub;
}

/* Its last subscriber has gone. */
static void hub_retire(struct gw_hub *hub)
{
    struct gw_hubs *hubs = *gw_loop_hubs(hub->loop);

    if (hub->listed && hubs != NULL) {
        HASH_DEL(hubs->table, hub);
    }
    hub->listed = false;
    (void)ht_stop(node_of(hub->loop), hub->ref, NULL);
}

/* ---- subscriptions ------------------------------------------------------- */

static struct gw_sub *sub_find(struct gw_messages *messages, const char *group)
{
    struct gw_sub *sub;

    LIST_FOREACH (sub, &messages->subs, of_client) {
        if (sub->hub != NULL && strcmp(sub->hub->group, group) == 0) {
            return sub;
        }
    }
    return NULL;
}

static void sub_free(struct gw_messages *messages, struct gw_sub *sub)
{
    struct gw_hub *hub = sub->hub;

    if (hub != NULL) {
        LIST_REMOVE(sub, of_hub);
        if (LIST_EMPTY(&hub->subs)) {
            hub_retire(hub);
        }
    }
    LIST_REMOVE(sub, of_client);
    messages->subs_count--;
    free(sub);
}

static ht_err sub_new(struct gw_messages *messages,
                      const char *group,
                      bool members,
                      struct gw_failure *failure)
{
    struct gw_client *client = messages->client;
    struct gw_sub *sub = calloc(1, sizeof(*sub));
    struct gw_hub *hub;

    if (sub == NULL) {
        failure->reason[0] = '\0';
        return HT_ENOMEM;
    }
    hub = hub_find(client->loop, group);
    if (hub == NULL) {
        hub = hub_new(client->loop, group, failure);
    }
    if (hub == NULL) {
        free(sub);
        return failure->err;
    }
    sub->hub = hub;
    sub->client = client;
    sub->members = members;
    LIST_INSERT_HEAD(&hub->subs, sub, of_hub);
    LIST_INSERT_HEAD(&messages->subs, sub, of_client);
    messages->subs_count++;
    return HT_OK;
}

ht_err gw_hub_join(struct gw_client *client,
                   const char *group,
                   bool members,
                   struct gw_failure *failure)
{
    struct gw_messages *messages = gw_messages_of(client);
    uint32_t max = gw_view(client->gateway)->config->subscriptions_max;
    struct gw_sub *sub;
    ht_err err = HT_OK;

    failure->reason[0] = '\0';
    if (messages == NULL) {
        return HT_ENOMEM;
    }
    sub = sub_find(messages, group);
    if (sub != NULL) {
        sub->members = members;
    } else if (messages->subs_count >= max) {
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "at most %u subscriptions", max);
        gw_count(client->loop, GW_SUBSCRIBES_REFUSED, 1);
        return HT_EBUSY;
    } else {
        err = sub_new(messages, group, members, failure);
    }
    if (err == HT_OK) {
        gw_count(client->loop, GW_SUBSCRIBES, 1);
    }
    if (err == HT_OK && members) {
        tell_present(hub_find(client->loop, group), client);
    }
    return err;
}

void gw_hub_leave(struct gw_client *client, const char *group)
{
    struct gw_messages *messages = client->messages;
    struct gw_sub *sub = messages != NULL ? sub_find(messages, group) : NULL;

    if (sub != NULL) {
        sub_free(messages, sub);
    }
}

void gw_hub_leave_all(struct gw_messages *messages)
{
    struct gw_sub *sub;

    while ((sub = LIST_FIRST(&messages->subs)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        sub_free(messages, sub);
    }
}

/* ---- publishing ---------------------------------------------------------- */

static void fill_delivery(Hardtack__Client__Delivery *out,
                          const struct gw_message *in,
                          char **ret_text)
{
    switch (in->payload) {
    case GW_PAYLOAD_TEXT:
        *ret_text =
            strndup(in->data.len > 0 ? in->data.data : "", in->data.len);
        out->text = *ret_text != NULL ? *ret_text : out->text;
        break;
    case GW_PAYLOAD_JSON:
        *ret_text = json_dumps(in->json, JSON_COMPACT);
        out->json = *ret_text != NULL ? *ret_text : out->json;
        break;
    case GW_PAYLOAD_BYTES:
        out->data.data = (uint8_t *)in->data.data;
        out->data.len = in->data.len;
        break;
    case GW_PAYLOAD_MESSAGE:
        out->message.data = (uint8_t *)in->data.data;
        out->message.len = in->data.len;
        break;
    case GW_PAYLOAD_NONE:
        break;
    }
}

size_t gw_publish(struct gw_client *client,
                  const char *group,
                  const struct gw_message *in)
{
    Hardtack__Client__Delivery out = HARDTACK__CLIENT__DELIVERY__INIT;
    ht_args args = HT_ARGS_INIT;
    char *text = NULL;
    size_t count = 0;

    out.method = (char *)in->method;
    out.from = client->name;
    fill_delivery(&out, in, &text);
    ht_args_message(&args, &out.base);
    if (args.err == HT_OK) {
        count = ht_group_cast(node_of(client->loop), HT_GATEWAY_SCOPE, group,
                              "HtDeliver", args.data, args.len);
    }
    ht_args_fini(&args);
    free(text);
    return count;
}
