/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to other nodes: what the runtime asks of it and what it takes from
 * it, against a peer that only writes down. */
#include "actor/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"
#include "tests/lib/tracer.h"

#define PEER 0x2002u

static struct host host;
static ht_node *node;
static struct tracer a, b;

/* ---- the peer ---- */

static struct tracer peer; /* only its trace */
static ht_err cast_err, call_err, state_err, ask_err;
static bool down_in_call; /* the node goes down while call() runs */
static uint64_t last_tag, last_id;
static int ended;

static ht_err op_cast(void *arg, uint64_t handle, const struct hti_view *view)
{
    (void)arg;
    tracer_note(
        &peer, "cast(%llx.%llu:%.*s:%.*s%s%.*s) ", (unsigned long long)handle,
        (unsigned long long)view->to, (int)view->variant.len,
        (const char *)view->variant.data, (int)view->args.len,
        view->args.len > 0 ? (const char *)view->args.data : "",
        view->to_name.data != NULL ? ">" : "", (int)view->to_name.len,
        view->to_name.data != NULL ? (const char *)view->to_name.data : "");
    return cast_err;
}

static ht_err op_call(void *arg,
                      uint64_t handle,
                      const struct hti_view *view,
                      uint64_t tag,
                      uint32_t timeout_ms)
{
    (void)arg;
    last_tag = tag;
    tracer_note(&peer, "call(%.*s:%u) ", (int)view->variant.len,
                (const char *)view->variant.data, timeout_ms);
    if (down_in_call) {
        hti_rt_node_down(node, handle, HT_EIO);
    }
    return call_err;
}

static void op_reply(void *arg,
                     const struct hti_origin *origin,
                     ht_err err,
                     const char *reason,
                     const void *data,
                     size_t len)
{
    (void)arg;
    tracer_note(&peer, "reply(%llu:%s:%s%.*s) ",
                (unsigned long long)origin->tag, ht_errname(err), reason,
                (int)len, len > 0 ? (const char *)data : "");
}

static void op_cancel(void *arg, uint64_t handle, uint64_t to, uint64_t tag)
{
    (void)arg;
    (void)handle;
    CHECK(tag == last_tag);
    tracer_note(&peer, "cancel(%llu) ", (unsigned long long)to);
}

static uint64_t op_find_node(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "peer@host") == 0 ? PEER : 0;
}

static ht_err op_node_state(void *arg, uint64_t handle)
{
    (void)arg;
    return handle == PEER ? state_err : HT_ENOCONN;
}

static ht_err op_node_instance(void *arg, uint64_t handle, uint8_t instance[16])
{
    (void)arg;
    memset(instance, 0xee, 16);
    return handle == PEER ? HT_OK : HT_EINVAL;
}

static uint64_t op_node_of_instance(void *arg, const uint8_t instance[16])
{
    (void)arg;
    return instance[0] == 0xee ? PEER : 0;
}

static ht_err
op_monitor(void *arg, ht_ref target, uint64_t watcher, uint64_t id)
{
    (void)arg;
    (void)watcher;
    last_id = id;
    tracer_note(&peer, "monitor(%llu) ", (unsigned long long)target.pid);
    return ask_err;
}

static void
op_demonitor(void *arg, ht_ref target, uint64_t watcher, uint64_t id)
{
    (void)arg;
    (void)watcher;
    (void)id;
    tracer_note(&peer, "demonitor(%llu) ", (unsigned long long)target.pid);
}

static ht_err op_link(void *arg, ht_ref target, uint64_t local)
{
    (void)arg;
    (void)local;
    tracer_note(&peer, "link(%llu) ", (unsigned long long)target.pid);
    return ask_err;
}

static void op_unlink(void *arg, ht_ref target, uint64_t local)
{
    (void)arg;
    (void)local;
    tracer_note(&peer, "unlink(%llu) ", (unsigned long long)target.pid);
}

