/* SPDX-License-Identifier: Apache-2.0 */
/* Argument blocks between actors, in one runtime that the test drives. */
#include "tests/lib/check.h"

#include <hardtack.h>

#include "tests/lib/host.h"

/* A server and a client that calls it when it is told to. */
struct world {
    struct host host;
    ht_node *node;
    ht_ref server;
    ht_ref client;
    ht_err built; /* what ht_args_reply() returned */
    unsigned answers;
    ht_err answer_err;
    uint32_t answer;
    char reason[64];
};

/* Add(u32, u32) -> u32; Bad and Block answer with what cannot be sent. */
static ht_err serve(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct world *w = ht_state(self);
    ht_reader r = ht_reader_args(msg);
    ht_args reply = HT_REPLY_INIT;
    uint32_t a = ht_read_u32(&r);
    uint32_t b = ht_read_u32(&r);

    if (ht_read_end(&r) != HT_OK) {
        return ht_reply_error(self, call, HT_EARGS, "two u32, please");
    }
    ht_args_u32(&reply, a + b);
    if (strcmp(ht_msg_variant(msg), "Bad") == 0) {
        ht_args_u32(&reply, 1); /* a second value */
    }
    if (strcmp(ht_msg_variant(msg), "Block") == 0) {
        reply.bare = false;
    }
    w->built = ht_args_reply(self, call, &reply);
    CHECK(reply.data == NULL);
    return HT_OK;
}

static ht_err init(ht_actor *self, void *arg)
{
    ht_set_state(self, arg);
    return HT_OK;
}

static void on_answer(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct world *w = arg;
    ht_reader r = ht_reader_reply(reply);

    (void)self;
    w->answers++;
    w->answer = ht_read_u32(&r);
    w->answer_err = ht_read_end(&r);
    snprintf(w->reason, sizeof w->reason, "%s", reply->reason);
}

/* Told: the server's ref, then a number of values to call it with. */
static ht_err drive(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct world *w = ht_state(self);
    ht_reader r = ht_reader_args(msg);
    ht_args args = HT_ARGS_INIT;
    ht_ref server = ht_read_ref(&r, ht_actor_node(self));
    uint32_t count = ht_read_u32(&r);

    (void)call;
    CHECK_OK(ht_read_end(&r));
    CHECK(ht_ref_equal(server, w->server));
    for (uint32_t i = 1; i <= count; i++) {
        ht_args_u32(&args, 20 * i);
    }
    CHECK_OK(ht_args_call_async(self, server, ht_msg_variant(msg), &args, 0,
                                on_answer, w));
    CHECK(args.data == NULL);
    return HT_OK;
}

static const ht_behavior server_behavior = {.init = init, .handle = serve};
static const ht_behavior client_behavior = {.init = init, .handle = drive};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->node = host_new(&w->host);
    CHECK_OK(ht_spawn(w->node, &server_behavior, w, NULL, &w->server));
    CHECK_OK(ht_spawn(w->node, &client_behavior, w, NULL, &w->client));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    host_free(&w->host);
    free(w);
    return 0;
}

/* Have the client call variant with count values, and wait for the answer. */
static void tell(struct world *w, const char *variant, uint32_t count)
{
    ht_args args = HT_ARGS_INIT;

    ht_args_ref(&args, w->node, w->server);
    ht_args_u32(&args, count);
    CHECK_OK(ht_args_cast(w->node, w->client, variant, &args));
    CHECK(args.data == NULL);
    host_run(&w->host);
    assert_int_equal(w->answers, 1);
}

static void test_arguments_and_a_ref_arrive(void **state)
{
    struct world *w = *state;

    tell(w, "Add", 2);
    CHECK_OK(w->answer_err);
    assert_int_equal(w->answer, 60);
}

static void test_wrong_arguments_are_an_answer(void **state)
{
    struct world *w = *state;

    tell(w, "Add", 3);
    CHECK_ERR(w->answer_err, HT_EARGS);
    assert_string_equal(w->reason, "two u32, please");
    assert_int_equal(w->answer, 0);
}

static void test_a_reply_that_was_not_built_is_an_answer(void **state)
{
    struct world *w = *state;

    tell(w, "Bad", 2);
    CHECK_ERR(w->built, HT_EINVAL);
    CHECK_ERR(w->answer_err, HT_EFAILED);
}

static void test_a_reply_is_no_block(void **state)
{
    struct world *w = *state;

    tell(w, "Block", 2);
    CHECK_ERR(w->built, HT_EINVAL);
    CHECK_ERR(w->answer_err, HT_EFAILED);
}

static void test_what_was_not_built_is_not_sent(void **state)
{
    struct world *w = *state;
    ht_args args = HT_ARGS_INIT;
    ht_reply reply;

    ht_args_str(&args, "\xff");
    CHECK_ERR(ht_args_cast(w->node, w->client, "Add", &args), HT_EINVAL);
    args = (ht_args)HT_ARGS_INIT;
    ht_args_char(&args, 0xd800);
    CHECK_ERR(ht_args_call_wait(w->node, w->server, "Add", &args, 1000, &reply),
              HT_EINVAL);
    CHECK_ERR(reply.err, HT_EINVAL);
    assert_string_equal(reply.reason, "");
    ht_reply_fini(&reply);
    host_run(&w->host);
    assert_int_equal(w->answers, 0);
}

static void test_a_ref_that_cannot_travel_is_refused(void **state)
{
    struct world *w = *state;
    ht_args args = HT_ARGS_INIT;

    ht_args_ref(&args, w->node, (ht_ref){0, 0});
    CHECK_ERR(args.err, HT_EINVAL);
    ht_args_fini(&args);
}

static void test_a_ref_is_an_instance_and_a_pid(void **state)
{
    struct world *w = *state;
    ht_args args = HT_ARGS_INIT;
    ht_reader r;

    ht_args_ref(&args, w->node, (ht_ref){w->server.node, 258});
    CHECK_OK(args.err);
    assert_int_equal(args.len, 8 + 24);
    assert_memory_equal(args.data + 24, "\0\0\0\0\0\0\1\2", 8);
    r = ht_reader_block(args.data, args.len);
    CHECK(
        ht_ref_equal(ht_read_ref(&r, w->node), (ht_ref){w->server.node, 258}));
    CHECK_OK(ht_read_end(&r));

    args.data[8] ^= 1; /* the instance of nobody we know */
    r = ht_reader_block(args.data, args.len);
    CHECK(ht_ref_is_none(ht_read_ref(&r, w->node)));
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    ht_args_fini(&args);

    ht_args_u64(&args, 1); /* too short for a ref */
    r = ht_reader_block(args.data, args.len);
    CHECK(ht_ref_is_none(ht_read_ref(&r, w->node)));
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    ht_args_fini(&args);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

CHECK_MAIN(TEST(test_arguments_and_a_ref_arrive),
           TEST(test_wrong_arguments_are_an_answer),
           TEST(test_a_reply_that_was_not_built_is_an_answer),
           TEST(test_a_reply_is_no_block),
           TEST(test_what_was_not_built_is_not_sent),
           TEST(test_a_ref_that_cannot_travel_is_refused),
           TEST(test_a_ref_is_an_instance_and_a_pid))
