/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "gateway/client.h"
#include "gateway/gateway.h"
#include "gateway/http_api.h"
#include "gateway/loop.h"
#include "gateway/pages.h"

/* ---- life ---------------------------------------------------------------- */

void gw_http_free(struct gw_http *h)
{
    if (h != NULL) {
        free(h->head);
        free(h->body);
        free(h);
    }
}

static struct gw_http *http_new(struct gw_conn *c)
{
    struct gw_http *h = calloc(1, sizeof(*h));

    if (h != NULL) {
        http_parser_init(&h->parser, HTTP_REQUEST);
        h->parser.data = c;
    }
    return h;
}

/* ---- the head ------------------------------------------------------------ */

static struct gw_conn *conn_of(http_parser *parser)
{
    return parser->data;
}

static int refuse(struct gw_http *h, unsigned status)
{
    h->refused = status;
    return -1;
}

static int head_add(struct gw_http *h, const char *data, size_t len)
{
    if (len > GW_HTTP_HEAD_BYTES_MAX - h->head_len) {
        return refuse(h, 431);
    }
    if (h->head_cap - h->head_len < len) {
        size_t cap = h->head_cap > 0 ? h->head_cap : 512;
        char *head;

        while (cap < h->head_len + len) {
            cap *= 2;
        }
        head = realloc(h->head, cap);
        if (head == NULL) {
            return refuse(h, 503);
        }
        h->head = head;
        h->head_cap = cap;
    }
    memcpy(h->head + h->head_len, data, len);
    h->head_len += len;
    return 0;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct gw_http *h = conn_of(parser)->http;

    if (memchr(at, '\0', len) != NULL) {
        return refuse(h, 400);
    }
    return head_add(h, at, len);
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
    struct gw_http *h = conn_of(parser)->http;

    if (h->head_done) {
        return 0;
    }
    /* Ends the URL, or the value before. */
    if (h->headers == 0 || h->in_value) {
        if (head_add(h, "", 1) != 0) {
            return -1;
        }
        if (h->headers == 0) {
            h->headers = (uint32_t)h->head_len;
        }
        h->in_value = false;
        if (++h->headers_count > GW_HTTP_HEADERS_MAX) {
            return refuse(h, 431);
        }
    }
    return head_add(h, at, len);
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    struct gw_http *h = conn_of(parser)->http;

    if (h->head_done) {
        return 0;
    }
    if (memchr(at, '\0', len) != NULL) {
        return refuse(h, 400);
    }
    if (!h->in_value) {
        if (head_add(h, "", 1) != 0) {
            return -1;
        }
        h->in_value = true;
    }
    return head_add(h, at, len);
}

const char *
gw_http_header_nth(const struct gw_http *h, const char *name, unsigned n)
{
    const char *at = h->head + h->headers;

    for (unsigned i = 0; i < h->headers_count; i++) {
        const char *value = at + strlen(at) + 1;

        if (strcasecmp(at, name) == 0 && n-- == 0) {
            return value;
        }
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *gw_http_header(const struct gw_http *h, const char *name)
{
    return gw_http_header_nth(h, name, 0);
}

bool gw_http_header_has(const struct gw_http *h,
                        const char *name,
                        const char *word)
{
    const char *value;

    for (unsigned n = 0; (value = gw_http_header_nth(h, name, n)) != NULL;
         n++) {
        while (*value != '\0') {
            size_t len = strcspn(value, ","), used = len;

            while (len > 0 && (*value == ' ' || *value == '\t')) {
                value++;
                len--;
                used--;
            }
            while (len > 0 &&
                   (value[len - 1] == ' ' || value[len - 1] == '\t')) {
                len--;
            }
            if (len == strlen(word) && strncasecmp(value, word, len) == 0) {
                return true;
            }
            value += used;
            value += *value == ',';
        }
    }
    return false;
}

/* Headers that decide who is asked and who asks: twice is an attack. */
static bool has_doubles(const struct gw_http *h)
{
    static const char *const single[] = {"Host", "Origin", "Authorization",
                                         "Sec-WebSocket-Key",
                                         "Sec-WebSocket-Version"};

    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        if (gw_http_header_nth(h, single[i], 1) != NULL) {
            return true;
        }
    }
    return false;
}

static int on_headers_complete(http_parser *parser)
{
    struct gw_conn *c = conn_of(parser);
    struct gw_http *h = c->http;

    /* The last value, or a URL without any header; and a header without a value
     * has none to end. */
    if (head_add(h, "", 1) != 0 ||
        (h->headers_count > 0 && !h->in_value && head_add(h, "", 1) != 0)) {
        return 1;
    }
    if (h->headers == 0) {
        h->headers = (uint32_t)h->head_len;
    }
    h->head_done = true;
    h->path = h->head;
    h->query = strchr(h->path, '?');
    if (h->query != NULL) {
        *h->query++ = '\0';
    }
    if (h->path[0] != '/' || has_doubles(h) ||
        (parser->http_major == 1 && parser->http_minor == 1 &&
         gw_http_header(h, "Host") == NULL)) {
        h->refused = 400;
        return 1;
    }
    if (parser->http_major != 1) {
        h->refused = 505;
        return 1;
    }
    if (!gw_http_header_has(h, "Upgrade", "websocket") ||
        parser->method != HTTP_GET) {
        parser->upgrade = 0;
    }
    if (gw_http_header_has(h, "Expect", "100-continue")) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

        gw_conn_put_bytes(c, go_on, sizeof(go_on) - 1);
    }
    return 0;
}

