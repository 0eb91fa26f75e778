/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's cable: it passes on, holds while it is cut, and ends. */
#include "tests/lib/check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/demo_proxy.h"

/* Long enough for what must come, short for what must not. */
#define SOON_MS  5000
#define NEVER_MS 100

struct ends {
    struct demo_proxy *proxy;
    int port;
    int listener;
    int near, far;
};

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void dial(struct ends *ends)
{
    struct sockaddr_in address = loopback(ends->port);

    ends->near = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(ends->near, (struct sockaddr *)&address, sizeof(address)) ==
          0);
}

static bool readable(int fd, int ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, ms) == 1;
}

static void take(struct ends *ends)
{
    CHECK(readable(ends->listener, SOON_MS));
    ends->far = accept(ends->listener, NULL, NULL);
    CHECK(ends->far >= 0);
}

static void passes(int from, int to, char byte)
{
    char got = 0;

    CHECK(write(from, &byte, 1) == 1);
    CHECK(readable(to, SOON_MS));
    CHECK(read(to, &got, 1) == 1 && got == byte);
}

static int set_up(void **state)
{
    static struct ends ends;
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);

    memset(&ends, 0, sizeof(ends));
    ends.near = ends.far = -1;
    ends.listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(ends.listener, (struct sockaddr *)&address, len) == 0);
    CHECK(listen(ends.listener, 4) == 0);
    CHECK(getsockname(ends.listener, (struct sockaddr *)&address, &len) == 0);
    ends.proxy = demo_proxy_start(&ends.port);
    CHECK(ends.proxy != NULL);
    demo_proxy_aim(ends.proxy, ntohs(address.sin_port));
    *state = &ends;
    return 0;
}

static int tear_down(void **state)
{
    struct ends *ends = *state;

    demo_proxy_end(ends->proxy);
    (void)close(ends->near);
    (void)close(ends->far);
    (void)close(ends->listener);
    return 0;
}

static void test_passes_on(void **state)
{
    struct ends *ends = *state;
    char byte;

    dial(ends);
    take(ends);
    passes(ends->near, ends->far, 'a');
    passes(ends->far, ends->near, 'b');
    (void)close(ends->near);
    ends->near = -1;
    CHECK(readable(ends->far, SOON_MS));
    CHECK(read(ends->far, &byte, 1) == 0);
}

/* What was sent while it was cut comes when it is not, and not before. */
static void test_holds_while_cut(void **state)
{
    struct ends *ends = *state;
    char byte = 'c';

    dial(ends);
    take(ends);
    demo_proxy_cut(ends->proxy, true);
    CHECK(write(ends->near, &byte, 1) == 1);
    CHECK(!readable(ends->far, NEVER_MS));
    (void)close(ends->near);
    ends->near = -1;
    CHECK(!readable(ends->far, NEVER_MS));
    demo_proxy_cut(ends->proxy, false);
    CHECK(readable(ends->far, SOON_MS));
    CHECK(read(ends->far, &byte, 1) == 1 && byte == 'c');
}

static void test_holds_who_dials(void **state)
{
    struct ends *ends = *state;

    demo_proxy_cut(ends->proxy, true);
    dial(ends);
    CHECK(!readable(ends->listener, NEVER_MS));
    demo_proxy_cut(ends->proxy, false);
    take(ends);
    passes(ends->near, ends->far, 'd');
}

/* tear_down() ends it with a cut connection that has something to say. */
static void test_ends_while_cut(void **state)
{
    struct ends *ends = *state;

    dial(ends);
    take(ends);
    demo_proxy_cut(ends->proxy, true);
    CHECK(write(ends->near, "x", 1) == 1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

CHECK_MAIN(CASE(test_passes_on),
           CASE(test_holds_while_cut),
           CASE(test_holds_who_dials),
           CASE(test_ends_while_cut))
