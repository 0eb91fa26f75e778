/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dashboard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/dashboard_files.h"
#include "gateway/gateway.h"
#include "gateway/operator.h"
#include "gateway/pages.h"
#include "gateway/status.h"
#include "gateway/survey.h"

#define ADMIN_NAME  "hardtack.admin"
#define INTERVAL_MS 2000
/* A node that takes longer is silent in this round. */
#define ANSWER_MS 1500
/* For the node beyond the one that is asked. */
#define RELAYED_MS 1000
/* After a link was lost: at once, but not for every link of many. */
#define SOON_MS 100
/* Views that wait for the next round. */
#define WAITING_MAX 256

/* A view that waits. */
struct waiting {
    Hardtack__Dashboard__ViewReply_Closure reply;
    void *call;
    uint64_t after;
};

struct dashboard {
    Hardtack__Dashboard__Dashboard_Service service;
    struct ht_gateway *gateway;
    ht_actor *self;
    struct gw_survey *survey;
    LIST_HEAD(, asked) asked; /* in this round, and not answered yet */
    bool running;             /* a round */
    bool soon;                /* the next one */
    uint64_t timer, soon_timer;
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
};

/* A question that is under way; in a list, since its answer does not come when
 * the actor ends first. */
struct asked {
    LIST_ENTRY(asked) entry;
    struct dashboard *dashboard;
    const ProtobufCMessageDescriptor *answer;
    void (*on_answer)(struct dashboard *dashboard,
                      const char *name,
                      ProtobufCMessage *message,
                      const char *reason);
    bool relayed;
    char name[];
};

static struct gw_survey_now now(void)
{
    struct timespec real, steady;

    (void)clock_gettime(CLOCK_REALTIME, &real);
    (void)clock_gettime(CLOCK_MONOTONIC, &steady);
    return (struct gw_survey_now){
        .ms =
            (uint64_t)steady.tv_sec * 1000 + (uint64_t)steady.tv_nsec / 1000000,
        .unix_ms =
            (uint64_t)real.tv_sec * 1000 + (uint64_t)real.tv_nsec / 1000000,
    };
}

static void go_on(struct dashboard *d);

/* ---- asking -------------------------------------------------------------- */

static ProtobufCMessage *read_reply(const ht_reply *reply,
                                    const ProtobufCMessageDescriptor *type)
{
    ht_reader reader = ht_reader_reply(reply);
    ProtobufCMessage *message = ht_read_message(&reader, type);

    if (ht_read_end(&reader) != HT_OK && message != NULL) {
        protobuf_c_message_free_unpacked(message, NULL);
        return NULL;
    }
    return message;
}

/* What the node beyond answered, in what the one between did. */
static ProtobufCMessage *read_relayed(const ht_reply *reply,
                                      const ProtobufCMessageDescriptor *type,
                                      char *reason,
                                      size_t reason_len)
{
    Hardtack__Admin__CallReply *between =
        (void *)read_reply(reply, &hardtack__admin__call_reply__descriptor);
    ProtobufCMessage *message = NULL;

    if (between == NULL) {
        return NULL;
    }
    if (between->error[0] != '\0') {
        snprintf(reason, reason_len, "%s", between->reason);
    } else {
        ht_reply inner = {.err = HT_OK,
                          .reason = "",
                          .data = between->data.data,
                          .len = between->data.len};

        message = read_reply(&inner, type);
    }
    hardtack__admin__call_reply__free_unpacked(between, NULL);
    return message;
}

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct asked *asked = arg;
    struct dashboard *d = asked->dashboard;
    ProtobufCMessage *message = NULL;
    char reason[256] = "";

    (void)self;
    if (reply->err != HT_OK) {
        snprintf(reason, sizeof(reason), "%s",
                 reply->reason[0] != '\0' ? reply->reason
                                          : ht_strerror(reply->err));
    } else if (asked->relayed) {
        message = read_relayed(reply, asked->answer, reason, sizeof(reason));
    } else {
        message = read_reply(reply, asked->answer);
    }
    asked->on_answer(d, asked->name, message,
                     reason[0] != '\0' ? reason : "its answer is malformed");
    LIST_REMOVE(asked, entry);
    free(asked);
    go_on(d);
}