static void op_down(void *arg,
                    uint64_t handle,
                    uint64_t watcher,
                    uint64_t id,
                    uint64_t pid,
                    const ht_exit *why)
{
    (void)arg;
    (void)handle;
    (void)pid;
    tracer_note(&peer, "down(%llu:%llu:%s) ", (unsigned long long)watcher,
                (unsigned long long)id, ht_exit_name(why->kind));
}

static void
op_exit(void *arg, ht_ref target, uint64_t local, const ht_exit *why)
{
    (void)arg;
    (void)local;
    tracer_note(&peer, "exit(%llu:%s) ", (unsigned long long)target.pid,
                ht_exit_name(why->kind));
}

static ht_err op_stop(void *arg, ht_ref target, const ht_exit *why)
{
    (void)arg;
    tracer_note(&peer, "stop(%llu:%s) ", (unsigned long long)target.pid,
                ht_exit_name(why->kind));
    return HT_OK;
}

static void op_advertise(void *arg, uint64_t pid, const char *name)
{
    (void)arg;
    (void)pid;
    tracer_note(&peer, "advertise(%s) ", name);
}

static void op_withdraw(void *arg, uint64_t pid)
{
    (void)arg;
    (void)pid;
    tracer_note(&peer, "withdraw ");
}

static ht_err op_notify_writable(void *arg, ht_ref ref, uint64_t pid)
{
    (void)arg;
    (void)ref;
    (void)pid;
    return ask_err;
}

static void op_call_ended(void *arg, uint64_t handle)
{
    (void)arg;
    CHECK(handle == PEER);
    ended++;
}

static const struct hti_remote_ops ops = {
    .cast = op_cast,
    .call = op_call,
    .reply = op_reply,
    .cancel = op_cancel,
    .find_node = op_find_node,
    .node_state = op_node_state,
    .node_instance = op_node_instance,
    .node_of_instance = op_node_of_instance,
    .monitor = op_monitor,
    .demonitor = op_demonitor,
    .link = op_link,
    .unlink = op_unlink,
    .down = op_down,
    .exit = op_exit,
    .stop = op_stop,
    .advertise = op_advertise,
    .withdraw = op_withdraw,
    .notify_writable = op_notify_writable,
    .call_ended = op_call_ended,
};

static const ht_ref there = {.node = PEER, .pid = 7};

