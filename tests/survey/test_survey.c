/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of a cluster, from answers that nobody gave. */
#include "survey/survey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef Hardtack__Admin__LookReply look;
typedef Hardtack__Dashboard__Node node;

static struct hti_survey *s;
static struct hti_view view;
static struct hti_survey_now now;

/* ---- answers ------------------------------------------------------------- */

struct peer {
    const char *name, *state, *auth;
    uint64_t sent_bytes;
    const char *last_error;
    bool hidden;
};

/* As the network would bring it: packed and unpacked. */
static look *answer(const char *name,
                    uint64_t incarnation,
                    uint64_t handled,
                    const struct peer *peers,
                    size_t count)
{
    look out = HARDTACK__ADMIN__LOOK_REPLY__INIT;
    Hardtack__Admin__StatusReply status = HARDTACK__ADMIN__STATUS_REPLY__INIT;
    Hardtack__Admin__NodesReply nodes = HARDTACK__ADMIN__NODES_REPLY__INIT;
    Hardtack__Admin__Node links[HTI_SURVEY_NODES_MAX + 8];
    Hardtack__Admin__Node *list[HTI_SURVEY_NODES_MAX + 8];
    Hardtack__Admin__Actor actor = HARDTACK__ADMIN__ACTOR__INIT;
    Hardtack__Admin__Actor *actors[] = {&actor};
    char ref[64];
    uint8_t *bytes;
    look *copy;
    size_t len;

    status.name = (char *)name;
    status.incarnation = incarnation;
    status.handled = handled;
    snprintf(ref, sizeof(ref), "<%s.1.5>", name);
    actor.ref = ref;
    actor.handled = handled;
    actor.mailbox_messages = handled % 7;
    for (size_t i = 0; i < count; i++) {
        hardtack__admin__node__init(&links[i]);
        links[i].name = (char *)peers[i].name;
        links[i].state = (char *)peers[i].state;
        links[i].auth = (char *)(peers[i].auth ? peers[i].auth : "hardtack");
        links[i].sent_bytes = peers[i].sent_bytes;
        links[i].hidden = peers[i].hidden;
        if (peers[i].last_error != NULL) {
            links[i].last_error = (char *)peers[i].last_error;
        }
        list[i] = &links[i];
    }
    nodes.nodes = list;
    nodes.n_nodes = count;
    out.status = &status;
    out.nodes = &nodes;
    out.by_handled = actors;
    out.n_by_handled = 1;
    len = hardtack__admin__look_reply__get_packed_size(&out);
    bytes = malloc(len);
    assert_non_null(bytes);
    hardtack__admin__look_reply__pack(&out, bytes);
    copy = hardtack__admin__look_reply__unpack(NULL, len, bytes);
    free(bytes);
    return copy;
}

#define LOOKED(name, incarnation, handled, ...)                                \
    do {                                                                       \
        const struct peer peers_[] = {__VA_ARGS__};                            \
        hti_survey_looked(s, name,                                             \
                          answer(name, incarnation, handled, peers_,           \
                                 sizeof(peers_) / sizeof(peers_[0])),          \
                          now);                                                \
    } while (0)

static void asks(const char *name, const char *via)
{
    const char *next = hti_survey_next(s);

    assert_non_null(next);
    assert_string_equal(next, name);
    assert_string_equal(hti_survey_via(s, name), via);
}

static void asks_nobody(void)
{
    assert_null(hti_survey_next(s));
}

static void end(void)
{
    hti_survey_end(s, now);
    now.ms += 2000;
    now.unix_ms += 2000;
}

/* ---- what is shown ------------------------------------------------------- */

static void look_after(uint64_t after)
{
    hti_view_fini(&view);
    assert_int_equal(hti_survey_view(s, after, now, &view), HT_OK);
}

static const node *shown(const char *name)
{
    for (size_t i = 0; i < view.reply.n_nodes; i++) {
        if (strcmp(view.reply.nodes[i]->name, name) == 0) {
            return view.reply.nodes[i];
        }
    }
    return NULL;
}

static void is(const char *name, const char *state)
{
    assert_non_null(shown(name));
    assert_string_equal(shown(name)->state, state);
}

