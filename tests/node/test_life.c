/* SPDX-License-Identifier: Apache-2.0 */
/* A node's life: run, stop, drain, reload, free; and single-threaded ones, that
 * a program's own loop drives. */
#include <signal.h>

#include "tests/node/fixture.h"

/* ---- single-threaded ---------------------------------------------------- */

/* poll(2) on ht_node_fd(), and a round whenever it is readable. */
static bool turn(ht_node *node)
{
    struct pollfd p = {.fd = ht_node_fd(node), .events = POLLIN};

    if (poll(&p, 1, 1000) > 0) {
        CHECK_OK(ht_node_poll(node, 0));
        return true;
    }
    return false;
}

struct caller {
    ht_ref self;
    unsigned answers;
    unsigned timers;
};

static void on_echo(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct caller *caller = arg;

    CHECK_OK(reply->err);
    assert_int_equal(reply->len, 3);
    if (++caller->answers < 100) {
        CHECK_OK(ht_call_name_async(self, "server@localhost", "echo", "Echo",
                                    "abc", 3, PATIENCE_MS, on_echo, caller,
                                    NULL));
    }
}

static ht_err caller_init(ht_actor *self, void *arg)
{
    uint64_t timer;

    ht_set_state(self, arg);
    return ht_timer_start(self, 1, 1, NULL, &timer);
}

static ht_err caller_event(ht_actor *self, const ht_event *event)
{
    struct caller *caller = ht_state(self);

    if (event->kind == HT_EVENT_TIMER) {
        caller->timers++;
    }
    return HT_OK;
}

static ht_err caller_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)msg;
    (void)call;
    return ht_call_name_async(self, "server@localhost", "echo", "Echo", "abc",
                              3, PATIENCE_MS, on_echo, ht_state(self), NULL);
}

static const ht_behavior caller_behavior = {
    .init = caller_init,
    .handle = caller_handle,
    .on_event = caller_event,
};

static void driven(ht_encryption encryption)
{
    struct log log = LOG_INIT;
    ht_config cd = node_config("driven", encryption, &log);
    ht_config cs = node_config("server", encryption, &log);
    struct caller caller = {0};
    struct echo echo = {0};
    ht_node *node, *server;
    char buf[64];

    cd.single_threaded = true;
    node = node_start(&cd);
    server = node_start(&cs);
    CHECK(ht_node_fd(node) >= 0);
    assert_int_equal(ht_node_fd(server), -1);
    CHECK_ERR(ht_node_poll(server, 0), HT_EINVAL);
    echo_spawn(server, &echo);
    CHECK_OK(ht_spawn(node, &caller_behavior, &caller, NULL, &caller.self));
    /* Dialled by itself and, as a listener, by the other. */
    CHECK_OK(ht_connect(node, node_address(server, buf), NULL));
    while (ready_peers(node) == 0) {
        CHECK(turn(node));
    }
    CHECK_OK(ht_cast(node, caller.self, "Go", "", 0));
    while (caller.answers < 100 || caller.timers < 3) {
        CHECK(turn(node));
    }
    /* Work that another thread makes shows too. */
    CHECK_OK(ht_cast(node, caller.self, "Go", "", 0));
    while (caller.answers < 101) {
        CHECK(turn(node));
    }
    ht_node_free(node);
    ht_node_free(server);
    log_fini(&log);
}

static void test_driven_by_poll(void **state)
{
    (void)state;
    driven(HT_ENCRYPT_NONE);
    driven(HT_ENCRYPT_COOKIE);
}

/* With nothing to do the descriptor is quiet: a program may sleep on it. */
static void test_quiet_descriptor(void **state)
{
    struct log log = LOG_INIT;
    ht_config config = node_config("quiet", HT_ENCRYPT_COOKIE, &log);
    struct pollfd p = {.events = POLLIN};
    unsigned rounds = 0;
    ht_node *node;

    (void)state;
    config.single_threaded = true;
    node = node_start(&config);
    p.fd = ht_node_fd(node);
    while (poll(&p, 1, 50) > 0) {
        CHECK_OK(ht_node_poll(node, 0));
        CHECK(++rounds < 1000);
    }
    ht_node_free(node);
    log_fini(&log);
}

/* ---- run and stop ------------------------------------------------------- */

static ht_node *signalled;

static void on_signal(int signo)
{
    (void)signo;
    ht_node_stop(signalled);
}