static int setup(void **state)
{
    (void)state;
    node = host_new(&host);
    hti_rt_set_remote(node, &ops, NULL);
    a = b = peer = (struct tracer){.echo = false};
    cast_err = call_err = state_err = ask_err = HT_OK;
    down_in_call = false;
    ended = 0;
    tracer_spawn(node, &a, NULL);
    tracer_spawn(node, &b, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_free(&host);
    return 0;
}

/* ---- out ---- */

static void test_casts_go_out(void **state)
{
    ht_msg *msg;

    (void)state;
    CHECK_OK(ht_cast(node, there, "v", "x", 1));
    CHECK_OK(ht_msg_new("m", "y", 1, &msg));
    CHECK_OK(ht_send(node, there, &msg));
    CHECK(msg == NULL);
    CHECK_OK(ht_cast_name(node, "peer@host", "bob", "n", NULL, 0));
    TRACER_CHECK(&peer, "cast(2002.7:v:x) cast(2002.7:m:y) "
                        "cast(2002.0:n:>bob) ");
    cast_err = HT_EBUSY;
    CHECK_ERR(ht_cast(node, there, "v", NULL, 0), HT_EBUSY);
    CHECK_ERR(ht_cast_name(node, "no@body", "bob", "n", NULL, 0), HT_ENOCONN);
    CHECK(ht_is_alive(node, there));
    CHECK_OK(ht_stop(node, there, "x"));
    CHECK_OK(ht_kill(node, there));
    CHECK_OK(ht_drain(node, there));
    TRACER_CHECK(&peer, "cast(2002.7:v:) stop(7:normal) stop(7:killed) "
                        "stop(7:drained) ");
}

static void call(ht_actor *self, void *arg)
{
    (void)arg;
    a.err = ht_call_async(self, there, "q", NULL, 0, 100, tracer_on_reply, &a,
                          &a.number);
}

static void a_calls(void)
{
    tracer_do(node, &a, call, NULL);
    host_run(&host);
}

static bool complete(uint64_t from, uint64_t to, ht_err err, const char *data)
{
    bool ok =
        hti_rt_complete_call(node, last_tag, from, to, err, (ht_bytes){"", 0},
                             (ht_bytes){data, strlen(data)}, NULL);

    host_run(&host);
    return ok;
}

static void test_a_call_is_answered_by_whom_it_asked_only(void **state)
{
    (void)state;
    a_calls();
    CHECK_OK(a.err);
    CHECK(hti_rt_calls_in_flight(node, PEER) == 1);
    CHECK(!complete(PEER + 1, 7, HT_OK, "forged"));
    CHECK(!complete(PEER, 8, HT_OK, "forged"));
    CHECK(!complete(0, 7, HT_OK, "forged"));
    CHECK(complete(PEER, 7, HT_OK, "answer"));
    CHECK(!complete(PEER, 7, HT_OK, "twice"));
    TRACER_CHECK(&a, "reply(HT_OK:answer) ");
    TRACER_CHECK(&peer, "call(q:100) ");
    CHECK(ended == 1);
    CHECK(hti_rt_calls_in_flight(node, PEER) == 0);
    for (uint64_t tag = 0; tag < 70; tag++) {
        CHECK(!hti_rt_complete_call(node, tag << 56 | tag << 17 | tag, PEER, 7,
                                    HT_OK, (ht_bytes){0}, (ht_bytes){0}, NULL));
    }
}

static void test_a_call_that_cannot_leave_is_an_error_only(void **state)
{
    (void)state;
    call_err = HT_EBUSY;
    a_calls();
    CHECK_ERR(a.err, HT_EBUSY);
    host_advance(&host, 1000);
    TRACER_CHECK(&a, "");
    TRACER_CHECK(&peer, "call(q:100) ");
    CHECK(ended == 0);
}

static void test_a_call_while_the_node_goes_down_ends_once(void **state)
{
    (void)state;
    down_in_call = true;
    a_calls();
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "reply(HT_ENODEDOWN:) ");
    CHECK(ended == 1);
    call_err = HT_ENOCONN;
    a_calls();
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "reply(HT_ENODEDOWN:) ");
    CHECK(ended == 1);
}

static void test_a_timeout_tells_the_peer(void **state)
{
    (void)state;
    a_calls();
    host_advance(&host, 100);
    TRACER_CHECK(&a, "reply(HT_ETIMEDOUT:) ");
    TRACER_CHECK(&peer, "call(q:100) cancel(7) ");
    CHECK(!complete(PEER, 7, HT_OK, "late"));
    CHECK(ended == 1);
}

static void cancel(ht_actor *self, void *arg)
{
    (void)arg;
    a.err = ht_call_cancel(self, a.number);
}

static void test_a_cancel_and_an_end_tell_the_peer(void **state)
{
    (void)state;
    a_calls();
    tracer_do(node, &a, cancel, NULL);
    host_run(&host);
    TRACER_CHECK(&peer, "call(q:100) cancel(7) ");
    a_calls();
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    TRACER_CHECK(&peer, "call(q:100) cancel(7) ");
    CHECK(ended == 2);
}

static void test_calls_fail_with_their_actor_or_node(void **state)
{
    (void)state;
    a_calls();
    hti_rt_fail_calls_to(node, (ht_ref){PEER, 8}, HT_ENOPROC);
    host_run(&host);
    TRACER_CHECK(&a, "");
    hti_rt_fail_calls_to(node, there, HT_ENOPROC);
    host_run(&host);
    TRACER_CHECK(&a, "reply(HT_ENOPROC:) ");
    a_calls();
    hti_rt_fail_calls(node, PEER + 1, HT_ENODEDOWN);
    host_run(&host);
    TRACER_CHECK(&a, "");
    hti_rt_node_down(node, PEER, HT_EIO);
    host_run(&host);
    TRACER_CHECK(&a, "reply(HT_ENODEDOWN:) ");
    CHECK(ended == 2);
}

