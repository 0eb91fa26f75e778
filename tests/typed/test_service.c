/* SPDX-License-Identifier: Apache-2.0 */
/* Services and stubs: a kitchen that doubles numbers. */
#include "actor/runtime.h"
#include "base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"
#include "tests/typed/service.pb-c.h"

/* ---- the service
 * ------------------------------------------------------------- */

static void *later; /* the token of a call that waits */
static Test__Number_Closure later_reply;
static char noted[64];
static ht_ref noted_from;

static void number(Test__Number_Closure reply, void *call, int64_t value)
{
    Test__Number out = TEST__NUMBER__INIT;

    out.value = value;
    reply(&out, call);
}

static void on_twice(Test__Kitchen_Service *self,
                     const Test__Number *in,
                     Test__Number_Closure reply,
                     void *call)
{
    (void)self;
    CHECK(ht_service_self() != NULL && call != NULL);
    number(reply, call, 2 * in->value);
}

static void on_later(Test__Kitchen_Service *self,
                     const Test__Number *in,
                     Test__Number_Closure reply,
                     void *call)
{
    (void)self;
    (void)in;
    later = call;
    later_reply = reply;
}

static void on_release(Test__Kitchen_Service *self,
                       const Test__Number *in,
                       Test__Number_Closure reply,
                       void *call)
{
    (void)self;
    number(later_reply, later, in->value);
    number(later_reply, later, -1); /* the second answer is dropped */
    number(reply, call, 0);
}

static void on_refuse(Test__Kitchen_Service *self,
                      const Test__Text *in,
                      Test__Number_Closure reply,
                      void *call)
{
    (void)self;
    if (in->text[0] == '\0') {
        reply(NULL, call);
    } else {
        ht_fail(call, HT_EDENIED, in->text);
    }
}

static void on_depth(Test__Kitchen_Service *self,
                     const Test__Tree *in,
                     Test__Number_Closure reply,
                     void *call)
{
    int64_t depth = 0;

    (void)self;
    for (; in != NULL; in = in->child) {
        depth++;
    }
    number(reply, call, depth);
}

static void on_nothing(Test__Kitchen_Service *self,
                       const Hardtack__None *in,
                       Test__Text_Closure reply,
                       void *call)
{
    Test__Text out = TEST__TEXT__INIT;
    char text[] = "nothing";

    (void)self;
    (void)in;
    out.text = text;
    reply(&out, call);
}

static void on_note(Test__Kitchen_Service *self,
                    const Test__Text *in,
                    Hardtack__None_Closure reply,
                    void *call)
{
    Hardtack__None none = HARDTACK__NONE__INIT;

    (void)self;
    CHECK(call == NULL);
    snprintf(noted, sizeof noted, "%s", in->text);
    noted_from = ht_service_from();
    reply(&none, call); /* nobody waits: does nothing */
    ht_fail(call, HT_EFAILED, "nor does this");
}

static void on_silent(Test__Kitchen_Service *self,
                      const Test__Number *in,
                      Test__Number_Closure reply,
                      void *call)
{
    (void)self;
    (void)in;
    (void)reply;
    (void)call;
}

static Test__Kitchen_Service kitchen = {
    .base = {.descriptor = &test__kitchen__descriptor,
             .invoke = protobuf_c_service_invoke_internal},
    .twice = on_twice,
    .later = on_later,
    .release = on_release,
    .refuse = on_refuse,
    .depth = on_depth,
    .nothing = on_nothing,
    .note = on_note,
    .missing = NULL,
    .silent = on_silent,
};

/* ---- answers
 * ------------------------------------------------------------------ */

struct answer {
    unsigned count;
    bool null;
    int64_t value;
    char text[32];
    ht_err err;
    char reason[64];
};

static void take(struct answer *answer, const void *message)
{
    const char *reason;

    answer->count++;
    answer->null = message == NULL;
    answer->err = ht_stub_error(&reason);
    snprintf(answer->reason, sizeof answer->reason, "%s", reason);
}

static void on_number(const Test__Number *message, void *arg)
{
    struct answer *answer = arg;

    take(answer, message);
    answer->value = message != NULL ? message->value : 0;
}

static void on_text(const Test__Text *message, void *arg)
{
    struct answer *answer = arg;

    take(answer, message);
    snprintf(answer->text, sizeof answer->text, "%s",
             message != NULL ? message->text : "");
}

