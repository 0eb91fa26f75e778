/* SPDX-License-Identifier: Apache-2.0 */
/* Calls here: every way to end, and mailboxes at their bounds. */
#include "tests/lib/check.h"
#include "tests/lib/host.h"
#include "tests/lib/tracer.h"

static struct host host;
static ht_node *node;
static struct tracer caller, callee;

static int setup(void **state)
{
    (void)state;
    node = host_new(&host);
    caller = callee = (struct tracer){.echo = false};
    tracer_spawn(node, &caller, NULL);
    tracer_spawn(node, &callee, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    CHECK(hti_rt_calls_in_flight(node, HOST_HANDLE) == 0);
    host_free(&host);
    return 0;
}

static uint32_t timeout_ms;

static void call(ht_actor *self, void *arg)
{
    const char *variant = arg;

    caller.err = ht_call_async(self, callee.ref, variant, "data", 4, timeout_ms,
                               tracer_on_reply, &caller, &caller.number);
}

static void caller_calls(const char *variant, uint32_t ms)
{
    timeout_ms = ms;
    tracer_do(node, &caller, call, variant);
    host_run(&host);
}

static void reply_ok(ht_actor *self, void *arg)
{
    const char *data = arg;

    callee.err = ht_reply_ok(self, callee.calls[0], data, strlen(data));
}

static void callee_replies(const char *data)
{
    tracer_do(node, &callee, reply_ok, data);
    host_run(&host);
}

static void test_a_reply(void **state)
{
    (void)state;
    callee.echo = true;
    caller_calls("q", 0);
    CHECK_OK(caller.err);
    TRACER_CHECK(&callee, "?q(data) ");
    TRACER_CHECK(&caller, "reply(HT_OK:data) ");
    CHECK(ht_ref_equal(callee.from, caller.ref));
}

static void test_a_late_reply(void **state)
{
    (void)state;
    caller_calls("q", 0);
    TRACER_CHECK(&caller, "");
    CHECK(hti_rt_calls_in_flight(node, HOST_HANDLE) == 1);
    CHECK(!hti_rt_is_idle(node));
    callee_replies("later");
    TRACER_CHECK(&caller, "reply(HT_OK:later) ");
    callee_replies("again");
    CHECK_ERR(callee.err, HT_ENOENT);
    TRACER_CHECK(&caller, "");
}

static void reply_error(ht_actor *self, void *arg)
{
    callee.err =
        ht_reply_error(self, callee.calls[0], *(ht_err *)arg, "my words");
}

static void test_an_error_reply(void **state)
{
    ht_err codes[] = {HT_EDENIED, HT_EIO};

    (void)state;
    caller_calls("q", 0);
    tracer_do(node, &callee, reply_error, &codes[0]);
    host_run(&host);
    TRACER_CHECK(&caller, "reply(HT_EDENIED:my words) ");
    callee.calls_count = 0;
    caller_calls("q", 0);
    tracer_do(node, &callee, reply_error, &codes[1]);
    host_run(&host);
    TRACER_CHECK(&caller, "reply(HT_EFAILED:my words) ");
    CHECK(ht_is_alive(node, callee.ref));
}

static void test_a_timeout(void **state)
{
    (void)state;
    caller_calls("q", 100);
    host_advance(&host, 99);
    TRACER_CHECK(&caller, "");
    host_advance(&host, 1);
    TRACER_CHECK(&caller, "reply(HT_ETIMEDOUT:) ");
    /* and the callee's side was reaped */
    host_advance(&host, 100);
    callee_replies("too late");
    CHECK_ERR(callee.err, HT_ENOENT);
    CHECK(hti_rt_is_idle(node));
}

static void test_the_default_timeout_is_five_seconds(void **state)
{
    (void)state;
    caller_calls("q", 0);
    host_advance(&host, 4999);
    TRACER_CHECK(&caller, "");
    host_advance(&host, 1);
    TRACER_CHECK(&caller, "reply(HT_ETIMEDOUT:) ");
}

static void test_no_timeout(void **state)
{
    (void)state;
    caller_calls("q", HT_INFINITE);
    host_advance(&host, 1000000000);
    TRACER_CHECK(&caller, "");
    callee_replies("at last");
    TRACER_CHECK(&caller, "reply(HT_OK:at last) ");
}

static void test_a_call_that_is_late_is_not_handled(void **state)
{
    (void)state;
    timeout_ms = 10;
    tracer_do(node, &caller, call, "q");
    /* The caller's turn only; then time passes before the callee's. */
    hti_sched_turn(node, 0, 1);
    host.now_ns += 20000000;
    host_run(&host);
    TRACER_CHECK(&callee, "");
    TRACER_CHECK(&caller, "reply(HT_ETIMEDOUT:) ");
}

static void cancel(ht_actor *self, void *arg)
{
    (void)arg;
    caller.err = ht_call_cancel(self, caller.number);
}

static void test_a_cancelled_call_is_not_heard_of(void **state)
{
    (void)state;
    caller_calls("q", 0);
    tracer_do(node, &caller, cancel, NULL);
    host_run(&host);
    CHECK_OK(caller.err);
    callee_replies("nobody waits");
    TRACER_CHECK(&caller, "");
    tracer_do(node, &caller, cancel, NULL);
    host_run(&host);
    CHECK_ERR(caller.err, HT_ENOENT);
}

static void call_then_sleep_and_cancel(ht_actor *self, void *arg)
{
    callee.echo = true;
    call(self, arg);
    tracer_do(node, &caller, cancel, NULL);
}

/* The cancel is queued before the answer, so it comes first; and the other way
 * round: the answer is in the mailbox when the call is cancelled. */
static void test_cancel_when_the_answer_is_on_its_way(void **state)
{
    (void)state;
    timeout_ms = 0;
    tracer_do(node, &caller, call_then_sleep_and_cancel, "q");
    host_run(&host);
    CHECK_OK(caller.err);
    TRACER_CHECK(&caller, "");
    TRACER_CHECK(&callee, "?q(data) ");
}

static void test_a_cancelled_number_of_another_actor(void **state)
{
    (void)state;
    caller_calls("q", 0);
    /* callee tries to cancel caller's call */
    {
        struct tracer thief = {.echo = false};

        tracer_spawn(node, &thief, NULL);
        tracer_do(node, &thief, cancel, NULL);
        host_run(&host);
        CHECK_ERR(caller.err, HT_ENOENT);
        CHECK_OK(ht_kill(node, thief.ref));
        host_run(&host);
    }
    callee_replies("x");
    TRACER_CHECK(&caller, "reply(HT_OK:x) ");
}

static void test_the_callee_ends_with_the_call_open(void **state)
{
    (void)state;
    caller_calls("q", 0);
    CHECK_OK(ht_kill(node, callee.ref));
    host_run(&host);
    TRACER_CHECK(&caller, "reply(HT_ENOPROC:actor ended) ");
}

static void test_the_callee_fails_with_the_call_open(void **state)
{
    (void)state;
    callee.ret = HT_EIO;
    caller_calls("q", 0);
    TRACER_CHECK(&caller, "reply(HT_EFAILED:input or output failed) ");
    TRACER_CHECK(&callee, "?q(data) end(failed:input or output failed) ");
}

static void test_the_callee_ends_with_the_call_queued(void **state)
{
    (void)state;
    timeout_ms = 0;
    CHECK_OK(ht_cast(node, callee.ref, "a", NULL, 0));
    tracer_do(node, &caller, call, "q");
    callee.ret = HT_EIO;
    host_run(&host);
    TRACER_CHECK(&callee, "a() end(failed:input or output failed) ");
    /* Whether it was queued in time depends on who ran first. */
    CHECK(strstr(caller.trace, "HT_OK") == NULL);
}

static void test_the_callee_is_gone(void **state)
{
    (void)state;
    CHECK_OK(ht_kill(node, callee.ref));
    host_run(&host);
    caller_calls("q", 0);
    CHECK_ERR(caller.err, HT_ENOPROC);
    TRACER_CHECK(&caller, "");
}

static void test_the_caller_ends_first(void **state)
{
    (void)state;
    caller_calls("q", 0);
    CHECK_OK(ht_kill(node, caller.ref));
    host_run(&host);
    TRACER_CHECK(&caller, "end(killed:killed) ");
    callee_replies("nobody waits");
    CHECK_OK(callee.err);
    TRACER_CHECK(&caller, "");
}

static void test_refusals_answer_the_call(void **state)
{
    (void)state;
    callee.ret = HT_ENOVARIANT;
    caller_calls("q", 0);
    TRACER_CHECK(&caller, "reply(HT_ENOVARIANT:) ");
    callee.ret = HT_EARGS;
    caller_calls("q", 0);
    TRACER_CHECK(&caller, "reply(HT_EARGS:) ");
    CHECK(ht_is_alive(node, callee.ref));
}

static void test_no_handler_is_no_variant(void **state)
{
    static const ht_behavior bare;

    (void)state;
    CHECK_OK(ht_kill(node, callee.ref));
    CHECK_OK(ht_spawn(node, &bare, NULL, NULL, &callee.ref));
    caller_calls("q", 0);
    TRACER_CHECK(&caller, "reply(HT_ENOVARIANT:) ");
}

static void test_a_call_to_oneself(void **state)
{
    (void)state;
    callee.ref = caller.ref;
    caller.echo = true;
    caller_calls("me", 0);
    TRACER_CHECK(&caller, "?me(data) reply(HT_OK:data) ");
}

static void call_name(ht_actor *self, void *arg)
{
    caller.err = ht_call_name_async(self, NULL, arg, "q", NULL, 0, 0,
                                    tracer_on_reply, &caller, NULL);
}

static void test_calls_and_casts_by_name(void **state)
{
    (void)state;
    CHECK_OK(ht_register(node, "callee", callee.ref));
    callee.echo = true;
    tracer_do(node, &caller, call_name, "callee");
    host_run(&host);
    TRACER_CHECK(&caller, "reply(HT_OK:) ");
    tracer_do(node, &caller, call_name, "nobody");
    host_run(&host);
    CHECK_ERR(caller.err, HT_ENOPROC);
    CHECK_OK(ht_cast_name(node, NULL, "callee", "a", "b", 1));
    CHECK_OK(ht_cast_name(node, "test@localhost", "callee", "c", NULL, 0));
    CHECK_ERR(ht_cast_name(node, NULL, "nobody", "a", NULL, 0), HT_ENOPROC);
    CHECK_ERR(ht_cast_name(node, "x@y", "callee", "a", NULL, 0), HT_ENOCONN);
    CHECK_ERR(ht_cast_name(node, NULL, NULL, "a", NULL, 0), HT_EINVAL);
    host_run(&host);
    TRACER_CHECK(&callee, "?q() a(b) c() ");
}

static void test_calls_outside_a_handler_are_refused(void **state)
{
    ht_reply reply;

    (void)state;
    CHECK_ERR(ht_call_async(NULL, callee.ref, "q", NULL, 0, 0, tracer_on_reply,
                            NULL, NULL),
              HT_EINVAL);
    CHECK_ERR(ht_call_wait(node, callee.ref, "q", NULL, 0, 0, &reply),
              HT_EINVAL);
    ht_reply_fini(&reply);
    ht_reply_fini(&reply);
    ht_reply_fini(NULL);
}

static void many_calls(ht_actor *self, void *arg)
{
    int *n = arg;

    for (int i = 0; i < *n; i++) {
        CHECK_OK(ht_call_async(self, callee.ref, "q", NULL, 0, 0,
                               tracer_on_reply, &caller, NULL));
    }
}

static void test_many_calls_open_at_once_end_with_the_callee(void **state)
{
    int n = 3000;
    struct hti_rt_stats stats;

    (void)state;
    tracer_do(node, &caller, many_calls, &n);
    host_run(&host);
    hti_rt_stats(node, &stats);
    CHECK(stats.calls == 3000);
    CHECK_OK(ht_kill(node, callee.ref));
    host_run(&host);
    hti_rt_stats(node, &stats);
    CHECK(stats.calls == 0);
    /* Records are used again. */
    caller.trace[0] = '\0';
    callee = (struct tracer){.echo = true};
    tracer_spawn(node, &callee, NULL);
    tracer_do(node, &caller, many_calls, &n);
    host_run(&host);
}

static void test_the_reaper_follows_the_earliest_deadline(void **state)
{
    (void)state;
    caller_calls("slow", 10000);
    caller_calls("fast", 50);
    host_advance(&host, 49);
    CHECK(callee.calls_count == 2);
    host_advance(&host, 200);
    /* the second was reaped, the first is open */
    callee.calls[0] = callee.calls[1];
    callee_replies("late");
    CHECK_ERR(callee.err, HT_ENOENT);
    CHECK(!hti_rt_is_idle(node));
    host_advance(&host, 10000);
    CHECK(hti_rt_is_idle(node));
    TRACER_CHECK(&caller, "reply(HT_ETIMEDOUT:) reply(HT_ETIMEDOUT:) ");
}

/* ---- bounds ---- */

static void test_a_mailbox_refuses_at_its_number(void **state)
{
    struct tracer p = {.echo = false};

    (void)state;
    tracer_spawn(node, &p, &(ht_spawn_opts){.mailbox_messages_max = 2});
    CHECK_OK(ht_cast(node, p.ref, "a", NULL, 0));
    CHECK_OK(ht_cast(node, p.ref, "b", NULL, 0));
    CHECK_ERR(ht_cast(node, p.ref, "c", NULL, 0), HT_EBUSY);
    callee.ref = p.ref;
    caller_calls("q", 0);
    host_run(&host);
    CHECK_OK(ht_cast(node, p.ref, "d", NULL, 0));
    host_run(&host);
    CHECK(strncmp(p.trace, "a() b() ", 8) == 0);
    CHECK_OK(ht_kill(node, p.ref));
    host_run(&host);
}

static void test_a_mailbox_refuses_at_its_bytes(void **state)
{
    struct tracer p = {.echo = false};
    char big[200] = {'x'};

    (void)state;
    tracer_spawn(node, &p, &(ht_spawn_opts){.mailbox_bytes_max = 100});
    CHECK_OK(ht_cast(node, p.ref, "", big, 60));
    CHECK_ERR(ht_cast(node, p.ref, "", big, 60), HT_EBUSY);
    CHECK_OK(ht_cast(node, p.ref, "", big, 40));
    host_run(&host);
    /* an empty one takes anything */
    CHECK_OK(ht_cast(node, p.ref, "", big, sizeof(big)));
    CHECK_ERR(ht_cast(node, p.ref, "", big, 1), HT_EBUSY);
    CHECK_OK(ht_kill(node, p.ref));
    host_run(&host);
}

static void test_the_default_bound_is_4096_messages(void **state)
{
    (void)state;
    for (int i = 0; i < 4096; i++) {
        CHECK_OK(ht_cast(node, callee.ref, "", NULL, 0));
    }
    CHECK_ERR(ht_cast(node, callee.ref, "", NULL, 0), HT_EBUSY);
}

static void ask_writable(ht_actor *self, void *arg)
{
    caller.err = ht_notify_writable(self, *(ht_ref *)arg);
}

static void test_writable_comes_when_the_mailbox_is_half_empty(void **state)
{
    (void)state;
    for (int i = 0; i < 4096; i++) {
        CHECK_OK(ht_cast(node, callee.ref, "", NULL, 0));
    }
    tracer_do(node, &caller, ask_writable, &callee.ref);
    /* callee became runnable first: 64 messages, then the caller's request */
    hti_sched_turn(node, 0, 65);
    CHECK_OK(caller.err);
    TRACER_CHECK(&caller, "");
    host_run(&host);
    TRACER_CHECK(&caller, "writable ");
    tracer_do(node, &caller, ask_writable, &callee.ref);
    host_run(&host);
    TRACER_CHECK(&caller, "writable ");
    CHECK_OK(ht_kill(node, callee.ref));
    host_run(&host);
    tracer_do(node, &caller, ask_writable, &callee.ref);
    host_run(&host);
    CHECK_ERR(caller.err, HT_ENOPROC);
}

static void test_messages_are_checked_when_they_are_made(void **state)
{
    ht_msg *msg = NULL;
    static char variant[70000];

    (void)state;
    memset(variant, 'v', sizeof(variant) - 1);
    CHECK_ERR(ht_msg_new("\xff", NULL, 0, &msg), HT_EINVAL);
    CHECK_ERR(ht_msg_new(variant, NULL, 0, &msg), HT_ETOOBIG);
    CHECK_ERR(ht_msg_new("a", NULL, 1, &msg), HT_EINVAL);
    CHECK_ERR(ht_cast(node, callee.ref, "\xff", NULL, 0), HT_EINVAL);
    CHECK_ERR(ht_cast(node, (ht_ref){0}, "a", NULL, 0), HT_ENOPROC);
    CHECK_ERR(ht_cast(node, (ht_ref){77, 1}, "a", NULL, 0), HT_ENOCONN);
    CHECK_OK(ht_msg_new(NULL, "abc", 3, &msg));
    CHECK_OK(ht_msg_set_metadata(msg, "mm", 2));
    CHECK_OK(ht_msg_set_metadata(msg, "meta", 4));
    assert_string_equal(ht_msg_variant(msg), "");
    CHECK(ht_msg_args(msg).len == 3 && ht_msg_metadata(msg).len == 4);
    CHECK_ERR(ht_send(node, (ht_ref){77, 1}, &msg), HT_ENOCONN);
    CHECK(msg != NULL);
    CHECK_OK(ht_send(node, callee.ref, &msg));
    CHECK(msg == NULL);
    CHECK_ERR(ht_send(node, callee.ref, &msg), HT_EINVAL);
    host_run(&host);
    TRACER_CHECK(&callee, "(abc) ");
    ht_msg_free(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_a_reply),
           T(test_a_late_reply),
           T(test_an_error_reply),
           T(test_a_timeout),
           T(test_the_default_timeout_is_five_seconds),
           T(test_no_timeout),
           T(test_a_call_that_is_late_is_not_handled),
           T(test_a_cancelled_call_is_not_heard_of),
           T(test_cancel_when_the_answer_is_on_its_way),
           T(test_a_cancelled_number_of_another_actor),
           T(test_the_callee_ends_with_the_call_open),
           T(test_the_callee_fails_with_the_call_open),
           T(test_the_callee_ends_with_the_call_queued),
           T(test_the_callee_is_gone),
           T(test_the_caller_ends_first),
           T(test_refusals_answer_the_call),
           T(test_no_handler_is_no_variant),
           T(test_a_call_to_oneself),
           T(test_calls_and_casts_by_name),
           T(test_calls_outside_a_handler_are_refused),
           T(test_many_calls_open_at_once_end_with_the_callee),
           T(test_the_reaper_follows_the_earliest_deadline),
           T(test_a_mailbox_refuses_at_its_number),
           T(test_a_mailbox_refuses_at_its_bytes),
           T(test_the_default_bound_is_4096_messages),
           T(test_writable_comes_when_the_mailbox_is_half_empty),
           T(test_messages_are_checked_when_they_are_made))