static void last_event(const char *kind, const char *name, const char *reason)
{
    const Hardtack__Dashboard__Event *event;

    assert_true(view.reply.n_events > 0);
    event = view.reply.events[view.reply.n_events - 1];
    assert_string_equal(event->kind, kind);
    assert_string_equal(event->node, name);
    assert_string_equal(event->reason, reason);
}

static int set_up(void **state)
{
    (void)state;
    now = (struct hti_survey_now){.ms = 1000, .unix_ms = 5000000};
    memset(&view, 0, sizeof(view));
    s = hti_survey_new("a@h", false);
    return s == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    hti_view_fini(&view);
    hti_survey_free(s);
    return 0;
}

/* a is we, b is connected to us, c to b only. */
static void a_round(uint64_t incarnation, uint64_t handled)
{
    hti_survey_begin(s);
    asks("a@h", "");
    asks_nobody();
    LOOKED("a@h", 1, handled, {.name = "b@h", .state = "ready"},
           {.name = "cli@h", .state = "ready", .hidden = true});
    asks("b@h", "");
    LOOKED("b@h", 1, 2 * handled,
           {.name = "a@h", .state = "ready", .sent_bytes = 10 * handled},
           {.name = "c@h", .state = "ready"});
    asks("c@h", "b@h");
    LOOKED("c@h", incarnation, 0, {.name = "b@h", .state = "ready"});
    asks_nobody();
    end();
}

/* ---- tests --------------------------------------------------------------- */

static void test_everybody_is_asked_once(void **state)
{
    (void)state;
    a_round(1, 0);
    look_after(0);
    assert_int_equal(view.reply.tick, 1);
    assert_int_equal(view.reply.n_nodes, 3);
    is("a@h", "up");
    is("b@h", "up");
    is("c@h", "up");
    assert_string_equal(shown("c@h")->via, "b@h");
    assert_int_equal(view.reply.n_events, 3);
    assert_int_equal(shown("a@h")->n_links, 1); /* not the program's */
}

static void test_rates(void **state)
{
    (void)state;
    a_round(1, 0);
    a_round(1, 1000);
    look_after(1);
    assert_float_equal(shown("a@h")->handled_rate, 500, 0.1);
    assert_float_equal(shown("b@h")->handled_rate, 1000, 0.1);
    assert_float_equal(shown("b@h")->links[0]->sent_bytes_rate, 5000, 0.1);
    assert_int_equal(view.reply.n_series, 3);
    assert_int_equal(view.reply.series[1]->n_bytes_rate, 1);
    assert_int_equal(view.reply.series[1]->bytes_rate[0], 5000);
    assert_int_equal(view.reply.n_by_handled, 3);
    assert_string_equal(view.reply.by_handled[0]->node, "b@h");
    assert_float_equal(view.reply.by_handled[0]->handled_rate, 1000, 0.1);
    /* A counter that began anew is no rate. */
    a_round(1, 10);
    look_after(0);
    assert_float_equal(shown("a@h")->handled_rate, 0, 0.1);
    assert_int_equal(view.reply.series[0]->n_handled_rate, 3);
}

static void test_a_node_that_is_lost(void **state)
{
    (void)state;
    a_round(1, 0);
    assert_true(hti_survey_lost(s, "b@h", "it was unplugged"));
    assert_false(hti_survey_lost(s, "cli@h", "it ended"));
    hti_survey_begin(s);
    asks("a@h", "");
    LOOKED("a@h", 1, 0, {.name = "b@h", .state = "waiting"});
    asks_nobody();
    end();
    look_after(1);
    is("b@h", "down");
    is("c@h", "down");
    assert_string_equal(shown("b@h")->reason, "it was unplugged");
    assert_int_equal(view.reply.n_events, 2);
    last_event("down", "c@h", "");
    a_round(1, 0);
    look_after(2);
    is("b@h", "up");
    assert_string_equal(shown("b@h")->reason, "");
    assert_int_equal(view.reply.n_events, 2);
    last_event("up", "c@h", "");
}

static void test_why_from_who_dials(void **state)
{
    (void)state;
    a_round(1, 0);
    hti_survey_begin(s);
    asks("a@h", "");
    LOOKED("a@h", 1, 0, {.name = "b@h", .state = "ready"});
    asks("b@h", "");
    LOOKED("b@h", 1, 0, {.name = "a@h", .state = "ready"},
           {.name = "c@h", .state = "waiting", .last_error = "refused"});
    asks_nobody();
    end();
    look_after(1);
    last_event("down", "c@h", "refused");
    assert_int_equal(view.reply.n_events, 1);
}