/* ---- the body ------------------------------------------------------------ */

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct gw_conn *c = conn_of(parser);
    struct gw_http *h = c->http;
    size_t max = c->gateway->view.config->message_bytes_max;

    if (len > max - h->body_len) {
        return refuse(h, 413);
    }
    if (h->body_cap - h->body_len < len) {
        size_t cap = h->body_cap > 0 ? h->body_cap : 512;
        uint8_t *body;

        while (cap < h->body_len + len) {
            cap *= 2;
        }
        body = realloc(h->body, cap);
        if (body == NULL) {
            return refuse(h, 503);
        }
        h->body = body;
        h->body_cap = cap;
    }
    memcpy(h->body + h->body_len, at, len);
    h->body_len += len;
    return 0;
}

static int on_complete(http_parser *parser)
{
    conn_of(parser)->http->complete = true;
    /* What follows is the next request: not before this one is answered. */
    http_parser_pause(parser, 1);
    return 0;
}

/* ---- feeding ------------------------------------------------------------- */

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

static void handle_request(struct gw_conn *c)
{
    c->asked = true;
    c->phase = GW_PHASE_ANSWER;
    c->deadline_ms = UINT64_MAX;
    c->head = c->http->parser.method == HTTP_HEAD;
    /* After an upgrade that was refused comes what is no HTTP. */
    c->finishing = http_should_keep_alive(&c->http->parser) == 0 ||
                   c->http->parser.upgrade != 0;
    gw_count(c->loop, GW_HTTP_REQUESTS, 1);
    gw_api_request(c);
}

static void answer_refused(struct gw_conn *c, unsigned status)
{
    c->phase = GW_PHASE_ANSWER;
    c->finishing = true;
    gw_count(c->loop, c->asked ? GW_CLOSED_PROTOCOL : GW_REFUSED_HANDSHAKE, 1);
    gw_api_refuse(c, status);
}

size_t gw_http_feed(struct gw_conn *c, const uint8_t *data, size_t len)
{
    size_t used;
    struct gw_http *h;

    if (c->http == NULL) {
        c->http = http_new(c);
        if (c->http == NULL) {
            c->lost = true;
            return len;
        }
        if (c->asked) {
            c->deadline_ms =
                c->heard_ms + c->gateway->view.config->handshake_timeout_ms;
        }
    }
    h = c->http;
    used = http_parser_execute(&h->parser, &settings, (const char *)data, len);
    if (h->refused != 0) {
        answer_refused(c, h->refused);
        return len;
    }
    if (h->complete) {
        handle_request(c);
        return used;
    }
    if (HTTP_PARSER_ERRNO(&h->parser) != HPE_OK) {
        answer_refused(c, 400);
        return len;
    }
    return len;
}