static void on_none(const Hardtack__None *message, void *arg)
{
    take(arg, message);
}

/* ---- from an ordinary thread
 * ----------------------------------------------------- */

static struct host_threads threads;
static ht_node *node;
static ht_ref ref;
static ht_stub *stub;
static ProtobufCService *calls;

static int setup_threads(void **state)
{
    (void)state;
    later = NULL;
    noted[0] = '\0';
    node = host_threads_new(&threads, 2);
    CHECK_OK(ht_spawn_service(node, "kitchen", &kitchen.base, &ref));
    CHECK_OK(ht_stub_new(node, ref, &test__kitchen__descriptor, &stub));
    calls = ht_stub_service(stub);
    return 0;
}

static int teardown_threads(void **state)
{
    (void)state;
    ht_stub_free(stub);
    host_threads_free(&threads);
    return 0;
}

static void test_a_blocking_stub_has_the_answer_when_it_returns(void **state)
{
    Test__Number in = TEST__NUMBER__INIT;
    struct answer answer = {0};

    (void)state;
    in.value = 21;
    test__kitchen__twice(calls, &in, on_number, &answer);
    CHECK(answer.count == 1 && !answer.null);
    assert_int_equal(answer.value, 42);
    CHECK_OK(answer.err);
    CHECK_OK(ht_stub_error(NULL));
    in.value = 0; /* an empty message */
    test__kitchen__twice(calls, &in, on_number, &answer);
    CHECK(answer.count == 2 && answer.value == 0 && !answer.null);
}

static void test_a_handler_fails_and_lives(void **state)
{
    Test__Text in = TEST__TEXT__INIT;
    struct answer answer = {0};
    char text[] = "not today";

    (void)state;
    in.text = text;
    test__kitchen__refuse(calls, &in, on_number, &answer);
    CHECK(answer.count == 1 && answer.null);
    CHECK_ERR(answer.err, HT_EDENIED);
    assert_string_equal(answer.reason, "not today");
    text[0] = '\0';
    test__kitchen__refuse(calls, &in, on_number, &answer);
    CHECK(answer.count == 2 && answer.null);
    CHECK_ERR(answer.err, HT_EFAILED);
    CHECK(ht_is_alive(node, ref));
}

static void test_a_method_without_input_has_an_empty_block(void **state)
{
    Hardtack__None in = HARDTACK__NONE__INIT;
    struct answer answer = {0};
    ht_reply reply;

    (void)state;
    test__kitchen__nothing(calls, &in, on_text, &answer);
    assert_string_equal(answer.text, "nothing");
    /* As ractor calls a variant without fields; the reply is delimited. */
    CHECK_OK(ht_call_wait(node, ref, "Nothing", NULL, 0, 0, &reply));
    assert_int_equal(reply.len, 10);
    assert_memory_equal(reply.data, "\x09\x0a\x07nothing", 10);
    ht_reply_fini(&reply);
}

static void test_a_method_that_is_missing_is_no_variant(void **state)
{
    Test__Number in = TEST__NUMBER__INIT;
    struct answer answer = {0};
    ht_reply reply;

    (void)state;
    test__kitchen__missing(calls, &in, on_number, &answer);
    CHECK(answer.count == 1 && answer.null);
    CHECK_ERR(answer.err, HT_ENOVARIANT);
    CHECK_ERR(ht_call_wait(node, ref, "Nonsense", NULL, 0, 0, &reply),
              HT_ENOVARIANT);
    ht_reply_fini(&reply);
    /* A cast is not to be called. */
    CHECK_ERR(ht_call_wait(node, ref, "Note", NULL, 0, 0, &reply),
              HT_ENOVARIANT);
    ht_reply_fini(&reply);
}

static void test_a_silent_handler_times_out(void **state)
{
    Test__Number in = TEST__NUMBER__INIT;
    struct answer answer = {0};

    (void)state;
    ht_stub_set_timeout(stub, 1);
    test__kitchen__silent(calls, &in, on_number, &answer);
    CHECK(answer.count == 1 && answer.null);
    CHECK(answer.err == HT_ETIMEDOUT || answer.err == HT_EEXPIRED);
}