/* via "": directly. Takes args. */
static ht_err call(struct asked *asked,
                   const char *via,
                   const char *actor,
                   const char *method,
                   ht_args *args)
{
    Hardtack__Admin__CallRequest request = HARDTACK__ADMIN__CALL_REQUEST__INIT;
    Hardtack__Admin__Target target = HARDTACK__ADMIN__TARGET__INIT;
    ht_args outer = HT_ARGS_INIT;
    const ht_args *sent = args;
    ht_err err = args->err;

    asked->relayed = via[0] != '\0';
    if (asked->relayed) {
        target.node = asked->name;
        target.name = (char *)actor;
        request.target = &target;
        request.variant = (char *)method;
        request.args.data = args->data;
        request.args.len = args->len;
        request.timeout_ms = RELAYED_MS;
        ht_args_message(&outer, &request.base);
        sent = &outer;
        err = err == HT_OK ? outer.err : err;
    }
    if (err == HT_OK) {
        err = ht_call_name_async(asked->dashboard->self,
                                 asked->relayed ? via : asked->name,
                                 asked->relayed ? ADMIN_NAME : actor,
                                 asked->relayed ? "Call" : method, sent->data,
                                 sent->len, ANSWER_MS, on_reply, asked, NULL);
    }
    ht_args_fini(&outer);
    ht_args_fini(args);
    return err;
}

static void gateway_told(struct dashboard *d,
                         const char *name,
                         ProtobufCMessage *message,
                         const char *reason)
{
    (void)reason; /* most nodes have none */
    gw_survey_gateway(d->survey, name, (void *)message, now());
}

struct question {
    const char *actor, *method;
    const ProtobufCMessageDescriptor *answer;
    void (*on_answer)(struct dashboard *dashboard,
                      const char *name,
                      ProtobufCMessage *message,
                      const char *reason);
};

/* What a node is asked that has such an actor. */
static const struct question questions[] = {
    {GW_STATUS_NAME, "Status", &hardtack__dashboard__gateway_status__descriptor,
     gateway_told},
};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static void ask(struct dashboard *d,
                const char *name,
                const struct question *q,
                const ProtobufCMessage *request);