static void test_a_large_answer_is_kept_not_copied(void **state)
{
    struct hti_buf *buf = hti_buf_new(10000);

    (void)state;
    memset(buf->data, 'x', 10000);
    a_calls();
    CHECK(hti_rt_complete_call(node, last_tag, PEER, 7, HT_OK, (ht_bytes){0},
                               (ht_bytes){buf->data, 10000}, buf));
    CHECK(atomic_load(&buf->refs) == 2);
    host_run(&host);
    CHECK(atomic_load(&buf->refs) == 1);
    hti_buf_unref(buf);
}

/* ---- in ---- */

static struct hti_view view_to(uint64_t pid, const char *variant)
{
    return (struct hti_view){.variant = {variant, strlen(variant)},
                             .args = {"x", 1},
                             .to = pid,
                             .from = 9};
}

static void test_casts_come_in_for_those_who_may_be_reached(void **state)
{
    struct hti_view view = view_to(a.ref.pid, "v");
    static struct tracer hidden, secret;

    (void)state;
    CHECK_OK(hti_rt_deliver_cast(node, (ht_ref){PEER, 9},
                                 HTI_AUTHORITY_REMOTABLE, &view));
    host_run(&host);
    TRACER_CHECK(&a, "v(x) ");
    CHECK(a.from.node == PEER && a.from.pid == 9);
    CHECK_ERR(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_ADVERTISED, &view),
        HT_EDENIED);
    CHECK_OK(ht_register(node, "a", a.ref));
    TRACER_CHECK(&peer, "advertise(a) ");
    CHECK_OK(hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_ADVERTISED,
                                 &view));

    view.to = 12345678;
    CHECK_ERR(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE, &view),
        HT_ENOPROC);
    view.to_name = (ht_bytes){"a", 1};
    CHECK_OK(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE, &view));
    view.to_name = (ht_bytes){"nobody", 6};
    CHECK_ERR(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE, &view),
        HT_ENOPROC);
    host_run(&host);

    tracer_spawn(node, &hidden, &(ht_spawn_opts){.local_only = true});
    view = view_to(hidden.ref.pid, "v");
    CHECK_ERR(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE, &view),
        HT_EDENIED);
    CHECK_OK(hti_rt_spawn_unlisted(node, &tracer_behavior, &secret,
                                   &(ht_spawn_opts){.name = "$secret"},
                                   &secret.ref));
    TRACER_CHECK(&peer, "");
    view = view_to(secret.ref.pid, "v");
    CHECK_OK(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE, &view));
    CHECK_ERR(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_ADVERTISED, &view),
        HT_EDENIED);
}

static void test_a_full_mailbox_is_an_overload(void **state)
{
    struct hti_view view = view_to(a.ref.pid, "");

    (void)state;
    for (int i = 0; i < 4096; i++) {
        CHECK_OK(hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE,
                                     &view));
    }
    CHECK_ERR(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE, &view),
        HT_EOVERLOAD);
}

static void test_a_large_message_is_kept_not_copied(void **state)
{
    struct hti_buf *buf = hti_buf_new(10000);
    struct hti_view view = {.variant = {"v", 1},
                            .args = {buf->data, 4096},
                            .to = a.ref.pid,
                            .owner = buf};

    (void)state;
    memset(buf->data, 'x', 10000);
    CHECK_OK(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE, &view));
    CHECK(atomic_load(&buf->refs) == 1);
    view.args.len = 4097;
    CHECK_OK(
        hti_rt_deliver_cast(node, (ht_ref){0}, HTI_AUTHORITY_REMOTABLE, &view));
    CHECK(atomic_load(&buf->refs) == 2);
    host_run(&host);
    CHECK(atomic_load(&buf->refs) == 1);
    hti_buf_unref(buf);
}

static ht_err
deliver(const struct tracer *to, uint64_t tag, uint32_t timeout_ms)
{
    struct hti_view view = view_to(to->ref.pid, "q");
    struct hti_origin origin = {
        .caller = {PEER, 9}, .node = PEER, .to = to->ref.pid, .tag = tag};

    return hti_rt_deliver_call(node, &origin, HTI_AUTHORITY_REMOTABLE, &view,
                               timeout_ms);
}

