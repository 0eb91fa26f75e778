/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/session.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gateway.h"
#include "gateway/loop.h"
#include "gateway/ws.h"

#define ATTACH_TIMEOUT_MS 5000
#define CLOSE_REPLACED    4001 /* the session goes on elsewhere */
#define TOKEN_BYTES                                                            \
    (sizeof(((struct gw_client *)0)->name) + 1 + 2 * GW_SECRET_BYTES + 1)

/* ---- life ---------------------------------------------------------------- */

static ht_err session_new(struct gw_client *client)
{
    struct gw_session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return HT_ENOMEM;
    }
    s->client = client;
    client->session = s;
    return HT_OK;
}

static void leave_detached(struct gw_client *client)
{
    struct gw_session *s = client->session;
    struct gw_loop *loop = client->loop;

    if (s->detached) {
        TAILQ_REMOVE(&loop->detached, s, entry);
        loop->detached_count--;
        gw_addresses_leave(client->gateway->away, s->address);
        s->detached = false;
        gw_gauge(loop, GW_DETACHED, -1);
    }
}

void gw_session_free(struct gw_client *client)
{
    struct gw_session *s = client->session;

    if (s == NULL) {
        return;
    }
    leave_detached(client);
    if (s->moving) {
        gw_transit_free(
            gw_transit_take(&client->gateway->transits, s->moving_id));
    }
    free(s->wanted);
    sodium_memzero(s->secret, sizeof(s->secret));
    free(s);
    client->session = NULL;
}

/* It will be found closing by whoever asks for it until it ends. */
static void give_up(struct gw_client *client)
{
    client->closing = true;
    gw_count(client->loop, GW_SESSIONS_DROPPED, 1);
    (void)ht_stop(client->loop->node, client->ref,
                  "too many wait to come back");
}

static void make_room(struct gw_loop *loop)
{
    uint32_t max = loop->gateway->view.config->connections_max /
                   loop->gateway->loops_count;
    struct gw_session *s;

    if (loop->detached_count <= max) {
        return;
    }
    TAILQ_FOREACH (s, &loop->detached, entry) {
        if (!s->client->closing) {
            give_up(s->client);
            return;
        }
    }
}

void gw_session_detach(struct gw_client *client,
                       const uint8_t address[GW_ADDRESS_KEY_BYTES])
{
    const ht_gateway_config *config = client->gateway->view.config;
    struct gw_session *s = client->session;
    struct gw_loop *loop = client->loop;

    if (gw_addresses_enter(client->gateway->away, address,
                           config->connections_per_address_max) != HT_OK) {
        give_up(client);
        return;
    }
    memcpy(s->address, address, sizeof(s->address));
    s->detached = true;
    s->deadline_ms = gw_now_ms() + config->grace_ms;
    TAILQ_INSERT_TAIL(&loop->detached, s, entry);
    loop->detached_count++;
    gw_gauge(loop, GW_DETACHED, 1);
    gw_queue_trim(&client->queue, client->queue.end, config->resume_bytes_max,
                  config->resume_messages_max);
    make_room(loop);
}

/* ---- the welcome --------------------------------------------------------- */

static void welcome(struct gw_client *client, bool resumed, const char *afresh)
{
    struct gw_session *s = client->session;
    char token[TOKEN_BYTES], hex[2 * GW_SECRET_BYTES + 1];

    randombytes_buf(s->secret, sizeof(s->secret));
    sodium_bin2hex(hex, sizeof(hex), s->secret, sizeof(s->secret));
    snprintf(token, sizeof(token), "%s.%s", client->name, hex);
    gw_client_tell(client,
                   &(struct gw_notice){
                       .kind = GW_NOTICE_WELCOME,
                       .name = client->name,
                       .node = ht_node_name(client->loop->node),
                       .resume = token,
                       .resumed = resumed,
                       .afresh = afresh,
                       .received = gw_queue_before_next(&client->queue),
                       .grace_ms = client->gateway->view.config->grace_ms,
                   });
    sodium_memzero(token, sizeof(token));
    sodium_memzero(hex, sizeof(hex));
}

