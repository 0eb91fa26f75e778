/* SPDX-License-Identifier: Apache-2.0 */
/* http_api.h - what can be asked for by HTTP.
 *
 *   GET  /, /ws                     upgrade to WebSocket
 *   POST /call/<actor>/<method>     a call; the body is its arguments
 *   POST /cast/<actor>/<method>
 *   GET  /events?group=<name>       server-sent events
 *   GET  /healthz, /readyz, /metrics
 *   GET  any other                  a page of ht_gateway_page()
 *
 * A page of another origin is answered only if the configuration names it.
 *
 * Thread: the loop's.
 */
#ifndef GW_HTTP_API_H
#define GW_HTTP_API_H

#include "gateway/conn.h"

/* conn->http has a whole request: answer it, now or later. */
void gw_api_request(struct gw_conn *conn);
/* It has none that can be understood: say so. */
void gw_api_refuse(struct gw_conn *conn, unsigned status);
/* Answer with an error; headers are lines with CRLF. */
void gw_api_error(struct gw_conn *conn,
                  unsigned status,
                  const char *headers,
                  ht_err err,
                  const char *reason);

#endif /* GW_HTTP_API_H */