static void answer(ht_actor *self, void *arg)
{
    struct hti_origin origin;

    CHECK_OK(hti_rt_call_origin(self, a.calls[0], &origin));
    CHECK(origin.node == PEER && origin.caller.pid == 9);
    a.err = ht_reply_ok(self, a.calls[0], arg, strlen(arg));
    CHECK_ERR(hti_rt_call_origin(self, a.calls[0], &origin), HT_ENOENT);
}

static void test_calls_come_in_and_are_answered_once(void **state)
{
    (void)state;
    a.echo = true;
    CHECK_OK(deliver(&a, 1, 1000));
    host_run(&host);
    TRACER_CHECK(&peer, "reply(1:HT_OK:x) ");
    a.echo = false;
    CHECK_OK(deliver(&a, 2, HT_INFINITE));
    host_advance(&host, 100000);
    tracer_do(node, &a, answer, "later");
    host_run(&host);
    TRACER_CHECK(&peer, "reply(2:HT_OK:later) ");
}

static void test_calls_from_peers_are_reaped(void **state)
{
    (void)state;
    CHECK_OK(deliver(&a, 1, 50));
    host_advance(&host, 150);
    TRACER_CHECK(&peer, "reply(1:HT_EEXPIRED:) ");
    CHECK(hti_rt_is_idle(node));
    /* and what is late is not handled */
    a.trace[0] = '\0';
    CHECK_OK(deliver(&a, 2, 50));
    host.now_ns += 60000000;
    host_run(&host);
    TRACER_CHECK(&a, "");
    TRACER_CHECK(&peer, "reply(2:HT_EEXPIRED:) ");
}

static void test_a_cancelled_call_from_a_peer_is_not_handled(void **state)
{
    (void)state;
    CHECK_OK(deliver(&a, 1, 1000));
    CHECK_OK(deliver(&a, 2, 1000));
    hti_rt_deliver_cancel(node, PEER, 1);
    host_run(&host);
    TRACER_CHECK(&a, "?q(x) ");
    TRACER_CHECK(&peer, "reply(1:HT_ECANCELLED:) ");
}

static void test_calls_from_peers_end_with_the_actor(void **state)
{
    (void)state;
    CHECK_OK(deliver(&a, 1, 1000));
    host_run(&host);
    CHECK_OK(deliver(&a, 2, 1000));
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    TRACER_CHECK(&peer, "reply(1:HT_ENOPROC:actor ended) "
                        "reply(2:HT_ENOPROC:actor ended) ");
    CHECK_ERR(deliver(&a, 3, 1000), HT_ENOPROC);
    b.ret = HT_EIO;
    CHECK_OK(deliver(&b, 4, 1000));
    host_run(&host);
    TRACER_CHECK(&peer, "reply(4:HT_EFAILED:input or output failed) ");
}

/* ---- monitors and links across ---- */

static void monitor(ht_actor *self, void *arg)
{
    (void)arg;
    a.err = ht_monitor(self, there, &a.number);
}

static void demonitor(ht_actor *self, void *arg)
{
    (void)arg;
    a.err = ht_demonitor(self, a.number);
}

static void link_there(ht_actor *self, void *arg)
{
    (void)arg;
    ht_trap_exit(self, true);
    a.err = ht_link(self, there);
}

static void unlink_there(ht_actor *self, void *arg)
{
    (void)arg;
    a.err = ht_unlink(self, there);
}

static void step(void (*fn)(ht_actor *, void *))
{
    tracer_do(node, &a, fn, NULL);
    host_run(&host);
}

