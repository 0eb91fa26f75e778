/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/client.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/conn_write.h"
#include "gateway/frame.h"
#include "gateway/gateway.h"
#include "gateway/loop.h"
#include "gateway/session.h"
#include "gateway/ws.h"

#define CLOSE_NORMAL     1000
#define CLOSE_GOING_AWAY 1001
#define CLOSE_POLICY     1008
#define CLOSE_INTERNAL   1011
#define CLOSE_LATER      1013

static const ht_gateway_config *config(const struct gw_client *client)
{
    return client->gateway->view.config;
}

void gw_client_measure(struct gw_client *client)
{
    struct gw_queue *q = &client->queue;

    gw_gauge(client->loop, GW_QUEUED_BYTES,
             (int64_t)(q->waiting_bytes - q->seen_waiting));
    gw_gauge(client->loop, GW_KEPT_BYTES,
             (int64_t)(q->kept_bytes - q->seen_kept));
    q->seen_waiting = q->waiting_bytes;
    q->seen_kept = q->kept_bytes;
}

/* ---- the actor ----------------------------------------------------------- */

static ht_err init(ht_actor *self, void *arg)
{
    struct gw_client *client = arg;
    struct gw_conn *conn = client->conn;

    ht_set_state(self, client);
    client->self = self;
    client->ref = ht_self(self);
    client->conn = NULL;
    return gw_conn_attach(conn, client);
}

static bool is(const ht_msg *msg, const char *variant)
{
    return strcmp(ht_msg_variant(msg), variant) == 0;
}

static ht_err handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct gw_client *client = ht_state(self);
    ht_err err = HT_OK;

    if (is(msg, GW_KICK)) {
        /* the settling is all */
    } else if (is(msg, GW_ATTACH)) {
        gw_session_attach(client, msg, call);
    } else if (client->transport == GW_HTTP || client->closing) {
        err = HT_ENOVARIANT;
    } else {
        err = gw_message_out(client, msg, call);
    }
    return err != HT_OK ? err : gw_client_settle(client);
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct gw_client *client = ht_state(self);
    ht_err err = gw_message_event(client, event);

    return err != HT_OK ? err : gw_client_settle(client);
}

/* The last words, if the socket takes them. */
static void say_goodbye(struct gw_conn *conn, const ht_exit *why)
{
    if (conn->lost) {
        return;
    }
    if (conn->ws == NULL) {
        /* what is queued is all */
    } else if (conn->gateway->stopping || why->kind == HT_EXIT_SHUTDOWN) {
        gw_ws_close(conn, CLOSE_GOING_AWAY, "the server stops");
    } else {
        gw_ws_close(conn,
                    why->kind == HT_EXIT_FAILED ? CLOSE_INTERNAL : CLOSE_NORMAL,
                    why->text);
    }
    gw_conn_flush(conn);
}

static void client_free(struct gw_client *client)
{
    LIST_REMOVE(client, entry);
    gw_session_free(client);
    gw_queue_fini(&client->queue);
    gw_client_measure(client);
    gw_identity_free(client->identity);
    gw_release(client->gateway);
    free(client);
}

static void terminate(ht_actor *self, const ht_exit *why)
{
    struct gw_client *client = ht_state(self);
    struct gw_conn *conn = client->conn;

    gw_message_end(client);
    if (conn != NULL) {
        say_goodbye(conn, why);
        gw_conn_detach(conn);
        gw_conn_free(conn);
    }
    client_free(client);
}

static const ht_behavior behavior = {
    .init = init,
    .handle = handle,
    .on_event = on_event,
    .terminate = terminate,
};

