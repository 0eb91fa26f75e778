/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "gateway/client.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/loop.h"
#include "gateway/metrics.h"
#include "gateway/pages.h"
#include "gateway/policy.h"
#include "gateway/upgrade.h"
#include "survey/asker.h"

#define JSON_TYPE "application/json"
#define TEXT_TYPE "text/plain; charset=utf-8"
/* What may read /metrics from another machine. */
#define METRICS_TARGET "hardtack.metrics"
/* A scrape does not wait longer for the store. */
#define STORE_MS 2000

/* ---- answers ------------------------------------------------------------- */

/* The header that lets a page of an allowed origin read the answer. */
static const char *cors(const struct gw_conn *c, char *buf, size_t len)
{
    const char *origin =
        c->http != NULL && c->http->headers > 0 && c->http->complete
            ? gw_http_header(c->http, "Origin")
            : NULL;

    buf[0] = '\0';
    if (origin != NULL && strlen(origin) < 256) {
        snprintf(buf, len,
                 "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n", origin);
    }
    return buf;
}

static void answer(struct gw_conn *c,
                   unsigned status,
                   const char *more,
                   const char *type,
                   const void *body,
                   size_t len)
{
    char allow[320], headers[640];

    snprintf(headers, sizeof(headers), "%s%s", cors(c, allow, sizeof(allow)),
             more);
    gw_http_answer(c, status, headers, type, body, len);
}

void gw_api_error(struct gw_conn *c,
                  unsigned status,
                  const char *headers,
                  ht_err err,
                  const char *reason)
{
    char body[1024];
    size_t len = gw_message_error_body(body, sizeof(body), err, reason);

    answer(c, status, headers, JSON_TYPE, body, len);
}

void gw_http_reply(struct gw_client *client,
                   unsigned status,
                   const char *content_type,
                   const void *body,
                   size_t len)
{
    struct gw_conn *c = client->conn;

    if (c != NULL && c->phase == GW_PHASE_ANSWER && !c->lost) {
        answer(c, status,
               status == 429 || status == 503 ? "Retry-After: 1\r\n" : "",
               content_type, body, len);
    }
}

void gw_api_refuse(struct gw_conn *c, unsigned status)
{
    char body[512];
    size_t len = gw_message_error_body(
        body, sizeof(body), status == 413 ? HT_ETOOBIG : HT_EPROTO,
        status == 413   ? "the body is too large"
        : status == 431 ? "the headers are too large"
                        : "not an HTTP request that we understand");

    gw_http_answer(c, status, "", JSON_TYPE, body, len);
}

/* ---- who asks ------------------------------------------------------------ */

static bool origin_is_fine(struct gw_conn *c)
{
    const ht_gateway_config *config = c->gateway->view.config;
    const char *origin = gw_http_header(c->http, "Origin");

    if (origin == NULL ||
        gw_origin_is_allowed(origin, gw_http_header(c->http, "Host"),
                             config->origins, config->origins_count)) {
        return true;
    }
    gw_count(c->loop, GW_REFUSED_ORIGIN, 1);
    return false;
}

/* Each request says for itself who asks. */
static bool login(struct gw_conn *c)
{
    const char *header = gw_http_header(c->http, "Authorization");
    const char *reason = "";
    ht_err err;

    gw_identity_free(c->client->identity);
    c->client->identity = NULL;
    if (header == NULL) {
        return true;
    }
    if (strncasecmp(header, "Bearer ", 7) != 0) {
        err = HT_EAUTH;
        reason = "a Bearer token is needed";
    } else {
        header += 7;
        err = gw_message_login(c->client, header, strlen(header), &reason);
    }
    if (err == HT_OK) {
        return true;
    }
    gw_api_error(c, 401, "WWW-Authenticate: Bearer\r\n", err, reason);
    return false;
}

static bool rate_is_fine(struct gw_conn *c)
{
    const ht_gateway_config *config = c->gateway->view.config;

    if (gw_bucket_take(&c->bucket, config->messages_per_second_max,
                       config->messages_burst_max, c->heard_ms)) {
        return true;
    }
    gw_count(c->loop, GW_RATE_LIMITED, 1);
    gw_api_error(c, 429, "Retry-After: 1\r\n", HT_EBUSY, "too many requests");
    return false;
}

/* ---- calls --------------------------------------------------------------- */

/* Milliseconds; false: it is no number. */
static bool timeout_of(const struct gw_http *h, uint32_t *ret_ms)
{
    char *text = gw_http_query(h, "timeout_ms");
    char *end = NULL;
    unsigned long n;
    bool ok;

    *ret_ms = 0;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    n = strtoul(text, &end, 10);
    ok = errno == 0 && *end == '\0' && text[0] >= '0' && text[0] <= '9' &&
         n > 0 && n < UINT32_MAX;
    free(text);
    if (ok) {
        *ret_ms = (uint32_t)n;
    }
    return ok;
}

