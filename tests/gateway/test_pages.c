/* SPDX-License-Identifier: Apache-2.0 */
/* Web pages: given by a program, or files of a directory. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/gateway/web.h"

#define HTML "text/html; charset=utf-8"
#define END  " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static struct gate gate;
static char answer[1024 * 1024];

static int setup(void **state)
{
    (void)state;
    gate_start(&gate, NULL);
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

static const char *body(void)
{
    const char *at = strstr(answer, "\r\n\r\n");

    assert_non_null(at);
    return at + 4;
}

static void put(const char *path, const char *text)
{
    CHECK_OK(ht_gateway_page(gate.gateway, path, HTML, text, strlen(text)));
}

static void test_a_page(void **state)
{
    (void)state;
    put("/hello.html", "<p>hello");
    assert_int_equal(ask("GET /hello.html" END), 200);
    assert_string_equal(body(), "<p>hello");
    assert_non_null(strstr(answer, "Content-Type: " HTML "\r\n"));
    assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(answer, "Content-Security-Policy: default-src"));
    assert_int_equal(ask("GET /hello.html?x=y" END), 200);
    assert_int_equal(ask("HEAD /hello.html HTTP/1.0\r\n\r\n"), 200);
    assert_non_null(strstr(answer, "Content-Length: 8\r\n"));
    assert_string_equal(body(), "");
    assert_int_equal(
        ask("POST /hello.html HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n"),
        405);
    assert_int_equal(ask("GET /hello" END), 404);
    assert_int_equal(ask("GET /HELLO.html" END), 404);
    assert_int_equal(ask("GET /x/../hello.html" END), 404);
}

/* A socket is still served where a page is. */
static void test_the_root(void **state)
{
    struct web w;

    (void)state;
    assert_int_equal(ask("GET /" END), 404);
    put("/", "root");
    assert_int_equal(ask("GET /" END), 200);
    web_socket(&w, gate.port);
    web_text(&w, "{\"type\":\"ping\"}");
    web_expect(&w, "pong");
    web_close(&w);
}

static void test_replaced_and_removed(void **state)
{
    (void)state;
    put("/a", "one");
    put("/b", "two");
    put("/a", "three");
    assert_int_equal(ask("GET /a" END), 200);
    assert_string_equal(body(), "three");
    CHECK_OK(ht_gateway_page(gate.gateway, "/a", NULL, NULL, 0));
    assert_int_equal(ask("GET /a" END), 404);
    assert_int_equal(ask("GET /b" END), 200);
    assert_int_equal(ht_gateway_page(gate.gateway, "/a", NULL, NULL, 0),
                     HT_ENOENT);
}

static void test_a_page_that_one_has(void **state)
{
    char request[400], etag[64], *at;

    (void)state;
    put("/a", "one");
    assert_int_equal(ask("GET /a" END), 200);
    at = strstr(answer, "ETag: ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "ETag: %63s", etag), 1);
    snprintf(request, sizeof(request),
             "HEAD /a HTTP/1.0\r\nIf-None-Match: \"x\", %s\r\n\r\n", etag);
    assert_int_equal(ask(request), 304);
    put("/a", "other");
    assert_int_equal(ask(request), 200);
}

static void test_what_is_no_page(void **state)
{
    static const char *const paths[] = {"",     "a",    "/a?b",
                                        "/a b", "/%41", "/a\r\nX: y"};
    static char big[512 * 1024 + 1];
    char path[16];

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(ht_gateway_page(gate.gateway, paths[i], HTML, "x", 1),
                         HT_EINVAL);
    }
    assert_int_equal(ht_gateway_page(gate.gateway, "/a", "a\r\nb", "x", 1),
                     HT_EINVAL);
    assert_int_equal(ht_gateway_page(gate.gateway, "/a", NULL, "x", 1),
                     HT_EINVAL);
    assert_int_equal(
        ht_gateway_page(gate.gateway, "/a", HTML, big, sizeof(big)),
        HT_ETOOBIG);
    CHECK_OK(ht_gateway_page(gate.gateway, "/a", HTML, big, sizeof(big) - 1));
    for (unsigned i = 1; i < 256; i++) {
        snprintf(path, sizeof(path), "/%u", i);
        put(path, "");
    }
    assert_int_equal(ht_gateway_page(gate.gateway, "/one", HTML, "x", 1),
                     HT_EBUSY);
    put("/a", "replaced");
}

static void put_file(const char *dir, const char *name, const char *text)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    write_file(path, text, 0644);
}

static void remove_file(const char *dir, const char *name)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(remove(path), 0);
}

static void test_a_directory(void **state)
{
    char dir[] = "/tmp/hardtack-pages-XXXXXX", sub[100];
    ht_gateway_config config = {.pages = dir};

    (void)state;
    assert_non_null(mkdtemp(dir));
    put_file(dir, "index.html", "index");
    put_file(dir, "a.css", "css");
    put_file(dir, ".secret", "secret");
    snprintf(sub, sizeof(sub), "%s/sub", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    gate_start(&gate, &config);
    assert_int_equal(ask("GET /" END), 200);
    assert_string_equal(body(), "index");
    assert_int_equal(ask("GET /index.html" END), 200);
    assert_int_equal(ask("GET /a.css" END), 200);
    assert_non_null(strstr(answer, "Content-Type: text/css"));
    assert_int_equal(ask("GET /.secret" END), 404);
    assert_int_equal(ask("GET /sub" END), 404);
    assert_int_equal(ask("GET /../etc/passwd" END), 404);
    put_file(dir, "a.css", "changed");
    CHECK_OK(ht_gateway_reload(gate.gateway));
    assert_int_equal(ask("GET /a.css" END), 200);
    assert_string_equal(body(), "changed");
    put_file(dir, "a.exe", "x");
    assert_int_equal(ht_gateway_reload(gate.gateway), HT_EUNSUPPORTED);
    assert_int_equal(ask("GET /a.css" END), 200);
    gate_stop(&gate);
    remove_file(dir, "a.exe");
    remove_file(dir, "a.css");
    remove_file(dir, ".secret");
    remove_file(dir, "index.html");
    remove_file(dir, "sub");
    remove_file(dir, "");
}

static void test_no_directory(void **state)
{
    ht_gateway_config config = {
        .pages = "/nowhere", .port = HT_PORT_ANY, .address = "127.0.0.1"};
    ht_gateway *other = NULL;

    (void)state;
    assert_int_equal(ht_gateway_start(gate.node, &config, &other), HT_ENOENT);
    assert_non_null(strstr(ht_gateway_start_error(), "/nowhere"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_a_page),
           T(test_the_root),
           T(test_replaced_and_removed),
           T(test_a_page_that_one_has),
           T(test_what_is_no_page),
           cmocka_unit_test(test_a_directory),
           T(test_no_directory))