static void test_a_stub_to_nobody_says_so(void **state)
{
    Test__Number in = TEST__NUMBER__INIT;
    struct answer answer = {0};

    (void)state;
    CHECK_OK(ht_stop(node, ref, NULL));
    test__kitchen__twice(calls, &in, on_number, &answer);
    CHECK(answer.count == 1 && answer.null);
    CHECK_ERR(answer.err, HT_ENOPROC);
    CHECK_ERR(
        ht_stub_new(node, (ht_ref){0, 0}, &test__kitchen__descriptor, &stub),
        HT_EINVAL);
}

/* ---- the wire
 * -------------------------------------------------------------------- */

static ht_err call_bytes(const char *variant, const void *bytes, size_t len)
{
    ht_reply reply;
    ht_err err = ht_call_wait(node, ref, variant, bytes, len, 0, &reply);

    ht_reply_fini(&reply);
    return err;
}

static void test_the_bytes_are_ractors_prost_argument(void **state)
{
    static const char ok[] = "\0\0\0\0\0\0\0\3\2\x08\x15";
    ht_reply reply;

    (void)state;
    CHECK_OK(ht_call_wait(node, ref, "Twice", ok, 11, 0, &reply));
    assert_int_equal(reply.len, 3);
    assert_memory_equal(reply.data, "\2\x08\x2a", 3);
    ht_reply_fini(&reply);
}

static void test_arguments_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    CHECK_ERR(call_bytes("Twice", NULL, 0), HT_EARGS);
    CHECK_ERR(call_bytes("Twice", "\0\0\0\0\0\0\0\3\2\x08", 10), HT_EARGS);
    CHECK_ERR(call_bytes("Twice", "\0\0\0\0\0\0\0\3\2\x08\x15!", 12), HT_EARGS);
    CHECK_ERR(call_bytes("Twice", "\0\0\0\0\0\0\0\3\3\x08\x15", 11), HT_EARGS);
    CHECK_ERR(call_bytes("Twice", "\0\0\0\0\0\0\0\3\2\x08\xff", 11), HT_EARGS);
    CHECK_ERR(
        call_bytes("Twice", "\xff\xff\xff\xff\xff\xff\xff\xff\2\x08\x15", 11),
        HT_EARGS);
    /* A string that is not UTF-8. */
    CHECK_ERR(call_bytes("Refuse", "\0\0\0\0\0\0\0\4\3\x0a\1\xff", 12),
              HT_EARGS);
    CHECK(ht_is_alive(node, ref));
}

static void take_dropped(const ht_actor_info *info, void *arg)
{
    uint64_t *dropped = arg;

    if (ht_ref_equal(info->ref, ref)) {
        *dropped = info->dropped;
    }
}

/* Nobody waits for an answer, so what is not taken is at least counted. */
static void test_casts_that_are_not_taken_are_counted(void **state)
{
    uint64_t before = 0, dropped = 0;

    (void)state;
    ht_actor_each(node, take_dropped, &before);
    /* A call's method; one that there is not; bytes that are not its input. */
    CHECK_OK(ht_cast(node, ref, "Twice", "\0\0\0\0\0\0\0\3\2\x08\x15", 11));
    CHECK_OK(ht_cast(node, ref, "Nowhere", NULL, 0));
    CHECK_OK(ht_cast(node, ref, "Note", "!", 1));
    CHECK_ERR(call_bytes("Nowhere", NULL, 0), HT_ENOVARIANT); /* behind them */
    ht_actor_each(node, take_dropped, &dropped);
    assert_int_equal(dropped - before, 3);
    CHECK(ht_is_alive(node, ref));
}

/* A tree of one branch: message 1 in message 1 ... as deep as asked. */
static size_t tree(uint8_t *buf, size_t size, unsigned depth)
{
    size_t at = size;

    for (unsigned i = 1; i < depth; i++) {
        size_t len = size - at;

        if (len >= 128) {
            buf[--at] = (uint8_t)(len >> 7);
            buf[--at] = (uint8_t)(len | 0x80);
        } else {
            buf[--at] = (uint8_t)len;
        }
        buf[--at] = 0x0a;
    }
    memmove(buf, buf + at, size - at);
    return size - at;
}