/* rest is <actor>/<method>; a method is optional for casts and calls of plain
 * actors. */
static void call_or_cast(struct gw_conn *c, bool cast, char *rest)
{
    struct gw_http *h = c->http;
    struct gw_http_call call = {.cast = cast, .actor = rest, .method = ""};
    char *slash = strchr(rest, '/');

    if (slash != NULL) {
        *slash = '\0';
        call.method = slash + 1;
    }
    if (rest[0] == '\0' || !gw_http_decode(rest, false) ||
        (slash != NULL && (strchr(slash + 1, '/') != NULL ||
                           !gw_http_decode(slash + 1, false)))) {
        gw_api_error(c, 404, "", HT_ENOENT, "/<actor>/<method> is expected");
        return;
    }
    if (!timeout_of(h, &call.timeout_ms)) {
        gw_api_error(c, 400, "", HT_EINVAL, "timeout_ms is not a number");
        return;
    }
    call.body = (ht_bytes){h->body, h->body_len};
    if (rate_is_fine(c)) {
        gw_http_call(c->client, &call);
    }
}

/* ---- events -------------------------------------------------------------- */

static void events(struct gw_conn *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n"
                               "Content-Type: text/event-stream\r\n"
                               "Cache-Control: no-store\r\n"
                               "X-Content-Type-Options: nosniff\r\n"
                               "X-Accel-Buffering: no\r\n"
                               "Connection: close\r\n"
                               "%s\r\n";
    struct gw_client *client = c->client;
    char *group = gw_http_query(c->http, "group");
    char allow[320], answer_head[640];
    const char *reason = "";
    ht_err err;
    int n;

    if (group == NULL || group[0] == '\0') {
        free(group);
        gw_api_error(c, 400, "", HT_EINVAL, "/events?group=<name> is expected");
        return;
    }
    n = snprintf(answer_head, sizeof(answer_head), head,
                 cors(c, allow, sizeof(allow)));
    client->transport = GW_EVENTS;
    client->encoding = GW_SSE;
    err = gw_message_subscribe(client, group, &reason);
    free(group);
    if (err != HT_OK) {
        client->transport = GW_HTTP;
        client->encoding = GW_JSON;
        gw_api_error(c, gw_message_status(err), "", err, reason);
        return;
    }
    gw_conn_put_bytes(c, answer_head, (size_t)n);
    gw_gauge(c->loop, GW_STREAMS, 1);
    gw_http_free(c->http);
    c->http = NULL;
    c->phase = GW_PHASE_STREAM;
    c->finishing = false;
    c->deadline_ms = gw_now_ms() + c->gateway->view.config->idle_ms / 2;
}

/* ---- watching the gateway ------------------------------------------------ */

static void health(struct gw_conn *c, bool ready)
{
    const char *words = ready ? "ok\n" : "draining\n";

    answer(c, ready ? 200 : 503, "", TEXT_TYPE, words, strlen(words));
}

static void answer_metrics(struct gw_conn *c,
                           const Hardtack__Dashboard__StoreAnswer *store)
{
    size_t len;
    char *text = gw_metrics(c->gateway, store, &len);

    if (text == NULL) {
        gw_api_error(c, 503, "", HT_ENOMEM, ht_strerror(HT_ENOMEM));
        return;
    }
    answer(c, 200, "", "text/plain; version=0.0.4; charset=utf-8", text, len);
    free(text);
}

/* Without an answer of the store there are the other metrics. */
static void on_store(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct gw_client *client = arg;
    ht_reader reader = ht_reader_reply(reply);
    Hardtack__Dashboard__StoreAnswer *store = (void *)ht_read_message(
        &reader, &hardtack__dashboard__store_answer__descriptor);

    (void)self;
    if (client->conn != NULL && client->conn->phase == GW_PHASE_ANSWER &&
        !client->conn->lost) {
        answer_metrics(client->conn, store);
    }
    if (store != NULL) {
        hardtack__dashboard__store_answer__free_unpacked(store, NULL);
    }
}

static bool ask_store(struct gw_client *client)
{
    Hardtack__Empty empty = HARDTACK__EMPTY__INIT;
    ht_node *node = client->gateway->view.node;
    ht_ref store = ht_whereis(node, HTI_STORE_NAME);
    ht_args args = HT_ARGS_INIT;

    if (ht_ref_is_none(store)) {
        return false;
    }
    ht_args_message(&args, &empty.base);
    return ht_args_call_async(client->self, store, "Status", &args, STORE_MS,
                              on_store, client) == HT_OK;
}

