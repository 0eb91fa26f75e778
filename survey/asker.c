/* SPDX-License-Identifier: Apache-2.0 */
#include "survey/asker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define ADMIN_NAME "hardtack.admin"
/* A node that takes longer is silent in this round. */
#define ANSWER_MS 1500
/* For the node beyond the one that is asked. */
#define RELAYED_MS 1000

struct hti_asker {
    ht_actor *self;
    struct hti_survey *survey;
    char *first;
    LIST_HEAD(, asked) asked; /* in this round, and not answered yet */
    bool running;             /* a round */
    void (*on_round)(void *arg);
    void *arg;
};

/* A question that is under way; in a list, since its answer does not come when
 * the actor ends first. */
struct asked {
    LIST_ENTRY(asked) entry;
    struct hti_asker *asker;
    const ProtobufCMessageDescriptor *answer;
    void (*on_answer)(struct hti_asker *asker,
                      const char *name,
                      ProtobufCMessage *message,
                      const char *reason);
    bool relayed;
    char name[];
};

struct hti_survey_now hti_asker_now(void)
{
    struct timespec real, steady;

    (void)clock_gettime(CLOCK_REALTIME, &real);
    (void)clock_gettime(CLOCK_MONOTONIC, &steady);
    return (struct hti_survey_now){
        .ms =
            (uint64_t)steady.tv_sec * 1000 + (uint64_t)steady.tv_nsec / 1000000,
        .unix_ms =
            (uint64_t)real.tv_sec * 1000 + (uint64_t)real.tv_nsec / 1000000,
    };
}

static void go_on(struct hti_asker *a);

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
    struct hti_asker *a = asked->asker;
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
    asked->on_answer(a, asked->name, message,
                     reason[0] != '\0' ? reason : "its answer is malformed");
    LIST_REMOVE(asked, entry);
    free(asked);
    go_on(a);
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
        err = ht_call_name_async(asked->asker->self,
                                 asked->relayed ? via : asked->name,
                                 asked->relayed ? ADMIN_NAME : actor,
                                 asked->relayed ? "Call" : method, sent->data,
                                 sent->len, ANSWER_MS, on_reply, asked, NULL);
    }
    ht_args_fini(&outer);
    ht_args_fini(args);
    return err;
}

static void gateway_told(struct hti_asker *a,
                         const char *name,
                         ProtobufCMessage *message,
                         const char *reason)
{
    (void)reason; /* most nodes have none */
    hti_survey_gateway(a->survey, name, (void *)message, hti_asker_now());
}

static void store_told(struct hti_asker *a,
                       const char *name,
                       ProtobufCMessage *message,
                       const char *reason)
{
    (void)reason;
    hti_survey_store(a->survey, name, (void *)message, hti_asker_now());
}

struct question {
    const char *actor, *method;
    const ProtobufCMessageDescriptor *answer;
    void (*on_answer)(struct hti_asker *asker,
                      const char *name,
                      ProtobufCMessage *message,
                      const char *reason);
};

/* What a node is asked that has such an actor. */
static const struct question questions[] = {
    {HTI_GATEWAY_NAME, "Status",
     &hardtack__dashboard__gateway_status__descriptor, gateway_told},
    {HTI_STORE_NAME, "Status", &hardtack__dashboard__store_answer__descriptor,
     store_told},
};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static void ask(struct hti_asker *a,
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

static void looked(struct hti_asker *a,
                   const char *name,
                   ProtobufCMessage *message,
                   const char *reason)
{
    Hardtack__Admin__LookReply *look = (void *)message;
    Hardtack__Empty empty = HARDTACK__EMPTY__INIT;

    if (look == NULL) {
        hti_survey_silent(a->survey, name, reason);
        return;
    }
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (is_present(look, questions[i].actor)) {
            ask(a, name, &questions[i], &empty.base);
        } else {
            questions[i].on_answer(a, name, NULL, "");
        }
    }
    hti_survey_looked(a->survey, name, look, hti_asker_now());
}

static void ask(struct hti_asker *a,
                const char *name,
                const struct question *q,
                const ProtobufCMessage *request)
{
    struct asked *asked = calloc(1, sizeof(*asked) + strlen(name) + 1);
    ht_args args = HT_ARGS_INIT;
    ht_err err;

    if (asked == NULL) {
        q->on_answer(a, name, NULL, ht_strerror(HT_ENOMEM));
        return;
    }
    asked->asker = a;
    asked->answer = q->answer;
    asked->on_answer = q->on_answer;
    memcpy(asked->name, name, strlen(name) + 1);
    LIST_INSERT_HEAD(&a->asked, asked, entry);
    ht_args_message(&args, request);
    err = call(asked, hti_survey_via(a->survey, name), q->actor, q->method,
               &args);
    if (err != HT_OK) {
        q->on_answer(a, name, NULL, ht_strerror(err));
        LIST_REMOVE(asked, entry);
        free(asked);
    }
}

static void ask_to_look(struct hti_asker *a, const char *name)
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
    request.nodes = HTI_SURVEY_LINKS_MAX;
    request.members = HTI_SURVEY_MEMBERS_MAX;
    request.actors = HTI_SURVEY_ACTORS_MAX;
    /* They are the same everywhere. */
    if (strcmp(name, a->first) == 0) {
        request.groups = HTI_SURVEY_GROUPS_MAX;
    }
    ask(a, name, &look, &request.base);
}

/* ---- rounds -------------------------------------------------------------- */

void hti_asker_begin(struct hti_asker *a)
{
    if (!a->running) {
        a->running = true;
        hti_survey_begin(a->survey);
        go_on(a);
    }
}

/* Asks who has become known, ends the round when nobody is left. */
static void go_on(struct hti_asker *a)
{
    const char *name;

    while ((name = hti_survey_next(a->survey)) != NULL) {
        ask_to_look(a, name);
    }
    if (LIST_EMPTY(&a->asked) && a->running) {
        hti_survey_end(a->survey, hti_asker_now());
        a->running = false;
        a->on_round(a->arg);
    }
}

/* ---- life ---------------------------------------------------------------- */

struct hti_asker *hti_asker_new(ht_actor *self,
                                const char *first,
                                bool through,
                                void (*on_round)(void *arg),
                                void *arg)
{
    struct hti_asker *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return NULL;
    }
    a->self = self;
    a->on_round = on_round;
    a->arg = arg;
    LIST_INIT(&a->asked);
    a->first = strdup(first);
    a->survey = hti_survey_new(first, through);
    if (a->first == NULL || a->survey == NULL) {
        hti_asker_free(a);
        return NULL;
    }
    return a;
}

void hti_asker_free(struct hti_asker *a)
{
    struct asked *asked;

    if (a == NULL) {
        return;
    }
    while ((asked = LIST_FIRST(&a->asked)) != NULL) {
        LIST_REMOVE(asked, entry);
        free(asked);
    }
    hti_survey_free(a->survey);
    free(a->first);
    free(a);
}

struct hti_survey *hti_asker_survey(const struct hti_asker *a)
{
    return a->survey;
}