ht_err
gw_client_new(struct gw_loop *loop, struct gw_conn *conn, const char *address)
{
    ht_spawn_opts opts = {.scheduler = gw_loop_scheduler(loop)};
    struct gw_client *client = calloc(1, sizeof(*client));
    ht_err err;

    if (client == NULL) {
        gw_conn_free(conn);
        return HT_ENOMEM;
    }
    client->gateway = loop->gateway;
    client->loop = loop;
    client->conn = conn;
    client->made_ms = gw_now_ms();
    gw_queue_init(&client->queue);
    snprintf(client->address, sizeof(client->address), "%s", address);
    gw_hold(loop->gateway);
    LIST_INSERT_HEAD(&loop->clients, client, entry);
    err = ht_spawn(loop->node, &behavior, client, &opts, NULL);
    if (err != HT_OK) {
        gw_conn_free(conn);
        client_free(client);
    }
    return err;
}

ht_err gw_client_upgraded(struct gw_client *client, enum gw_encoding encoding)
{
    uint64_t number;
    ht_err err;

    do {
        randombytes_buf(&number, sizeof(number));
        snprintf(client->name, sizeof(client->name), "client-%016" PRIx64,
                 number);
        err = ht_register(client->loop->node, client->name, client->ref);
    } while (err == HT_EEXIST);
    if (err != HT_OK) {
        client->name[0] = '\0';
        return err;
    }
    client->transport = GW_WEBSOCKET;
    client->encoding = encoding;
    gw_count(client->loop, GW_UPGRADED, 1);
    gw_gauge(client->loop, GW_WEBSOCKETS, 1);
    return HT_OK;
}

/* ---- after a turn -------------------------------------------------------- */

static void lost(struct gw_client *client)
{
    struct gw_conn *conn = client->conn;

    gw_conn_detach(conn);
    if (client->session != NULL && !client->closing) {
        gw_session_detach(client, conn->address);
        gw_client_measure(client);
        gw_conn_free(conn);
        return;
    }
    gw_conn_free(conn);
    (void)ht_stop(client->loop->node, client->ref, "connection closed");
}

ht_err gw_client_settle(struct gw_client *client)
{
    if (client->session != NULL && client->session->wanted != NULL &&
        client->conn != NULL && !client->conn->lost) {
        gw_session_move(client);
    }
    if (client->conn != NULL) {
        gw_conn_settle(client->conn);
    }
    if (client->conn != NULL && client->conn->lost) {
        lost(client);
    }
    return HT_OK;
}

/* ---- in ------------------------------------------------------------------ */

/* Over its rate: it is told, and if it does not stop, closed. */
static void refuse(struct gw_client *client)
{
    struct gw_conn *conn = client->conn;

    gw_count(client->loop, GW_RATE_LIMITED, 1);
    if (++conn->refused > config(client)->messages_burst_max) {
        gw_count(client->loop, GW_CLOSED_RATE, 1);
        gw_ws_close(conn, CLOSE_POLICY, "too many messages");
        return;
    }
    gw_client_tell(client, &(struct gw_notice){.kind = GW_NOTICE_ERROR,
                                               .code = HT_EBUSY,
                                               .reason = "too many messages"});
}

void gw_client_message(struct gw_client *client,
                       const uint8_t *data,
                       size_t len)
{
    struct gw_conn *conn = client->conn;

    if (client->closing) {
        return;
    }
    gw_count(client->loop, GW_MESSAGES_IN, 1);
    client->messages_in++;
    if (!gw_bucket_take(&conn->bucket, config(client)->messages_per_second_max,
                        config(client)->messages_burst_max, conn->heard_ms)) {
        refuse(client);
        return;
    }
    conn->refused = 0;
    gw_message_in(client, data, len);
    client->talked = true;
}

void gw_client_peer_closed(struct gw_client *client, uint16_t code)
{
    /* A page that goes away may come back; who says goodbye does not. */
    if (code == CLOSE_NORMAL) {
        client->closing = true;
    }
}

/* ---- out ----------------------------------------------------------------- */