static ht_err call_tree(unsigned depth)
{
    uint8_t buf[2048], args[2048 + 16];
    size_t len = tree(buf, sizeof buf, depth), at = 8;

    memset(args, 0, 8);
    if (len >= 128) {
        args[at++] = (uint8_t)(len | 0x80);
        args[at++] = (uint8_t)(len >> 7);
    } else {
        args[at++] = (uint8_t)len;
    }
    memcpy(args + at, buf, len);
    args[6] = (uint8_t)((at - 8 + len) >> 8);
    args[7] = (uint8_t)(at - 8 + len);
    return call_bytes("Depth", args, at + len);
}

static void test_nesting_is_bounded(void **state)
{
    (void)state;
    CHECK_OK(call_tree(1));
    CHECK_OK(call_tree(90));
    CHECK_OK(call_tree(100));
    CHECK_ERR(call_tree(101), HT_EARGS);
    CHECK_ERR(call_tree(600), HT_EARGS);
    CHECK(ht_is_alive(node, ref));
}

static void test_tools_find_the_descriptor(void **state)
{
    static const ht_behavior plain;
    ht_ref other;

    (void)state;
    CHECK(ht_service_descriptor(node, ref) == &test__kitchen__descriptor);
    CHECK_OK(ht_spawn(node, &plain, NULL, NULL, &other));
    CHECK(ht_service_descriptor(node, other) == NULL);
    CHECK(ht_service_descriptor(node, (ht_ref){1, ref.pid}) == NULL);
    CHECK(ht_ref_equal(ht_whereis(node, "kitchen"), ref));
}

/* ---- in handlers
 * ------------------------------------------------------------------ */

static struct host host;

/* An actor that does with its stub what the message says. */
struct client {
    ht_stub *stub;
    struct answer answer;
    struct answer first; /* what it was when the stub function returned */
};

static void client_number(const Test__Number *message, void *arg)
{
    CHECK(ht_current() != NULL);
    on_number(message, arg);
}

static ht_err client_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct client *client = ht_state(self);
    ProtobufCService *service = ht_stub_service(client->stub);
    const char *what = ht_msg_variant(msg);
    Test__Number in = TEST__NUMBER__INIT;
    Test__Text text = TEST__TEXT__INIT;
    char words[] = "hello";

    (void)call;
    in.value = 4;
    text.text = words;
    if (strcmp(what, "double") == 0) {
        test__kitchen__twice(service, &in, client_number, &client->answer);
    } else if (strcmp(what, "later") == 0) {
        test__kitchen__later(service, &in, client_number, &client->answer);
    } else if (strcmp(what, "release") == 0) {
        test__kitchen__release(service, &in, client_number, &client->first);
    } else if (strcmp(what, "note") == 0) {
        test__kitchen__note(service, &text, on_none, &client->answer);
    }
    client->first.count += client->answer.count;
    return HT_OK;
}

static const ht_behavior client_behavior = {.handle = client_handle};
static struct client client;
static ht_ref client_ref;

static int setup(void **state)
{
    (void)state;
    later = NULL;
    noted[0] = '\0';
    client = (struct client){.stub = NULL};
    node = host_new(&host);
    CHECK_OK(ht_spawn_service(node, NULL, &kitchen.base, &ref));
    CHECK_OK(ht_stub_new(node, ref, &test__kitchen__descriptor, &client.stub));
    CHECK_OK(ht_spawn(node, &client_behavior, &client, NULL, &client_ref));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_free(&host);
    ht_stub_free(client.stub);
    return 0;
}

static void tell(const char *what)
{
    CHECK_OK(ht_cast(node, client_ref, what, NULL, 0));
    host_run(&host);
}

static void test_in_a_handler_the_closure_runs_later(void **state)
{
    (void)state;
    tell("double");
    CHECK(client.first.count == 0);
    CHECK(client.answer.count == 1 && client.answer.value == 8);
}

static void test_an_answer_may_come_in_a_later_turn_and_once(void **state)
{
    (void)state;
    tell("later");
    CHECK(client.answer.count == 0);
    tell("release");
    CHECK(client.answer.count == 1 && client.answer.value == 4);
}

static void test_a_cast_arrives_with_its_sender(void **state)
{
    (void)state;
    tell("note");
    assert_string_equal(noted, "hello");
    CHECK(ht_ref_equal(noted_from, client_ref));
    CHECK(ht_ref_is_none(ht_service_from()));
    CHECK(client.answer.count == 1 && !client.answer.null);
}

