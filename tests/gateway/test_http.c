/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP as scripts speak it, and as attackers do. */
#include "tests/gateway/web.h"

#define HOST  "Host: localhost\r\n"
#define CLOSE "Connection: close\r\n"

static struct gate gate;
static char answer[131072];

static int setup(void **state)
{
    static const char *const origins[] = {"https://page.org"};
    ht_gateway_config config = {
        .message_bytes_max = 4096, .origins = origins, .origins_count = 1};

    (void)state;
    gate_start(&gate, &config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gate_stop(&gate);
    return 0;
}

static unsigned ask(const char *request)
{
    return web_ask(gate.port, request, answer, sizeof(answer));
}

static void test_routes(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_int_equal(ask("HEAD /healthz HTTP/1.0\r\n\r\n"), 200);
    assert_int_equal(ask("GET /readyz HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_int_equal(ask("GET /metrics HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_int_equal(
        ask("GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n"), 403);
    assert_int_equal(ask("GET /nothing HTTP/1.1\r\n" HOST "\r\n"), 404);
    assert_int_equal(ask("GET /ws HTTP/1.1\r\n" HOST "\r\n"), 426);
    assert_int_equal(
        ask("POST /healthz HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
        405);
    assert_int_equal(ask("GET /call/echo/x HTTP/1.1\r\n" HOST "\r\n"), 405);
    assert_int_equal(ask("HEAD /events?group=g HTTP/1.1\r\n" HOST "\r\n"), 405);
    assert_int_equal(ask("GET /events HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(ask("CONNECT localhost:1 HTTP/1.1\r\n" HOST "\r\n"), 400);
}

static void test_a_call(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /call/echo/Any HTTP/1.1\r\n" HOST
                         "Content-Length: 4\r\n\r\n\"hi\""),
                     200);
    assert_non_null(strstr(answer, "hi"));
    assert_int_equal(
        ask("POST /call/%65cho/Any?timeout_ms=100 HTTP/1.1\r\n" HOST
            "Content-Length: 4\r\n\r\n\"hi\""),
        200);
    assert_int_equal(ask("POST /call/nobody/Any HTTP/1.1\r\n" HOST
                         "Content-Length: 4\r\n\r\n\"hi\""),
                     404);
    assert_int_equal(ask("POST /call/hidden/Any HTTP/1.1\r\n" HOST
                         "Content-Length: 4\r\n\r\n\"hi\""),
                     401);
    assert_int_equal(ask("POST /call/echo/Any?timeout_ms=soon HTTP/1.1\r\n" HOST
                         "Content-Length: 4\r\n\r\n\"hi\""),
                     400);
    assert_int_equal(
        ask("POST /call/%zz/Any HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
        404);
    assert_int_equal(
        ask("POST /call/%00/Any HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
        404);
    assert_int_equal(ask("POST /cast/echo/Any HTTP/1.1\r\n" HOST
                         "Content-Length: 4\r\n\r\n\"hi\""),
                     202);
    WAIT_FOR(atomic_load(&gate.echo.casts) == 1);
}

static void test_chunked_body(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /call/echo/Any HTTP/1.1\r\n" HOST
                         "Transfer-Encoding: chunked\r\n\r\n"
                         "2\r\n\"h\r\n2;x=y\r\ni\"\r\n0\r\nTrailer: x\r\n\r\n"),
                     200);
    assert_non_null(strstr(answer, "hi"));
}

/* They come when the path is long known, and are for nobody. */
static void test_trailers_are_dropped(void **state)
{
    static char request[16000];
    int n = snprintf(request, sizeof(request),
                     "POST /call/echo/Any HTTP/1.1\r\n" HOST
                     "Transfer-Encoding: chunked\r\n\r\n"
                     "4\r\n\"hi\"\r\n0\r\n");

    (void)state;
    for (int i = 0; i < 100; i++) {
        n += snprintf(request + n, sizeof(request) - (size_t)n,
                      "Trailer-%d: %0100d\r\n", i, i);
    }
    snprintf(request + n, sizeof(request) - (size_t)n,
             "Authorization: Bearer x\r\n\r\n");
    assert_int_equal(ask(request), 200);
    assert_non_null(strstr(answer, "hi"));
}

static void test_bad_requests(void **state)
{
    (void)state;
    assert_int_equal(ask("nonsense\r\n\r\n"), 400);
    assert_int_equal(ask("\x16\x03\x01\x02\x00\x01\x00\x01\xfc"), 400);
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\n" HOST HOST "\r\n"), 400);
    assert_int_equal(ask("GET /healthz HTTP/2.0\r\n" HOST "\r\n"), 505);
    assert_int_equal(ask("GET http://x/healthz HTTP/1.1\r\n" HOST "\r\n"), 400);
    /* Two ways to end a body: whoever stands between sees another one. */
    assert_int_equal(ask("POST /cast/echo/x HTTP/1.1\r\n" HOST
                         "Content-Length: 4\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                     400);
    assert_int_equal(ask("POST /cast/echo/x HTTP/1.1\r\n" HOST
                         "Content-Length: 4\r\nContent-Length: 5\r\n\r\n12345"),
                     400);
    assert_int_equal(
        ask("POST /cast/echo/x HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"),
        400);
    assert_int_equal(
        ask("GET /healthz HTTP/1.1\r\n" HOST "Authorization: Basic x\r\n\r\n"),
        401);
    assert_int_equal(
        ask("GET /healthz HTTP/1.1\r\n" HOST "Authorization: Bearer x\r\n\r\n"),
        401);
}

static void test_what_is_too_large(void **state)
{
    static char request[40000];
    int n;

    (void)state;
    n = snprintf(request, sizeof(request),
                 "POST /cast/echo/x HTTP/1.1\r\n" HOST
                 "Content-Length: 4097\r\n\r\n%04097d",
                 0);
    assert_true(n > 0);
    assert_int_equal(ask(request), 413);
    assert_non_null(strstr(answer, "Connection: close"));
    snprintf(request, sizeof(request),
             "GET /healthz HTTP/1.1\r\n" HOST "X: %020000d\r\n\r\n", 0);
    assert_int_equal(ask(request), 431);
    snprintf(request, sizeof(request), "GET /%020000d HTTP/1.1\r\n\r\n", 0);
    assert_int_equal(ask(request), 431);
    n = snprintf(request, sizeof(request), "GET /healthz HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 70; i++) {
        n +=
            snprintf(request + n, sizeof(request) - (size_t)n, "X%d: y\r\n", i);
    }
    snprintf(request + n, sizeof(request) - (size_t)n, "\r\n");
    assert_int_equal(ask(request), 431);
}

/* Many requests in one write are answered in their order, calls included. */
static void test_pipelined_requests(void **state)
{
    enum { REQUESTS = 20 };
    struct web w;

    (void)state;
    web_open(&w, gate.port);
    for (int i = 0; i < REQUESTS; i++) {
        char request[400];

        snprintf(request, sizeof(request),
                 "POST /call/echo/Any HTTP/1.1\r\n" HOST
                 "Content-Length: 6\r\n\r\n\"no%02d\"%s",
                 i, i % 3 == 0 ? "\r\n" : "");
        web_say(&w, request);
    }
    for (int i = 0; i < REQUESTS; i++) {
        char want[16];

        snprintf(want, sizeof(want), "no%02d", i);
        assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
        assert_non_null(strstr(answer, want));
    }
    web_close(&w);
}

static void test_connection_is_kept_or_closed(void **state)
{
    struct web w;

    (void)state;
    web_open(&w, gate.port);
    for (int i = 0; i < 3; i++) {
        web_say(&w, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
    }
    web_say(&w, "GET /healthz HTTP/1.1\r\n" HOST CLOSE "\r\n");
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
    assert_non_null(strstr(answer, "Connection: close"));
    web_expect_end(&w);
    web_close(&w);
    web_open(&w, gate.port);
    web_say(&w, "GET /healthz HTTP/1.0\r\n\r\n");
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
    web_expect_end(&w);
    web_close(&w);
}

/* Who closes its side after asking still gets the answer. */
static void test_half_closed_client_is_answered(void **state)
{
    struct web w;

    (void)state;
    web_open(&w, gate.port);
    web_say(&w, "POST /call/echo/Any HTTP/1.1\r\n" HOST
                "Content-Length: 4\r\n\r\n\"hi\"");
    assert_int_equal(shutdown(w.fd, SHUT_WR), 0);
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
    web_expect_end(&w);
    web_close(&w);
}

static void test_head_and_expect(void **state)
{
    struct web w;

    (void)state;
    web_open(&w, gate.port);
    web_say(&w, "POST /call/echo/Any HTTP/1.1\r\n" HOST
                "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 100);
    web_say(&w, "\"hi\"");
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
    web_close(&w);
}

static void test_origins(void **state)
{
    (void)state;
    assert_int_equal(ask("OPTIONS /call/echo/Any HTTP/1.1\r\n" HOST
                         "Origin: https://page.org\r\n"
                         "Access-Control-Request-Method: POST\r\n\r\n"),
                     200);
    assert_non_null(
        strstr(answer, "Access-Control-Allow-Origin: https://page.org\r\n"));
    assert_non_null(strstr(answer, "Authorization"));
    assert_int_equal(ask("POST /call/echo/Any HTTP/1.1\r\n" HOST
                         "Origin: https://page.org\r\n"
                         "Content-Length: 4\r\n\r\n\"hi\""),
                     200);
    assert_non_null(
        strstr(answer, "Access-Control-Allow-Origin: https://page.org\r\n"));
    assert_int_equal(ask("POST /cast/echo/Any HTTP/1.1\r\n" HOST
                         "Origin: https://elsewhere.org\r\n"
                         "Content-Length: 4\r\n\r\n\"hi\""),
                     403);
    assert_null(strstr(answer, "Access-Control-Allow-Origin"));
    assert_int_equal(atomic_load(&gate.echo.casts), 0);
    assert_int_equal(gate_metric(&gate,
                                 "hardtack_gateway_connections_refused_total"
                                 "{reason=\"origin\"}"),
                     1);
}

static void wait_for_text(struct web *w, const char *text)
{
    while (w->len == 0 || strstr(w->buf, text) == NULL) {
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, PATIENCE_MS) != 1) {
            print_error("no %s in %s\n", text, w->buf != NULL ? w->buf : "");
            fail();
        }
        if (w->cap == 0) {
            w->cap = 65536;
            w->buf = malloc(w->cap);
        }
        n = recv(w->fd, w->buf + w->len, w->cap - w->len - 1, 0);
        assert_true(n > 0);
        w->len += (size_t)n;
        w->buf[w->len] = '\0';
    }
}

static void test_events_of_a_group(void **state)
{
    struct web w, x;

    (void)state;
    web_open(&w, gate.port);
    web_say(&w, "GET /events?group=lobby HTTP/1.1\r\n" HOST "\r\n");
    web_open(&x, gate.port);
    web_say(&x, "GET /events?group=lobby HTTP/1.1\r\n" HOST "\r\n");
    wait_for_text(&w, "\r\n\r\n");
    wait_for_text(&x, "\r\n\r\n");
    assert_non_null(strstr(w.buf, "Content-Type: text/event-stream\r\n"));
    assert_int_equal(gate_metric(&gate, "hardtack_gateway_event_streams"), 2);
    assert_true(ht_group_cast(gate.node, HT_GATEWAY_SCOPE, "lobby", "News",
                              "first", 5) >= 1);
    assert_true(ht_group_cast(gate.node, HT_GATEWAY_SCOPE, "lobby", "News",
                              "second", 6) >= 1);
    wait_for_text(&w, "c2Vjb25k"); /* second, in base64 */
    wait_for_text(&x, "c2Vjb25k");
    assert_non_null(strstr(w.buf, "\ndata: {"));
    assert_true(strstr(w.buf, "Zmlyc3Q=") < strstr(w.buf, "c2Vjb25k"));
    web_close(&x);
    WAIT_FOR(gate_metric(&gate, "hardtack_gateway_event_streams") == 1);
    web_close(&w);
}

static void test_not_ready_while_draining(void **state)
{
    struct web w;

    (void)state;
    web_open(&w, gate.port);
    web_say(&w, "GET /readyz HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
    ht_gateway_drain(gate.gateway, 60000);
    web_say(&w, "GET /readyz HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 503);
    web_say(&w, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
    web_close(&w);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_routes),
           T(test_a_call),
           T(test_chunked_body),
           T(test_trailers_are_dropped),
           T(test_bad_requests),
           T(test_what_is_too_large),
           T(test_pipelined_requests),
           T(test_connection_is_kept_or_closed),
           T(test_half_closed_client_is_answered),
           T(test_head_and_expect),
           T(test_origins),
           T(test_events_of_a_group),
           T(test_not_ready_while_draining))