void gw_client_written(struct gw_client *client)
{
    struct gw_queue *q = &client->queue;
    bool keep = client->session != NULL;

    gw_queue_written(q, keep);
    if (keep) {
        gw_queue_trim(q, q->next, config(client)->resume_bytes_max,
                      config(client)->resume_messages_max);
    }
    if (client->conn->warned &&
        q->waiting_bytes < config(client)->queued_bytes_max / 4) {
        client->conn->warned = false;
    }
    gw_count(client->loop, GW_MESSAGES_OUT, 1);
    client->messages_out++;
    gw_client_measure(client);
}

void gw_client_tell(struct gw_client *client, const struct gw_notice *notice)
{
    if (client->conn != NULL && client->transport != GW_HTTP) {
        gw_conn_put(client->conn, gw_message_notice(client, notice));
    }
}

void gw_client_too_slow(struct gw_client *client)
{
    struct gw_conn *conn = client->conn;

    gw_count(client->loop, GW_CLOSED_SLOW, 1);
    if (conn->control_bytes > config(client)->queued_bytes_max) {
        gw_conn_drop_control(conn);
    }
    if (conn->ws != NULL) {
        gw_ws_close(conn, CLOSE_LATER, "too slow");
    } else {
        gw_conn_finish(conn);
    }
}

static void warn_slow(struct gw_client *client)
{
    client->conn->warned = true;
    gw_client_tell(client, &(struct gw_notice){
                               .kind = GW_NOTICE_SLOW,
                               .reason = "read faster, or be closed",
                               .queued = client->queue.waiting_bytes,
                               .limit = config(client)->queued_bytes_max,
                           });
}

/* Nobody takes it now: keep what a resume may ask for. */
static void keep_for_resume(struct gw_client *client)
{
    gw_queue_trim(&client->queue, client->queue.end,
                  config(client)->resume_bytes_max,
                  config(client)->resume_messages_max);
}

ht_err gw_client_send_frame(struct gw_client *client, struct gw_frame *frame)
{
    struct gw_conn *conn = client->conn;
    bool takes =
        conn != NULL && !conn->lost &&
        (conn->phase == GW_PHASE_MESSAGES || conn->phase == GW_PHASE_STREAM);
    uint64_t max = config(client)->queued_bytes_max;
    ht_err err;

    if (client->closing || (!takes && client->session == NULL)) {
        return HT_ECLOSED;
    }
    err = gw_queue_push(&client->queue, frame);
    if (err != HT_OK) {
        return err;
    }
    if (!takes) {
        keep_for_resume(client);
    } else if (client->queue.waiting_bytes > max) {
        gw_client_too_slow(client);
        err = HT_EBUSY;
    } else {
        if (client->queue.waiting_bytes > max / 2 && !conn->warned) {
            warn_slow(client);
        }
        gw_loop_dirty(client->loop, conn);
    }
    gw_client_measure(client);
    return err;
}

ht_err gw_client_send(struct gw_client *client, const void *encoded, size_t len)
{
    struct gw_frame *frame = gw_frame_new(client->encoding, encoded, len);
    ht_err err;

    if (frame == NULL) {
        return HT_ENOMEM;
    }
    err = gw_client_send_frame(client, frame);
    gw_frame_unref(frame);
    return err;
}

ht_err
gw_client_notice(struct gw_client *client, const void *encoded, size_t len)
{
    struct gw_frame *frame;

    if (client->conn == NULL || client->closing ||
        client->transport == GW_HTTP) {
        return HT_ECLOSED;
    }
    frame = gw_frame_new(client->encoding, encoded, len);
    if (frame == NULL) {
        return HT_ENOMEM;
    }
    gw_conn_put(client->conn, frame);
    return HT_OK;
}

void gw_client_close(struct gw_client *client, uint16_t code, const char *why)
{
    client->closing = true;
    if (client->conn == NULL) {
        (void)ht_stop(client->loop->node, client->ref, why);
        return;
    }
    if (client->conn->ws != NULL) {
        gw_ws_close_later(client->conn, code, why);
    }
    gw_conn_finish_later(client->conn);
}