static void run_until_signal(bool single_threaded)
{
    struct log log = LOG_INIT;
    ht_config config = node_config("runs", HT_ENCRYPT_COOKIE, &log);
    struct sigaction action = {.sa_handler = on_signal};
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGUSR1};
    struct itimerspec when = {.it_value.tv_nsec = 20000000};
    ht_node *node;

    config.single_threaded = single_threaded;
    node = node_start(&config);
    signalled = node;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &when, NULL) == 0);
    CHECK_OK(ht_node_run(node));
    timer_delete(timer);
    /* A stop before the run counts as well. */
    ht_node_stop(node);
    CHECK_OK(ht_node_run(node));
    ht_node_free(node);
    log_fini(&log);
}

static void test_run_until_signal(void **state)
{
    (void)state;
    run_until_signal(false);
    run_until_signal(true);
}

/* ---- drain -------------------------------------------------------------- */

static void test_drain(void **state)
{
    static uint8_t chunk[1000];
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    struct echo echo = {0};
    unsigned long sent = 0;
    ht_node *a = node_start(&ca);
    ht_node *b = node_start(&cb);
    char buf[64];
    ht_ref ref;

    (void)state;
    echo_spawn(b, &echo);
    CHECK_OK(ht_client_connect(a, node_address(b, buf), NULL));
    while (sent < 5000 && ht_cast_name(a, "b@localhost", "echo", "Cast", chunk,
                                       sizeof(chunk)) == HT_OK) {
        sent++;
    }
    CHECK_OK(ht_node_drain(a, 0));
    CHECK_ERR(ht_spawn(a, &echo_behavior, &echo, NULL, &ref), HT_ECLOSED);
    /* All of it has left: the node may go, and all of it arrives. */
    ht_node_free(a);
    WAIT_FOR(atomic_load(&echo.casts) == sent);
    ht_node_free(b);
    log_fini(&log);
}

/* ---- reload ------------------------------------------------------------- */

/* A cookie is rotated by adding, reordering and removing, without a session
 * being lost. */
static void test_rotate_cookie(void **state)
{
    struct log log = LOG_INIT;
    char *dir = temp_dir();
    char *path = temp_path(dir, "cookie");
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    ht_config cc = node_config("c", HT_ENCRYPT_COOKIE, &log);
    ht_connect_opts once = {.once = true};
    struct echo echo = {0};
    ht_node *a, *b, *c;
    char buf[64];

    (void)state;
    write_file(path, COOKIE "\n", 0600);
    ca.cookie = NULL;
    ca.cookie_file = path;
    cc.cookie = OTHER_COOKIE;
    a = node_start(&ca);
    b = node_start(&cb);
    c = node_start(&cc);
    echo_spawn(a, &echo);
    CHECK_OK(ht_client_connect(b, node_address(a, buf), NULL));
    CHECK_ERR(ht_client_connect(c, node_address(a, buf), &once), HT_EAUTH);

    write_file(path, COOKIE "\n" OTHER_COOKIE "\n", 0600);
    CHECK_OK(ht_node_reload(a));
    CHECK_OK(ht_client_connect(c, node_address(a, buf), &once));
    check_echo(b, "a@localhost", "old", 3);
    check_echo(c, "a@localhost", "new", 3);

    /* A mistake changes nothing. */
    write_file(path, "oops\n", 0644);
    CHECK_ERR(ht_node_reload(a), HT_EACCES);
    log_expect(&log, "HT-NODE-RELOAD", "by others");
    ht_node_free(c);
    c = node_start(&cc);
    CHECK_OK(ht_client_connect(c, node_address(a, buf), &once));

    /* The old one goes: its sessions stay, new ones are refused. */
    write_file(path, OTHER_COOKIE "\n", 0600);
    CHECK_OK(ht_node_reload(a));
    check_echo(b, "a@localhost", "old", 3);
    check_echo(c, "a@localhost", "new", 3);
    CHECK_OK(ht_disconnect(b, "a@localhost"));
    WAIT_FOR(ready_peers(b) == 0);
    CHECK_ERR(ht_client_connect(b, node_address(a, buf), &once), HT_EAUTH);

    ht_node_free(a);
    ht_node_free(b);
    ht_node_free(c);
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    log_fini(&log);
}

/* ---- free with everything in flight ------------------------------------- */

struct thread_call {
    ht_node *node;
    ht_err err;
};

static void *call_never(void *arg)
{
    struct thread_call *call = arg;
    ht_reply reply;

    call->err = ht_call_name_wait(call->node, "b@localhost", "echo", "Never",
                                  "", 0, PATIENCE_MS, &reply);
    ht_reply_fini(&reply);
    return NULL;
}

static void calls_grow(const ht_peer_info *info, void *arg)
{
    *(uint64_t *)arg += info->calls_in_flight;
}