/* ---- decoding ------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gw_http_decode(char *text, bool plus)
{
    char *out = text, *begin = text;

    for (; *text != '\0'; text++) {
        int high, low;

        if (*text != '%') {
            *out++ = plus && *text == '+' ? ' ' : *text;
            continue;
        }
        high = hex_digit(text[1]);
        low = high >= 0 ? hex_digit(text[2]) : -1;
        if (low < 0 || (high == 0 && low == 0)) {
            return false;
        }
        *out++ = (char)(high << 4 | low);
        text += 2;
    }
    *out = '\0';
    return hti_utf8_valid(begin, (size_t)(out - begin));
}

char *gw_http_query(const struct gw_http *h, const char *name)
{
    size_t name_len = strlen(name);
    const char *at = h->query;

    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, "&");

        if (len > name_len && at[name_len] == '=' &&
            strncmp(at, name, name_len) == 0) {
            char *value = strndup(at + name_len + 1, len - name_len - 1);

            if (value != NULL && !gw_http_decode(value, true)) {
                free(value);
                value = NULL;
            }
            return value;
        }
        at += len + (at[len] == '&');
    }
    return NULL;
}

/* ---- answers ------------------------------------------------------------- */

static void next_request(struct gw_conn *c)
{
    const ht_gateway_config *config = c->gateway->view.config;

    gw_http_free(c->http);
    c->http = NULL;
    if (c->phase == GW_PHASE_ANSWER) {
        c->phase = GW_PHASE_REQUEST;
        c->deadline_ms = gw_now_ms() + config->idle_ms;
    }
}

/* len is what the header says, even if no body is sent. */
static void put_answer(struct gw_conn *c,
                       unsigned status,
                       const char *headers,
                       const char *content_type,
                       const void *body,
                       size_t len)
{
    char head[1024];
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %u %s\r\n"
                     "Content-Type: %s\r\n"
                     "Content-Length: %zu\r\n"
                     "X-Content-Type-Options: nosniff\r\n"
                     "%s%s\r\n",
                     status, http_status_str((enum http_status)status),
                     content_type, len,
                     c->finishing ? "Connection: close\r\n" : "", headers);

    if (n < 0 || (size_t)n >= sizeof(head)) {
        gw_conn_lose(c);
        return;
    }
    gw_conn_put_bytes(c, head, (size_t)n);
    if (body != NULL && len > 0 && !c->head) {
        gw_conn_put_bytes(c, body, len);
    }
    next_request(c);
    /* Outside of the reading nobody would go on with what was held. */
    if (!c->feeding && (c->held_len > 0 || !(c->watching & HT_READ))) {
        gw_conn_kick(c);
    }
}

void gw_http_answer(struct gw_conn *c,
                    unsigned status,
                    const char *headers,
                    const char *content_type,
                    const void *body,
                    size_t len)
{
    char more[768];
    int n =
        snprintf(more, sizeof(more), "Cache-Control: no-store\r\n%s", headers);

    if (n < 0 || (size_t)n >= sizeof(more)) {
        gw_conn_lose(c);
        return;
    }
    put_answer(c, status, more, content_type, body, len);
}

/* Whoever gets a script or a text of its own into a page gets nothing run. A
 * page may open a WebSocket to another node of the cluster. */
#define PAGE_POLICY                                                            \
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "  \
    "object-src 'none'; base-uri 'none'; form-action 'none'; "                 \
    "frame-ancestors 'none'"

void gw_http_answer_page(struct gw_conn *c, const struct gw_page *page)
{
    bool same = gw_http_header_has(c->http, "If-None-Match", page->etag);
    char headers[512];

    snprintf(headers, sizeof(headers),
             "Cache-Control: no-cache\r\n"
             "ETag: %s\r\n"
             "Content-Security-Policy: " PAGE_POLICY "\r\n"
             "Referrer-Policy: no-referrer\r\n",
             page->etag);
    put_answer(c, same ? 304 : 200, headers, page->content_type,
               same ? NULL : page->data, page->len);
}