static void metrics(struct gw_conn *c)
{
    const struct ht_gateway_view *view = &c->gateway->view;

    if (!c->local &&
        !gw_policy_allows(view->policy, c->client->identity, GW_SEND,
                          METRICS_TARGET, (uint64_t)time(NULL))) {
        gw_api_error(c, 403, "", HT_EDENIED,
                     "from this machine by the name localhost, or with a token "
                     "for " METRICS_TARGET);
    } else if (!ask_store(c->client)) {
        answer_metrics(c, NULL);
    }
}

static bool is_get(const struct gw_http *h)
{
    return h->parser.method == HTTP_GET || h->parser.method == HTTP_HEAD;
}

/* ---- pages --------------------------------------------------------------- */

static void page(struct gw_conn *c)
{
    struct gw_page *found = gw_pages_get(c->gateway->pages, c->http->path);

    if (found == NULL) {
        gw_api_error(c, 404, "", HT_ENOENT, "nothing is served here");
    } else if (!is_get(c->http)) {
        gw_api_error(c, 405, "Allow: GET, HEAD\r\n", HT_EUNSUPPORTED,
                     "wrong method");
    } else {
        gw_http_answer_page(c, found);
    }
    gw_page_unref(found);
}

/* ---- the table ----------------------------------------------------------- */

enum route {
    ROUTE_NONE,
    ROUTE_SOCKET,
    ROUTE_CALL,
    ROUTE_CAST,
    ROUTE_EVENTS,
    ROUTE_HEALTH,
    ROUTE_READY,
    ROUTE_METRICS,
};

static const struct {
    const char *path; /* ends in a slash: a prefix */
    enum route route;
    bool post;
} routes[] = {
    {"/call/", ROUTE_CALL, true},     {"/cast/", ROUTE_CAST, true},
    {"/events", ROUTE_EVENTS, false}, {"/healthz", ROUTE_HEALTH, false},
    {"/readyz", ROUTE_READY, false},  {"/metrics", ROUTE_METRICS, false},
    {"/ws", ROUTE_SOCKET, false},
};

/* *ret_rest is what follows a prefix. */
static enum route find(char *path, bool *ret_post, char **ret_rest)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        size_t len = strlen(routes[i].path);
        bool prefix = routes[i].path[len - 1] == '/';

        if (prefix ? strncmp(path, routes[i].path, len) == 0
                   : strcmp(path, routes[i].path) == 0) {
            *ret_post = routes[i].post;
            *ret_rest = path + len;
            return routes[i].route;
        }
    }
    return ROUTE_NONE;
}

static void dispatch(struct gw_conn *c, enum route route, char *rest)
{
    switch (route) {
    case ROUTE_CALL:
    case ROUTE_CAST:
        call_or_cast(c, route == ROUTE_CAST, rest);
        return;
    case ROUTE_EVENTS:
        if (c->head) {
            gw_api_error(c, 405, "Allow: GET\r\n", HT_EUNSUPPORTED,
                         "wrong method");
        } else {
            events(c);
        }
        return;
    case ROUTE_HEALTH:
        health(c, true);
        return;
    case ROUTE_READY:
        health(c, !c->gateway->draining && !c->gateway->stopping);
        return;
    case ROUTE_METRICS:
        metrics(c);
        return;
    case ROUTE_SOCKET:
        gw_api_error(c, 426, "Upgrade: websocket\r\n", HT_EPROTO,
                     "a WebSocket is served here");
        return;
    case ROUTE_NONE:
        page(c);
        return;
    }
}

/* A browser asks whether a page of another origin may ask. */
static void preflight(struct gw_conn *c)
{
    answer(c, 200,
           "Access-Control-Allow-Methods: GET, POST\r\n"
           "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
           "Access-Control-Max-Age: 600\r\n",
           TEXT_TYPE, NULL, 0);
}

void gw_api_request(struct gw_conn *c)
{
    struct gw_http *h = c->http;
    bool post = false;
    char *rest = NULL;
    enum route route;

    c->local = gw_address_is_loopback(c->address) &&
               gw_host_is_local(gw_http_header(h, "Host"));
    if (!origin_is_fine(c)) {
        char body[256];
        size_t len = gw_message_error_body(body, sizeof(body), HT_EDENIED,
                                           "origin is not allowed");

        gw_http_answer(c, 403, "", JSON_TYPE, body, len);
        return;
    }
    if (h->parser.method == HTTP_OPTIONS) {
        preflight(c);
        return;
    }
    if (!login(c)) {
        return;
    }
    route = find(h->path, &post, &rest);
    if (h->parser.upgrade != 0 &&
        (route == ROUTE_SOCKET || strcmp(h->path, "/") == 0)) {
        gw_upgrade(c);
    } else if (route != ROUTE_NONE &&
               (post ? h->parser.method != HTTP_POST : !is_get(h))) {
        gw_api_error(c, 405, post ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n",
                     HT_EUNSUPPORTED, "wrong method");
    } else {
        dispatch(c, route, rest);
    }
}