/* A new session begins; afresh says why not the earlier one. */
static void begin(struct gw_client *client, const char *afresh)
{
    if (afresh != NULL) {
        gw_count(client->loop, GW_RESUME_REFUSED, 1);
    }
    if (gw_queue_restart(&client->queue) != HT_OK) {
        gw_client_close(client, 1011, "out of memory");
        return;
    }
    welcome(client, false, afresh);
}

static bool may_say_hello(const struct gw_client *client)
{
    return client->transport == GW_WEBSOCKET && client->session == NULL &&
           client->conn != NULL && !client->closing;
}

ht_err gw_client_hello(struct gw_client *client)
{
    ht_err err;

    if (!may_say_hello(client)) {
        return HT_EINVAL;
    }
    err = session_new(client);
    if (err == HT_OK) {
        begin(client, NULL);
    }
    return err;
}

ht_err gw_client_ack(struct gw_client *client, uint64_t received)
{
    ht_err err;

    if (client->session == NULL) {
        return HT_EINVAL;
    }
    err = gw_queue_ack(&client->queue, received);
    gw_client_measure(client);
    return err;
}

/* ---- asking for an earlier session --------------------------------------- */

/* The earlier client's actor and the secret. HT_EINVAL: no token; HT_ENOENT:
 * nobody of that name is here. */
static ht_err parse_token(struct gw_client *client,
                          const char *token,
                          size_t len,
                          ht_ref *ret_ref,
                          uint8_t ret_secret[GW_SECRET_BYTES])
{
    const char *dot = memchr(token, '.', len);
    char name[sizeof(client->name)];
    size_t name_len, secret_len = 0;

    if (dot == NULL || (name_len = (size_t)(dot - token)) >= sizeof(name) ||
        name_len < 8 || memcmp(token, "client-", 7) != 0 ||
        len - name_len - 1 != (size_t)2 * GW_SECRET_BYTES ||
        sodium_hex2bin(ret_secret, GW_SECRET_BYTES, dot + 1,
                       (size_t)2 * GW_SECRET_BYTES, NULL, &secret_len,
                       NULL) != 0 ||
        secret_len != GW_SECRET_BYTES) {
        return HT_EINVAL;
    }
    memcpy(name, token, name_len);
    name[name_len] = '\0';
    *ret_ref = ht_whereis(client->loop->node, name);
    return ht_ref_is_none(*ret_ref) || ht_ref_equal(*ret_ref, client->ref)
               ? HT_ENOENT
               : HT_OK;
}

ht_err gw_client_resume(struct gw_client *client,
                        const char *token,
                        size_t token_len,
                        uint64_t received)
{
    struct gw_transit *t;
    ht_err err;

    if (!may_say_hello(client) || client->talked) {
        return HT_EINVAL;
    }
    t = calloc(1, sizeof(*t));
    if (t == NULL || session_new(client) != HT_OK) {
        free(t);
        return HT_ENOMEM;
    }
    err = parse_token(client, token, token_len, &client->session->earlier,
                      t->secret);
    if (err != HT_OK) {
        free(t);
        begin(client,
              err == HT_EINVAL ? "not a resume token" : "no such session here");
        return HT_OK;
    }
    t->received = received;
    /* We are inside the reading of the connection: it moves once that is over.
     */
    client->session->wanted = t;
    client->conn->paused = true;
    gw_conn_kick(client->conn);
    return HT_OK;
}

/* It did not become of anything: the connection is ours again. */
static void come_back(struct gw_client *client, const char *reason)
{
    struct gw_session *s = client->session;
    struct gw_transit *t =
        gw_transit_take(&client->gateway->transits, s->moving_id);
    struct gw_conn *conn;

    s->moving = false;
    /* The earlier client has it, although its answer got lost. */
    if (t == NULL) {
        (void)ht_stop(client->loop->node, client->ref, "resumed");
        return;
    }
    conn = t->conn;
    t->conn = NULL;
    client->identity = t->identity;
    t->identity = NULL;
    gw_transit_free(t);
    if (gw_conn_attach(conn, client) != HT_OK) {
        gw_conn_free(conn);
        (void)ht_stop(client->loop->node, client->ref, "out of memory");
        return;
    }
    conn->paused = false;
    begin(client, reason);
}

