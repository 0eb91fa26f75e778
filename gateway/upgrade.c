/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/upgrade.h"

#include <stdio.h>
#include <string.h>

#include "gateway/client.h"
#include "gateway/deflate.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/http_api.h"
#include "gateway/loop.h"
#include "gateway/ws.h"

struct agreed {
    char accept[GW_WS_ACCEPT_BYTES];
    const char *protocol; /* NULL: none was asked for */
    enum gw_encoding encoding;
    const char *extension; /* NULL: none */
};

/* The first of ours that the client names.  One that names none speaks JSON;
 * one that names only others would close again. */
static bool choose_protocol(const struct gw_http *h, struct agreed *agreed)
{
    static const char name[] = "Sec-WebSocket-Protocol";

    agreed->encoding = GW_JSON;
    if (gw_http_header_has(h, name, GW_PROTOCOL_JSON)) {
        agreed->protocol = GW_PROTOCOL_JSON;
    } else if (gw_http_header_has(h, name, GW_PROTOCOL_PB)) {
        agreed->protocol = GW_PROTOCOL_PB;
        agreed->encoding = GW_PB;
    } else {
        return gw_http_header(h, name) == NULL;
    }
    return true;
}

static const char *choose_extension(const struct gw_http *h)
{
    const char *offers, *chosen = NULL;

    for (unsigned n = 0; chosen == NULL; n++) {
        offers = gw_http_header_nth(h, "Sec-WebSocket-Extensions", n);
        if (offers == NULL) {
            break;
        }
        chosen = gw_deflate_negotiate(offers);
    }
    return chosen;
}

/* 0, or the status of the refusal and why. */
static unsigned
agree(const struct gw_conn *c, struct agreed *agreed, const char **ret_why)
{
    const struct gw_http *h = c->http;
    const char *version = gw_http_header(h, "Sec-WebSocket-Version");
    const char *key = gw_http_header(h, "Sec-WebSocket-Key");

    if (version == NULL || strcmp(version, "13") != 0) {
        *ret_why = "WebSocket version 13 only";
        return 426;
    }
    if (key == NULL || !gw_ws_accept(key, agreed->accept) ||
        !gw_http_header_has(h, "Connection", "Upgrade") ||
        (h->parser.http_major == 1 && h->parser.http_minor == 0)) {
        *ret_why = "not a WebSocket handshake";
        return 400;
    }
    if (!choose_protocol(h, agreed)) {
        *ret_why =
            "no subprotocol in common: " GW_PROTOCOL_JSON ", " GW_PROTOCOL_PB;
        return 400;
    }
    if (c->gateway->view.config->deflate) {
        agreed->extension = choose_extension(h);
    }
    return 0;
}

static void put_answer(struct gw_conn *c, const struct agreed *agreed)
{
    bool protocol = agreed->protocol != NULL;
    bool extension = agreed->extension != NULL;
    char head[512];
    int n =
        snprintf(head, sizeof(head),
                 "HTTP/1.1 101 Switching Protocols\r\n"
                 "Upgrade: websocket\r\n"
                 "Connection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n"
                 "%s%s%s%s%s%s\r\n",
                 agreed->accept, protocol ? "Sec-WebSocket-Protocol: " : "",
                 protocol ? agreed->protocol : "", protocol ? "\r\n" : "",
                 extension ? "Sec-WebSocket-Extensions: " : "",
                 extension ? agreed->extension : "", extension ? "\r\n" : "");

    gw_conn_put_bytes(c, head, (size_t)n);
}

void gw_upgrade(struct gw_conn *c)
{
    struct agreed agreed = {.protocol = NULL};
    const char *why = "";
    unsigned status = agree(c, &agreed, &why);
    struct gw_ws *ws;

    if (status != 0) {
        gw_api_error(c, status,
                     status == 426 ? "Sec-WebSocket-Version: 13\r\n"
                                     "Upgrade: websocket\r\n"
                                   : "",
                     HT_EPROTO, why);
        return;
    }
    ws = gw_ws_new(agreed.extension != NULL);
    if (ws == NULL || gw_client_upgraded(c->client, agreed.encoding) != HT_OK) {
        gw_ws_free(ws);
        gw_api_error(c, 503, "", HT_ENOMEM, ht_strerror(HT_ENOMEM));
        return;
    }
    put_answer(c, &agreed);
    gw_http_free(c->http);
    c->http = NULL;
    c->ws = ws;
    c->phase = GW_PHASE_MESSAGES;
    c->finishing = false;
    c->deadline_ms = gw_now_ms() + c->gateway->view.config->idle_ms / 2;
}