static void test_a_remote_monitor(void **state)
{
    ht_exit why = {.kind = HT_EXIT_FAILED, .text = "boom"};

    (void)state;
    step(monitor);
    CHECK_OK(a.err);
    hti_rt_remote_down(node, (ht_ref){PEER, 8}, a.ref.pid, last_id, &why);
    hti_rt_remote_down(node, there, b.ref.pid, last_id, &why);
    host_run(&host);
    TRACER_CHECK(&a, "");
    hti_rt_remote_down(node, there, a.ref.pid, last_id, &why);
    hti_rt_remote_down(node, there, a.ref.pid, last_id, &why);
    host_run(&host);
    TRACER_CHECK(&a, "down(failed:boom) ");
    step(monitor);
    step(demonitor);
    TRACER_CHECK(&peer, "monitor(7) monitor(7) demonitor(7) ");
    step(monitor);
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    TRACER_CHECK(&peer, "monitor(7) demonitor(7) ");
}

static void test_a_remote_monitor_that_cannot_be(void **state)
{
    (void)state;
    state_err = HT_ENOCONN;
    step(monitor);
    TRACER_CHECK(&a, "down(noconnection:) ");
    state_err = HT_ENOPROC;
    step(monitor);
    TRACER_CHECK(&a, "down(noproc:) ");
    state_err = HT_OK;
    ask_err = HT_ENOCONN;
    step(monitor);
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "down(noconnection:) ");
    ask_err = HT_EUNSUPPORTED;
    step(monitor);
    CHECK_ERR(a.err, HT_EUNSUPPORTED);
    step(link_there);
    CHECK_ERR(a.err, HT_EUNSUPPORTED);
    TRACER_CHECK(&a, "");
}

static void test_a_remote_link(void **state)
{
    ht_exit why = {.kind = HT_EXIT_KILLED, .text = "killed"};

    (void)state;
    step(link_there);
    hti_rt_remote_exit(node, there, a.ref.pid, &why);
    hti_rt_remote_exit(node, there, a.ref.pid, &why);
    host_run(&host);
    TRACER_CHECK(&a, "exit(killed:killed) ");
    step(link_there);
    step(unlink_there);
    step(link_there);
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    TRACER_CHECK(&peer, "link(7) link(7) unlink(7) link(7) exit(7:killed) ");
}

static void test_the_end_of_a_node_or_of_one_actor_of_it(void **state)
{
    ht_exit why = {.kind = HT_EXIT_NORMAL, .text = ""};

    (void)state;
    step(monitor);
    step(link_there);
    hti_rt_remote_ended(node, (ht_ref){PEER, 8}, &why);
    host_run(&host);
    TRACER_CHECK(&a, "");
    hti_rt_remote_ended(node, there, &why);
    host_run(&host);
    CHECK(strstr(a.trace, "down(normal:) ") != NULL &&
          strstr(a.trace, "exit(normal:) ") != NULL);
    a.trace[0] = '\0';
    step(monitor);
    hti_rt_node_down(node, PEER, HT_ETIMEDOUT);
    host_run(&host);
    TRACER_CHECK(&a, "down(noconnection:timed out) ");
    hti_rt_node_down(node, PEER, HT_ETIMEDOUT);
    hti_rt_node_down(node, 0, HT_OK);
    host_run(&host);
    TRACER_CHECK(&a, "");
}

static void test_peers_watch_local_actors(void **state)
{
    (void)state;
    CHECK_OK(hti_rt_remote_monitor(node, PEER, 9, 1, a.ref.pid));
    CHECK_OK(hti_rt_remote_monitor(node, PEER, 9, 1, a.ref.pid)); /* twice */
    CHECK_OK(hti_rt_remote_monitor(node, PEER, 9, 2, a.ref.pid));
    hti_rt_remote_demonitor(node, PEER, 9, 2, a.ref.pid);
    hti_rt_remote_demonitor(node, PEER, 9, 3, a.ref.pid);
    CHECK_OK(hti_rt_remote_link(node, there, a.ref.pid));
    CHECK_OK(hti_rt_remote_link(node, (ht_ref){PEER, 8}, a.ref.pid));
    hti_rt_remote_unlink(node, (ht_ref){PEER, 8}, a.ref.pid);
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    CHECK(strstr(peer.trace, "down(9:1:killed) ") != NULL &&
          strstr(peer.trace, "exit(7:killed) ") != NULL);
    CHECK(strlen(peer.trace) == strlen("down(9:1:killed) exit(7:killed) "));
    CHECK_ERR(hti_rt_remote_monitor(node, PEER, 9, 1, a.ref.pid), HT_ENOPROC);
    CHECK_ERR(hti_rt_remote_link(node, there, a.ref.pid), HT_ENOPROC);
}