static uint64_t calls_in_flight(ht_node *node)
{
    uint64_t count = 0;

    ht_peer_each(node, calls_grow, &count);
    return count;
}

static void in_flight(ht_encryption encryption)
{
    static uint8_t chunk[300000];
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", encryption, &log);
    ht_config cb = node_config("b", encryption, &log);
    ht_peer_config seeds[3] = {
        {.address = "127.0.0.1:1"},
        {.address = "192.0.2.1:4697"}, /* nobody's: the dial hangs */
        {.address = "hangs.invalid:4697"},
    };
    struct thread_call call = {0};
    struct echo echo = {0};
    ht_node *a, *b;
    pthread_t thread;
    int stranger;
    char buf[64];

    ca.peers_list = seeds;
    ca.peers_list_count = 3;
    ca.redial_min_ms = ca.redial_max_ms = 1;
    a = node_start(&ca);
    b = node_start(&cb);
    echo_spawn(b, &echo);
    stranger = raw_connect(ht_node_port(b));
    CHECK_OK(ht_client_connect(a, node_address(b, buf), NULL));
    call.node = a;
    pthread_create(&thread, NULL, call_never, &call);
    WAIT_FOR(calls_in_flight(a) == 1);
    for (unsigned i = 0; i < 20; i++) {
        ht_err err = ht_cast_name(a, "b@localhost", "echo", "Cast", chunk,
                                  sizeof(chunk));

        CHECK(err == HT_OK || err == HT_EBUSY);
    }
    /* b goes first: the call fails, the seeds are still being dialled. */
    ht_node_free(b);
    pthread_join(thread, NULL);
    /* Its actor ended, or its node did. */
    CHECK(call.err == HT_ENOPROC || call.err == HT_ENODEDOWN);
    ht_node_free(a);
    close(stranger);
    log_fini(&log);
}

static void test_free_in_flight(void **state)
{
    (void)state;
    in_flight(HT_ENCRYPT_NONE);
    in_flight(HT_ENCRYPT_COOKIE);
}

/* ---- work that outlives its actor ------------------------------------------
 */

struct work {
    ht_node *node;
    _Atomic bool began, freeing, ended;
    unsigned refused;
};

/* Sends across the link until it has been refused often: by then the link is
 * closed, and the cluster must still be there to say so. */
static void work_send(void *arg)
{
    struct work *work = arg;

    atomic_store(&work->began, true);
    while (!atomic_load(&work->freeing) || work->refused < 200) {
        struct timespec pause = {.tv_nsec = 100000};

        work->refused += ht_cast_name(work->node, "b@localhost", "echo", "Cast",
                                      "x", 1) != HT_OK;
        nanosleep(&pause, NULL);
    }
    atomic_store(&work->ended, true);
}

static void work_done(ht_actor *self, void *arg)
{
    (void)self;
    (void)arg;
}

static ht_err worker_init(ht_actor *self, void *arg)
{
    return ht_block(self, work_send, work_done, NULL, arg);
}

static const ht_behavior worker_behavior = {
    .init = worker_init,
    .handle = caller_handle,
};

static void test_free_waits_for_blocking_work(void **state)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    struct echo echo = {0};
    struct work work = {0};
    ht_node *a, *b;
    ht_ref ref;
    char buf[64];

    (void)state;
    a = node_start(&ca);
    b = node_start(&cb);
    echo_spawn(b, &echo);
    CHECK_OK(ht_client_connect(a, node_address(b, buf), NULL));
    work.node = a;
    CHECK_OK(ht_spawn(a, &worker_behavior, &work, NULL, &ref));
    WAIT_FOR(atomic_load(&work.began));
    atomic_store(&work.freeing, true);
    ht_node_free(a);
    CHECK(atomic_load(&work.ended));
    ht_node_free(b);
    log_fini(&log);
}

/* Started and freed at once, again and again: nothing is left. */
static void test_start_and_free(void **state)
{
    struct log log = LOG_INIT;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        ht_config config = node_config("brief", HT_ENCRYPT_COOKIE, &log);

        config.threads = 1 + i % 3;
        config.single_threaded = i % 4 == 3;
        ht_node_free(node_start(&config));
    }
    log_fini(&log);
}

CHECK_MAIN(cmocka_unit_test(test_driven_by_poll),
           cmocka_unit_test(test_quiet_descriptor),
           cmocka_unit_test(test_run_until_signal),
           cmocka_unit_test(test_drain),
           cmocka_unit_test(test_rotate_cookie),
           cmocka_unit_test(test_free_in_flight),
           cmocka_unit_test(test_free_waits_for_blocking_work),
           cmocka_unit_test(test_start_and_free))
