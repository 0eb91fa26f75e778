/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - HTTP/1.1 requests in, answers out; what they ask for is
 * http_api.h's.
 *
 * http_parser reads the bytes.  A connection has a request's memory only while
 * a request comes or is handled.
 *
 * Thread: the loop's.
 */
#ifndef GW_HTTP_H
#define GW_HTTP_H

#include <http_parser.h>

#include "gateway/conn.h"

struct gw_page;

#define GW_HTTP_HEAD_BYTES_MAX (16 * 1024)
#define GW_HTTP_HEADERS_MAX    64

struct gw_http {
    http_parser parser;
    /* The URL and then name and value of every header, each with a NUL. */
    char *head;
    size_t head_len, head_cap;
    uint32_t headers; /* where the first header's name begins */
    unsigned headers_count;
    bool in_value;
    bool head_done; /* what comes now are trailers: nobody asks for them */
    char *path;  /* percent-encoded still; points into head once it is whole */
    char *query; /* NULL: none */
    uint8_t *body;
    size_t body_len, body_cap;
    unsigned refused; /* the status of the answer; 0: none yet */
    bool complete;
};

void gw_http_free(struct gw_http *http); /* NULL is fine */
/* Returns how much of data was used. In the client's turn. */
size_t gw_http_feed(struct gw_conn *conn, const uint8_t *data, size_t len);

/* The value of a header, NULL if there is none; of its nth, from 0. */
const char *gw_http_header(const struct gw_http *http, const char *name);
const char *
gw_http_header_nth(const struct gw_http *http, const char *name, unsigned n);
/* Whether a comma separated header has a word. */
bool gw_http_header_has(const struct gw_http *http,
                        const char *name,
                        const char *word);
/* Decode %XX (and, in a query, +) in place; false: it is malformed, or not
 * UTF-8, or has a NUL. */
bool gw_http_decode(char *text, bool plus);
/* A parameter of the query, decoded, the caller's by free(); NULL: there is
 * none, or it is malformed. */
char *gw_http_query(const struct gw_http *http, const char *name);

/* Answer the request that is handled; headers are lines with CRLF. */
void gw_http_answer(struct gw_conn *conn,
                    unsigned status,
                    const char *headers,
                    const char *content_type,
                    const void *body,
                    size_t len);

/* The same with a page, or with 304 if the client has it. */
void gw_http_answer_page(struct gw_conn *conn, const struct gw_page *page);

#endif /* GW_HTTP_H */
