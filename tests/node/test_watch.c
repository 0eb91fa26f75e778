/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that actors watch, on a real loop. */
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/node/fixture.h"

/* Reads a byte of the pipe only once it has been called. */
struct reader {
    int fd;
    bool may_read;
    _Atomic unsigned looks;
    _Atomic unsigned bytes;
};

static ht_err reader_ready(ht_actor *self, int fd, int events, void *arg)
{
    struct reader *r = arg;
    char byte;

    (void)self;
    (void)events;
    atomic_fetch_add(&r->looks, 1);
    if (r->may_read && read(fd, &byte, 1) == 1) {
        atomic_fetch_add(&r->bytes, 1);
    }
    return HT_OK;
}

static ht_err reader_init(ht_actor *self, void *arg)
{
    struct reader *r = arg;

    ht_set_state(self, r);
    return ht_watch(self, r->fd, HT_READ, reader_ready, r);
}

static ht_err reader_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct reader *r = ht_state(self);

    (void)msg;
    r->may_read = true;
    return call.id != 0 ? ht_reply_ok(self, call, NULL, 0) : HT_OK;
}

/* Level-triggered, and nobody is starved: the loop goes on while a descriptor
 * stays readable, for its actor and for others. */
static void test_descriptor_that_stays_readable(void **state)
{
    static const ht_behavior behavior = {
        .init = reader_init,
        .handle = reader_handle,
    };
    struct log log = LOG_INIT;
    ht_config config = node_config("a", HT_ENCRYPT_NONE, &log);
    struct reader r = {0};
    struct echo echo = {0};
    ht_reply reply = {0};
    ht_node *node;
    ht_ref ref;
    int fds[2];

    (void)state;
    config.threads = 1;
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    r.fd = fds[0];
    node = node_start(&config);
    (void)echo_spawn(node, &echo);
    CHECK_OK(ht_spawn(node, &behavior, &r, NULL, &ref));
    WAIT_FOR(atomic_load(&r.looks) >= 3);
    assert_int_equal(atomic_load(&r.bytes), 0);
    CHECK_OK(ht_call_name_wait(node, NULL, "echo", "Call", "x", 1, 0, &reply));
    ht_reply_fini(&reply);
    CHECK_OK(ht_call_wait(node, ref, "Read", NULL, 0, 0, &reply));
    ht_reply_fini(&reply);
    WAIT_FOR(atomic_load(&r.bytes) == 3);
    ht_node_free(node);
    close(fds[0]);
    close(fds[1]);
    log_fini(&log);
}

CHECK_MAIN(cmocka_unit_test(test_descriptor_that_stays_readable))