static void test_a_node_that_goes_down_watches_nothing_more(void **state)
{
    (void)state;
    CHECK_OK(hti_rt_remote_monitor(node, PEER, 9, 1, a.ref.pid));
    hti_rt_node_down(node, PEER, HT_EIO);
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    TRACER_CHECK(&peer, "");
}

static void test_peers_stop_local_actors(void **state)
{
    ht_exit why = {.kind = HT_EXIT_NORMAL, .text = "by a peer"};

    (void)state;
    CHECK_OK(hti_rt_remote_stop(node, a.ref.pid, &why));
    why.kind = HT_EXIT_KILLED;
    CHECK_OK(hti_rt_remote_stop(node, b.ref.pid, &why));
    host_run(&host);
    TRACER_CHECK(&a, "end(normal:by a peer) ");
    TRACER_CHECK(&b, "end(killed:killed) ");
    CHECK_ERR(hti_rt_remote_stop(node, a.ref.pid, &why), HT_ENOPROC);
}

static void ask_writable(ht_actor *self, void *arg)
{
    (void)arg;
    a.err = ht_notify_writable(self, there);
}

static void test_writable_of_a_peer(void **state)
{
    (void)state;
    step(ask_writable);
    step(ask_writable);
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "");
    hti_rt_writable(node, there, b.ref.pid);
    hti_rt_writable(node, there, a.ref.pid);
    hti_rt_writable(node, there, a.ref.pid);
    host_run(&host);
    TRACER_CHECK(&a, "writable ");
    step(ask_writable);
    hti_rt_node_down(node, PEER, HT_EIO);
    host_run(&host);
    TRACER_CHECK(&a, "writable ");
    ask_err = HT_ENOCONN;
    step(ask_writable);
    CHECK_ERR(a.err, HT_ENOCONN);
    hti_rt_writable(node, there, a.ref.pid);
    host_run(&host);
    TRACER_CHECK(&a, "");
}

static void test_refs_of_peers_travel(void **state)
{
    uint8_t instance[16];
    ht_ref ref;

    (void)state;
    CHECK_OK(hti_rt_ref_out(node, there, instance));
    CHECK_OK(hti_rt_ref_in(node, instance, 7, &ref));
    CHECK(ht_ref_equal(ref, there));
    instance[0] = 1;
    CHECK_ERR(hti_rt_ref_in(node, instance, 7, &ref), HT_ENOMEM);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_casts_go_out),
           T(test_a_call_is_answered_by_whom_it_asked_only),
           T(test_a_call_that_cannot_leave_is_an_error_only),
           T(test_a_call_while_the_node_goes_down_ends_once),
           T(test_a_timeout_tells_the_peer),
           T(test_a_cancel_and_an_end_tell_the_peer),
           T(test_calls_fail_with_their_actor_or_node),
           T(test_a_large_answer_is_kept_not_copied),
           T(test_casts_come_in_for_those_who_may_be_reached),
           T(test_a_full_mailbox_is_an_overload),
           T(test_a_large_message_is_kept_not_copied),
           T(test_calls_come_in_and_are_answered_once),
           T(test_calls_from_peers_are_reaped),
           T(test_a_cancelled_call_from_a_peer_is_not_handled),
           T(test_calls_from_peers_end_with_the_actor),
           T(test_a_remote_monitor),
           T(test_a_remote_monitor_that_cannot_be),
           T(test_a_remote_link),
           T(test_the_end_of_a_node_or_of_one_actor_of_it),
           T(test_peers_watch_local_actors),
           T(test_a_node_that_goes_down_watches_nothing_more),
           T(test_peers_stop_local_actors),
           T(test_writable_of_a_peer),
           T(test_refs_of_peers_travel))