static void on_attached(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct gw_client *client = arg;

    (void)self;
    if (reply->err == HT_OK) {
        client->session->moving = false;
        (void)ht_stop(client->loop->node, client->ref, "resumed");
        return;
    }
    come_back(client, reply->err == HT_EDENIED ? reply->reason
                                               : "the session has ended");
    (void)gw_client_settle(client);
}

void gw_session_move(struct gw_client *client)
{
    struct gw_session *s = client->session;
    struct gw_conn *conn = client->conn;
    struct gw_transit *t = s->wanted;
    ht_err err;

    s->wanted = NULL;
    gw_conn_detach(conn);
    t->conn = conn;
    t->encoding = client->encoding;
    t->identity = client->identity;
    client->identity = NULL;
    randombytes_buf(t->id, sizeof(t->id));
    memcpy(s->moving_id, t->id, sizeof(s->moving_id));
    s->moving = true;
    gw_transit_put(&client->gateway->transits, t);
    err = ht_call_async(client->self, s->earlier, GW_ATTACH, s->moving_id,
                        sizeof(s->moving_id), ATTACH_TIMEOUT_MS, on_attached,
                        client, NULL);
    if (err != HT_OK) {
        come_back(client, "the session has ended");
    }
}

/* ---- being asked --------------------------------------------------------- */

/* Why not; NULL: it may. */
static const char *refusal(struct gw_client *client, const struct gw_transit *t)
{
    struct gw_session *s = client->session;
    ht_err err;

    if (s == NULL || client->closing || s->moving || s->wanted != NULL ||
        sodium_memcmp(s->secret, t->secret, sizeof(s->secret)) != 0) {
        return "no such session here";
    }
    if (t->encoding != client->encoding) {
        return "the session has another subprotocol";
    }
    if (t->identity != NULL &&
        !gw_identity_same_user(t->identity, client->identity)) {
        return "the session is another user's";
    }
    err = gw_queue_rewind(&client->queue, t->received);
    return err == HT_OK       ? NULL
           : err == HT_ENOENT ? "too much was missed"
                              : "not so many messages were sent";
}

/* The client came back before we knew that it was gone. */
static void replace(struct gw_client *client)
{
    struct gw_conn *old = client->conn;

    if (old == NULL) {
        return;
    }
    gw_ws_close(old, CLOSE_REPLACED, "resumed by another connection");
    gw_conn_flush(old);
    gw_conn_detach(old);
    gw_conn_free(old);
}

static void take_over(struct gw_client *client, struct gw_transit *t)
{
    struct gw_conn *conn = t->conn;

    t->conn = NULL;
    if (t->identity != NULL) {
        gw_identity_free(client->identity);
        client->identity = t->identity;
        t->identity = NULL;
    }
    gw_transit_free(t);
    replace(client);
    leave_detached(client);
    gw_client_measure(client);
    conn->paused = false;
    if (gw_conn_attach(conn, client) != HT_OK) {
        gw_session_detach(client, conn->address);
        gw_conn_free(conn);
        return;
    }
    gw_count(client->loop, GW_RESUMED, 1);
    welcome(client, true, NULL);
    gw_loop_dirty(client->loop, conn);
}

void gw_session_attach(struct gw_client *client,
                       const ht_msg *msg,
                       ht_call call)
{
    ht_bytes args = ht_msg_args(msg);
    struct gw_transit *t = NULL;
    const char *why;

    if (call.id == 0) {
        return;
    }
    if (args.len == GW_TRANSIT_ID_BYTES) {
        t = gw_transit_take(&client->gateway->transits, args.data);
    }
    if (t == NULL) {
        (void)ht_reply_error(client->self, call, HT_EDENIED,
                             "no such session here");
        return;
    }
    why = refusal(client, t);
    if (why != NULL) {
        gw_transit_put(&client->gateway->transits, t);
        (void)ht_reply_error(client->self, call, HT_EDENIED, why);
        return;
    }
    take_over(client, t);
    (void)ht_reply_ok(client->self, call, NULL, 0);
}