static void test_a_node_that_does_not_answer(void **state)
{
    (void)state;
    a_round(1, 0);
    hti_survey_begin(s);
    asks("a@h", "");
    LOOKED("a@h", 1, 0, {.name = "b@h", .state = "ready"});
    asks("b@h", "");
    hti_survey_silent(s, "b@h", "timed out");
    asks_nobody();
    end();
    look_after(1);
    is("b@h", "silent");
    assert_string_equal(shown("b@h")->reason, "timed out");
    assert_int_equal(shown("b@h")->n_links, 0);
    a_round(1, 0);
    look_after(2);
    is("b@h", "up");
    assert_string_equal(view.reply.events[0]->kind, "answers");
}

static void test_a_restart_and_a_ractor_node(void **state)
{
    (void)state;
    a_round(1, 0);
    a_round(2, 0);
    look_after(1);
    last_event("restarted", "c@h", "");
    hti_survey_begin(s);
    asks("a@h", "");
    LOOKED("a@h", 1, 0, {.name = "r@h", .state = "ready", .auth = "ractor"});
    asks_nobody();
    end();
    look_after(2);
    is("r@h", "ractor");
}

static void test_links_come_and_go(void **state)
{
    (void)state;
    for (int linked = 0; linked < 3; linked++) {
        const char *ready = linked == 1 ? "ready" : "waiting";

        hti_survey_begin(s);
        asks("a@h", "");
        LOOKED("a@h", 1, 0, {.name = "b@h", .state = "ready"},
               {.name = "c@h", .state = "ready"});
        asks("b@h", "");
        asks("c@h", "");
        LOOKED("b@h", 1, 0, {.name = "a@h", .state = "ready"},
               {.name = "c@h", .state = ready, .last_error = "cut"});
        LOOKED("c@h", 1, 0, {.name = "a@h", .state = "ready"},
               {.name = "b@h", .state = ready});
        end();
        look_after((uint64_t)linked);
        if (linked == 0) {
            continue;
        }
        /* Told once, though both ends know. */
        assert_int_equal(view.reply.n_events, 1);
        last_event(linked == 1 ? "link_up" : "link_down", "b@h",
                   linked == 1 ? "" : "cut");
        assert_string_equal(view.reply.events[0]->peer, "c@h");
    }
}

static void test_no_more_than_so_many(void **state)
{
    char names[HTI_SURVEY_NODES_MAX + 8][16];
    struct peer peers[HTI_SURVEY_NODES_MAX + 8];
    size_t count = sizeof(peers) / sizeof(peers[0]), asked = 0;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "n%zu@h", i);
        peers[i] = (struct peer){.name = names[i], .state = "ready"};
    }
    for (uint64_t round = 0; round < HTI_SURVEY_POINTS_MAX + 5; round++) {
        hti_survey_begin(s);
        asks("a@h", "");
        hti_survey_looked(s, "a@h", answer("a@h", 1, round, peers, count), now);
        for (asked = 0; hti_survey_next(s) != NULL; asked++) {
        }
        end();
    }
    assert_int_equal(asked, HTI_SURVEY_NODES_MAX - 1);
    look_after(0);
    assert_int_equal(view.reply.n_nodes, HTI_SURVEY_NODES_MAX);
    assert_int_equal(view.reply.nodes_left_out, 9);
    assert_int_equal(view.reply.n_events, HTI_SURVEY_NODES_MAX);
    assert_int_equal(shown("a@h")->n_links, HTI_SURVEY_LINKS_MAX);
    assert_int_equal(view.reply.series[0]->n_queued, HTI_SURVEY_POINTS_MAX);
    /* Who is away for long is forgotten, and makes room. */
    hti_survey_begin(s);
    LOOKED("a@h", 1, 0, {.name = "z@h", .state = "waiting"});
    end();
    now.ms += HTI_SURVEY_FORGET_MS;
    hti_survey_begin(s);
    LOOKED("a@h", 1, 0, {.name = "z@h", .state = "waiting"});
    end();
    look_after(0);
    assert_int_equal(view.reply.n_nodes, 1);
    assert_int_equal(view.reply.n_events, HTI_SURVEY_EVENTS_MAX);
}