static void test_a_call_that_cannot_be_made_answers_at_once(void **state)
{
    (void)state;
    CHECK_OK(ht_kill(node, ref));
    host_run(&host);
    tell("double");
    CHECK(client.first.count == 1);
    CHECK(client.answer.count == 1 && client.answer.null);
    CHECK_ERR(client.answer.err, HT_ENOPROC);
    tell("note");
    CHECK(client.answer.count == 2 && client.answer.null);
}

static void test_a_service_that_ends_answers_its_calls(void **state)
{
    (void)state;
    tell("later");
    CHECK_OK(ht_kill(node, ref));
    host_run(&host);
    CHECK(client.answer.count == 1 && client.answer.null);
    CHECK(client.answer.err != HT_OK);
}

/* The sanitizers see what would be left. */
static void test_a_client_that_ends_leaves_nothing(void **state)
{
    (void)state;
    tell("later");
    CHECK_OK(ht_kill(node, client_ref));
    host_run(&host);
    CHECK(client.answer.count == 0);
}

/* ---- around
 * -------------------------------------------------------------------------- */

static unsigned around_calls;

static ht_err around_init(ht_actor *self, void *arg)
{
    CHECK(strcmp(arg, "arg") == 0);
    ht_set_state(self, &around_calls);
    return around_calls == 100 ? HT_EIO : HT_OK;
}

static ht_err around_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    unsigned *calls_count = ht_state(self);

    ++*calls_count;
    if (call.id != 0) {
        ht_reply_ok(self, call, ht_msg_variant(msg), 3);
    }
    return HT_OK;
}

static void around_terminate(ht_actor *self, const ht_exit *why)
{
    unsigned *calls_count = ht_state(self);

    (void)why;
    *calls_count += 10;
}

static void test_a_behaviour_stands_around_the_service(void **state)
{
    static const ht_behavior around = {.init = around_init,
                                       .handle = around_handle,
                                       .terminate = around_terminate};
    char arg[] = "arg";
    ht_ref other;

    (void)state;
    around_calls = 0;
    CHECK_OK(
        ht_spawn_service_opts(node, &kitchen.base, &around, arg, NULL, &other));
    CHECK_OK(ht_cast(node, other, "unknown", NULL, 0));
    CHECK_OK(ht_cast(node, other, "Missing", NULL, 0));
    CHECK_OK(ht_cast(node, other, "Twice", NULL, 0)); /* not a cast */
    CHECK_OK(ht_cast(node, other, "Note", NULL, 0));  /* bad arguments */
    host_run(&host);
    assert_int_equal(around_calls, 3);
    CHECK_OK(ht_stop(node, other, NULL));
    host_run(&host);
    assert_int_equal(around_calls, 13);
    around_calls = 100;
    CHECK_ERR(
        ht_spawn_service_opts(node, &kitchen.base, &around, arg, NULL, &other),
        HT_EIO);
    CHECK_ERR(ht_spawn_service(node, NULL, NULL, &other), HT_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define THREADS(name)                                                          \
    cmocka_unit_test_setup_teardown(name, setup_threads, teardown_threads)

CHECK_MAIN(THREADS(test_a_blocking_stub_has_the_answer_when_it_returns),
           THREADS(test_a_handler_fails_and_lives),
           THREADS(test_a_method_without_input_has_an_empty_block),
           THREADS(test_a_method_that_is_missing_is_no_variant),
           THREADS(test_a_silent_handler_times_out),
           THREADS(test_a_stub_to_nobody_says_so),
           THREADS(test_the_bytes_are_ractors_prost_argument),
           THREADS(test_arguments_that_do_not_fit_are_refused),
           THREADS(test_casts_that_are_not_taken_are_counted),
           THREADS(test_nesting_is_bounded),
           THREADS(test_tools_find_the_descriptor),
           TEST(test_in_a_handler_the_closure_runs_later),
           TEST(test_an_answer_may_come_in_a_later_turn_and_once),
           TEST(test_a_cast_arrives_with_its_sender),
           TEST(test_a_call_that_cannot_be_made_answers_at_once),
           TEST(test_a_service_that_ends_answers_its_calls),
           TEST(test_a_client_that_ends_leaves_nothing),
           TEST(test_a_behaviour_stands_around_the_service))