static bool is_present(const Hardtack__Admin__LookReply *look, const char *name)
{
    for (size_t i = 0; i < look->n_present; i++) {
        if (strcmp(look->present[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void looked(struct dashboard *d,
                   const char *name,
                   ProtobufCMessage *message,
                   const char *reason)
{
    Hardtack__Admin__LookReply *look = (void *)message;
    Hardtack__Empty empty = HARDTACK__EMPTY__INIT;

    if (look == NULL) {
        gw_survey_silent(d->survey, name, reason);
        return;
    }
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (is_present(look, questions[i].actor)) {
            ask(d, name, &questions[i], &empty.base);
        } else {
            questions[i].on_answer(d, name, NULL, "");
        }
    }
    gw_survey_looked(d->survey, name, look, now());
}

static void ask(struct dashboard *d,
                const char *name,
                const struct question *q,
                const ProtobufCMessage *request)
{
    struct asked *asked = calloc(1, sizeof(*asked) + strlen(name) + 1);
    ht_args args = HT_ARGS_INIT;
    ht_err err;

    if (asked == NULL) {
        q->on_answer(d, name, NULL, ht_strerror(HT_ENOMEM));
        return;
    }
    asked->dashboard = d;
    asked->answer = q->answer;
    asked->on_answer = q->on_answer;
    memcpy(asked->name, name, strlen(name) + 1);
    LIST_INSERT_HEAD(&d->asked, asked, entry);
    ht_args_message(&args, request);
    err =
        call(asked, gw_survey_via(d->survey, name), q->actor, q->method, &args);
    if (err != HT_OK) {
        q->on_answer(d, name, NULL, ht_strerror(err));
        LIST_REMOVE(asked, entry);
        free(asked);
    }
}

static void ask_to_look(struct dashboard *d, const char *name)
{
    static const struct question look = {
        ADMIN_NAME, "Look", &hardtack__admin__look_reply__descriptor, looked};
    Hardtack__Admin__LookRequest request = HARDTACK__ADMIN__LOOK_REQUEST__INIT;
    char *names[QUESTIONS];

    for (size_t i = 0; i < QUESTIONS; i++) {
        names[i] = (char *)questions[i].actor;
    }
    request.names = names;
    request.n_names = QUESTIONS;
    request.nodes = GW_SURVEY_LINKS_MAX;
    request.members = GW_SURVEY_MEMBERS_MAX;
    request.actors = GW_SURVEY_ACTORS_MAX;
    /* They are the same everywhere. */
    if (strcmp(name, ht_node_name(d->gateway->view.node)) == 0) {
        request.groups = GW_SURVEY_GROUPS_MAX;
    }
    ask(d, name, &look, &request.base);
}

/* ---- showing ------------------------------------------------------------- */

static void show(struct dashboard *d, const struct waiting *to)
{
    struct gw_view view;
    ht_err err = gw_survey_view(d->survey, to->after, now(), &view);

    if (err != HT_OK) {
        ht_fail(to->call, HT_EFAILED, ht_strerror(err));
        return;
    }
    view.reply.interval_ms = INTERVAL_MS;
    to->reply(&view.reply, to->call);
    gw_view_fini(&view);
}

static void on_view(Hardtack__Dashboard__Dashboard_Service *service,
                    const Hardtack__Dashboard__ViewRequest *in,
                    Hardtack__Dashboard__ViewReply_Closure reply,
                    void *data)
{
    struct dashboard *d = (struct dashboard *)service;
    struct waiting who = {.reply = reply, .call = data, .after = in->after};
    uint64_t rounds = gw_survey_rounds(d->survey);

    if (rounds > 0 && in->after != rounds) {
        show(d, &who);
    } else if (d->waiting_count == WAITING_MAX) {
        ht_fail(data, HT_EOVERLOAD, "too many look");
    } else {
        d->waiting[d->waiting_count++] = who;
    }
}

/* ---- rounds -------------------------------------------------------------- */

static void begin(struct dashboard *d)
{
    if (!d->running) {
        d->running = true;
        gw_survey_begin(d->survey);
        go_on(d);
    }
}

static void end(struct dashboard *d)
{
    gw_survey_end(d->survey, now());
    d->running = false;
    for (size_t i = 0; i < d->waiting_count; i++) {
        show(d, &d->waiting[i]);
    }
    d->waiting_count = 0;
}

/* Asks who has become known, ends the round when nobody is left. */
static void go_on(struct dashboard *d)
{
    const char *name;

    while ((name = gw_survey_next(d->survey)) != NULL) {
        ask_to_look(d, name);
    }
    if (LIST_EMPTY(&d->asked) && d->running) {
        end(d);
    }
}

static void round_soon(struct dashboard *d)
{
    if (!d->soon &&
        ht_timer_start(d->self, SOON_MS, 0, NULL, &d->soon_timer) == HT_OK) {
        d->soon = true;
    }
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct dashboard *d = ht_state(self);

    if (event->kind == HT_EVENT_TIMER) {
        if (event->u.timer.timer == d->soon_timer) {
            d->soon = false;
        }
        begin(d);
    } else if (event->kind == HT_EVENT_NODE &&
               event->u.node.event == HT_NODE_DISCONNECTED &&
               gw_survey_lost(d->survey, event->u.node.name,
                              event->u.node.text)) {
        round_soon(d);
    }
    return HT_OK;
}

/* ---- life ---------------------------------------------------------------- */

static ht_err on_init(ht_actor *self, void *arg)
{
    struct dashboard *d = arg;
    ht_err err;

    ht_set_state(self, d);
    d->self = self;
    err = ht_monitor_nodes(self, true);
    return err == HT_OK ? ht_timer_start(self, 0, INTERVAL_MS, NULL, &d->timer)
                        : err;
}

static void dashboard_free(struct dashboard *d)
{
    struct asked *asked;

    while ((asked = LIST_FIRST(&d->asked)) != NULL) {
        LIST_REMOVE(asked, entry);
        free(asked);
    }
    gw_survey_free(d->survey);
    gw_release(d->gateway);
    free(d);
}

static void on_end(ht_actor *self, const ht_exit *why)
{
    (void)why;
    dashboard_free(ht_state(self));
}

static ht_err spawn(struct ht_gateway *gateway)
{
    static const ht_behavior around = {
        .init = on_init, .on_event = on_event, .terminate = on_end};
    static const Hardtack__Dashboard__Dashboard_Service service =
        HARDTACK__DASHBOARD__DASHBOARD__INIT(on_);
    ht_spawn_opts opts = {
        .name = GW_DASHBOARD_NAME, .local_only = true, .unlisted = true};
    struct dashboard *d = calloc(1, sizeof(*d));
    ht_err err;

    if (d == NULL) {
        return HT_ENOMEM;
    }
    d->service = service;
    d->gateway = gateway;
    d->survey = gw_survey_new(ht_node_name(gateway->view.node));
    gw_hold(gateway);
    err = d->survey != NULL
              ? ht_spawn_service_opts(gateway->view.node, &d->service.base,
                                      &around, d, &opts, &gateway->dashboard)
              : HT_ENOMEM;
    if (err != HT_OK) {
        dashboard_free(d);
    }
    return err;
}

static ht_err put_pages(struct ht_gateway *gateway)
{
    ht_err err = HT_OK;

    for (size_t i = 0; err == HT_OK && gw_dashboard_files[i].path != NULL;
         i++) {
        const struct gw_dashboard_file *file = &gw_dashboard_files[i];

        err = gw_pages_put(gateway->pages, file->path, file->type, file->data,
                           (size_t)(file->end - file->data));
    }
    return err;
}

ht_err gw_dashboard_start(struct ht_gateway *gateway)
{
    ht_err err;

    if (gateway->view.config->dashboard == HT_DASHBOARD_OFF) {
        return HT_OK;
    }
    err = put_pages(gateway);
    if (err == HT_OK) {
        err = spawn(gateway);
    }
    if (err == HT_OK) {
        err = gw_operator_start(gateway);
    }
    /* Another gateway of this node has them. */
    return err == HT_EEXIST ? HT_OK : err;
}