static void test_through_the_first(void **state)
{
    (void)state;
    hti_survey_free(s);
    s = hti_survey_new("a@h", true);
    assert_non_null(s);
    hti_survey_begin(s);
    asks("a@h", "");
    LOOKED("a@h", 1, 0, {.name = "b@h", .state = "ready"});
    asks("b@h", "a@h");
    LOOKED("b@h", 1, 0, {.name = "a@h", .state = "ready"},
           {.name = "c@h", .state = "ready"});
    asks_nobody();
    end();
    look_after(0);
    is("b@h", "up");
    assert_null(shown("c@h"));
}

static void test_gateways(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        Hardtack__Dashboard__GatewayStatus *status = malloc(sizeof(*status));

        assert_non_null(status);
        hardtack__dashboard__gateway_status__init(status);
        status->websockets = 7;
        status->messages_in = 100 * i;
        hti_survey_begin(s);
        asks("a@h", "");
        LOOKED("a@h", 1, 0, {.name = "b@h", .state = "waiting"});
        hti_survey_gateway(s, "a@h", i < 2 ? status : NULL, now);
        if (i == 2) {
            free(status);
        }
        end();
        look_after(i);
        if (i < 2) {
            assert_int_equal(shown("a@h")->gateway->websockets, 7);
            assert_float_equal(shown("a@h")->client_messages_rate,
                               i == 1 ? 50 : 0, 0.1);
            assert_int_equal(view.reply.series[0]->clients[0], 7);
        } else {
            assert_null(shown("a@h")->gateway);
        }
    }
    /* Of somebody who was never heard of. */
    hti_survey_gateway(s, "x@h", NULL, now);
    hti_survey_silent(s, "x@h", "nobody");
}

static Hardtack__Dashboard__StoreAnswer *
store_answer(const char *role, uint64_t fsyncs, const char *behind)
{
    Hardtack__Dashboard__StoreAnswer out =
        HARDTACK__DASHBOARD__STORE_ANSWER__INIT;
    Hardtack__Dashboard__MemberAnswer member =
        HARDTACK__DASHBOARD__MEMBER_ANSWER__INIT;
    Hardtack__Dashboard__MemberAnswer *members[] = {&member};
    uint8_t bytes[256];

    member.name = (char *)behind;
    member.lag = 12;
    out.role = (char *)role;
    out.fsyncs_total = fsyncs;
    out.members = members;
    out.n_members = 1;
    hardtack__dashboard__store_answer__pack(&out, bytes);
    return hardtack__dashboard__store_answer__unpack(
        NULL, hardtack__dashboard__store_answer__get_packed_size(&out), bytes);
}

static void test_stores(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 2; i++) {
        hti_survey_begin(s);
        asks("a@h", "");
        LOOKED("a@h", 1, 0, {.name = "b@h", .state = "ready"});
        asks("b@h", "");
        LOOKED("b@h", 1, 0, {.name = "a@h", .state = "ready"});
        hti_survey_store(s, "a@h", store_answer("follower", 10 * i, "b@h"),
                         now);
        hti_survey_store(s, "b@h", store_answer("leader", 40 * i, "a@h"), now);
        hti_survey_store(s, "x@h", store_answer("leader", 0, "a@h"), now);
        end();
    }
    look_after(0);
    assert_int_equal(view.reply.n_stores, 2);
    assert_string_equal(view.reply.stores[0]->role, "follower");
    assert_int_equal(view.reply.stores[0]->lag, 12);
    assert_float_equal(view.reply.stores[0]->fsyncs_rate, 5, 0.1);
    assert_int_equal(view.reply.stores[1]->lag, 0);
    hti_survey_begin(s);
    asks("a@h", "");
    LOOKED("a@h", 1, 0, {.name = "b@h", .state = "waiting"});
    hti_survey_store(s, "a@h", NULL, now);
    end();
    look_after(0);
    assert_int_equal(view.reply.n_stores, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_everybody_is_asked_once),
        TEST(test_rates),
        TEST(test_a_node_that_is_lost),
        TEST(test_why_from_who_dials),
        TEST(test_a_node_that_does_not_answer),
        TEST(test_a_restart_and_a_ractor_node),
        TEST(test_links_come_and_go),
        TEST(test_no_more_than_so_many),
        TEST(test_through_the_first),
        TEST(test_gateways),
        TEST(test_stores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
