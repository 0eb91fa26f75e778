/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/conn.h"
#include "gateway/gateway.h"
#include "gateway/login.h"
#include "survey/asker.h"

/* A loop that takes longer is missing. */
#define LOOP_MS 1000
/* For another node's gateway. */
#define NODE_MS 2000

typedef Hardtack__Dashboard__Client client_row;
typedef Hardtack__Dashboard__ClientsReply clients_reply;

/* ---- a loop tells -------------------------------------------------------- */

static const char *encoding_of(const struct gw_client *client)
{
    static const char *const names[GW_ENCODINGS] = {
        [GW_JSON] = "json", [GW_PB] = "pb", [GW_SSE] = "sse"};

    return client->transport == GW_HTTP ? "http" : names[client->encoding];
}

/* Where it is connected from now, which after a resume may be elsewhere than
 * its client was made. */
static void address_of(const struct gw_client *client, char *text, size_t len)
{
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);

    memset(&peer, 0, sizeof(peer));
    if (client->conn != NULL &&
        getpeername(client->conn->fd, (struct sockaddr *)&peer, &peer_len) ==
            0) {
        gw_address_text(&peer, text, len);
    }
}

/* What it points to is the client's, and address. */
static void
fill(client_row *row, struct gw_client *client, bool persons, char address[64])
{
    *row = (client_row)HARDTACK__DASHBOARD__CLIENT__INIT;
    row->name = client->name;
    row->encoding = (char *)encoding_of(client);
    row->away = client->conn == NULL;
    row->age_ms = gw_now_ms() - client->made_ms;
    row->queued_bytes = client->conn != NULL ? gw_conn_unsent(client->conn)
                                             : client->queue.waiting_bytes;
    row->messages_in = client->messages_in;
    row->messages_out = client->messages_out;
    if (persons) {
        address_of(client, address, 64);
        row->address = address;
        row->user = client->identity != NULL
                        ? (char *)client->identity->token.user
                        : row->user;
    }
}

static uint64_t gauge(const struct gw_loop *loop, enum gw_gauge which)
{
    int64_t value =
        atomic_load_explicit(&loop->gauges[which], memory_order_relaxed);

    return value > 0 ? (uint64_t)value : 0;
}

ht_err gw_clients_tell(struct gw_loop *loop, const ht_msg *msg, ht_call call)
{
    ht_bytes args = ht_msg_args(msg);
    bool persons = args.len == 1 && ((const char *)args.data)[0] != 0;
    client_row rows[GW_CLIENTS_MAX], *at[GW_CLIENTS_MAX];
    char addresses[GW_CLIENTS_MAX][64] = {{0}};
    clients_reply out = HARDTACK__DASHBOARD__CLIENTS_REPLY__INIT;
    struct gw_client *client;
    uint8_t *packed;
    size_t len;

    LIST_FOREACH (client, &loop->clients, entry) { /* the newest first */
        if (out.n_clients == GW_CLIENTS_MAX) {
            break;
        }
        at[out.n_clients] = &rows[out.n_clients];
        fill(&rows[out.n_clients], client, persons, addresses[out.n_clients]);
        out.n_clients++;
    }
    out.clients = at;
    out.total = gauge(loop, GW_CONNECTIONS) + gauge(loop, GW_DETACHED);
    len = hardtack__dashboard__clients_reply__get_packed_size(&out);
    packed = malloc(len + 1);
    if (packed == NULL) {
        return ht_reply_error(loop->self, call, HT_EFAILED, "no memory");
    }
    hardtack__dashboard__clients_reply__pack(&out, packed);
    (void)ht_reply_ok(loop->self, call, packed, len);
    free(packed);
    return HT_OK;
}

/* ---- questions ----------------------------------------------------------- */

struct gw_clients_ask {
    LIST_ENTRY(gw_clients_ask) entry;
    struct gw_clients_asks *asks;
    Hardtack__Dashboard__ClientsReply_Closure reply;
    void *call;
    unsigned pending, silent;
    unsigned told_count;
    clients_reply *told[]; /* of the loops */
};

static void ask_free(struct gw_clients_ask *ask)
{
    for (unsigned i = 0; i < ask->told_count; i++) {
        hardtack__dashboard__clients_reply__free_unpacked(ask->told[i], NULL);
    }
    LIST_REMOVE(ask, entry);
    ask->asks->count--;
    free(ask);
}

void gw_clients_asks_fini(struct gw_clients_asks *asks)
{
    struct gw_clients_ask *ask;

    while ((ask = LIST_FIRST(&asks->list)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        ask_free(ask);
    }
}

/* NULL: the call has failed. */
static struct gw_clients_ask *
ask_new(struct gw_clients_asks *asks,
        unsigned loops,
        Hardtack__Dashboard__ClientsReply_Closure reply,
        void *call)
{
    struct gw_clients_ask *ask =
        asks->count < GW_CLIENTS_ASKS_MAX
            ? calloc(1, sizeof(*ask) + loops * sizeof(clients_reply *))
            : NULL;

    if (ask == NULL) {
        ht_fail(call, HT_EOVERLOAD, "too many look");
        return NULL;
    }
    ask->asks = asks;
    ask->reply = reply;
    ask->call = call;
    LIST_INSERT_HEAD(&asks->list, ask, entry);
    asks->count++;
    return ask;
}

/* ---- all loops of this gateway ------------------------------------------- */

static int newer(const void *a, const void *b)
{
    uint64_t x = (*(client_row *const *)a)->age_ms;
    uint64_t y = (*(client_row *const *)b)->age_ms;

    return (x > y) - (x < y);
}

static void gathered(struct gw_clients_ask *ask)
{
    clients_reply out = HARDTACK__DASHBOARD__CLIENTS_REPLY__INIT;
    client_row **rows = NULL;
    size_t count = 0;

    for (unsigned i = 0; i < ask->told_count; i++) {
        count += ask->told[i]->n_clients;
        out.total += ask->told[i]->total;
    }
    rows = calloc(count + 1, sizeof(client_row *));
    if (rows == NULL) {
        ht_fail(ask->call, HT_EFAILED, "no memory");
        ask_free(ask);
        return;
    }
    for (unsigned i = 0; i < ask->told_count; i++) {
        for (size_t j = 0; j < ask->told[i]->n_clients; j++) {
            rows[out.n_clients++] = ask->told[i]->clients[j];
        }
    }
    qsort(rows, out.n_clients, sizeof(client_row *), newer);
    out.clients = rows;
    if (out.n_clients > GW_CLIENTS_MAX) {
        out.n_clients = GW_CLIENTS_MAX;
    }
    out.loops_silent = ask->silent;
    ask->reply(&out, ask->call);
    free(rows);
    ask_free(ask);
}

static void on_loop(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct gw_clients_ask *ask = arg;
    clients_reply *told = NULL;

    (void)self;
    if (reply->err == HT_OK) {
        told = hardtack__dashboard__clients_reply__unpack(NULL, reply->len,
                                                          reply->data);
    }
    if (told != NULL) {
        ask->told[ask->told_count++] = told;
    } else {
        ask->silent++;
    }
    if (--ask->pending == 0) {
        gathered(ask);
    }
}

void gw_clients_gather(struct gw_clients_asks *asks,
                       struct ht_gateway *gateway,
                       bool persons,
                       Hardtack__Dashboard__ClientsReply_Closure reply,
                       void *call)
{
    struct gw_clients_ask *ask =
        ask_new(asks, gateway->loops_count, reply, call);
    char with = persons;

    if (ask == NULL) {
        return;
    }
    for (unsigned i = 0; i < gateway->loops_count; i++) {
        if (ht_call_async(ht_service_self(), gateway->loops[i].manager,
                          GW_CLIENTS, &with, 1, LOOP_MS, on_loop, ask,
                          NULL) == HT_OK) {
            ask->pending++;
        } else {
            ask->silent++;
        }
    }
    if (ask->pending == 0) {
        gathered(ask);
    }
}

/* ---- another gateway ----------------------------------------------------- */

static void on_node(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct gw_clients_ask *ask = arg;
    ht_reader reader = ht_reader_reply(reply);
    clients_reply *told = NULL;

    (void)self;
    if (reply->err == HT_OK) {
        told = (void *)ht_read_message(
            &reader, &hardtack__dashboard__clients_reply__descriptor);
    }
    if (told != NULL) {
        ask->reply(told, ask->call);
        hardtack__dashboard__clients_reply__free_unpacked(told, NULL);
    } else if (reply->err == HT_ENOPROC) {
        ht_fail(ask->call, HT_EFAILED, "that node has no gateway");
    } else {
        ht_fail(ask->call, HT_EFAILED,
                reply->err == HT_OK        ? "its answer is malformed"
                : reply->reason[0] != '\0' ? reply->reason
                                           : ht_strerror(reply->err));
    }
    ask_free(ask);
}

void gw_clients_relay(struct gw_clients_asks *asks,
                      const char *node,
                      bool persons,
                      Hardtack__Dashboard__ClientsReply_Closure reply,
                      void *call)
{
    Hardtack__Dashboard__ClientsRequest request =
        HARDTACK__DASHBOARD__CLIENTS_REQUEST__INIT;
    struct gw_clients_ask *ask = ask_new(asks, 0, reply, call);
    ht_args args = HT_ARGS_INIT;
    ht_err err;

    if (ask == NULL) {
        return;
    }
    request.persons = persons;
    ht_args_message(&args, &request.base);
    err = args.err;
    if (err == HT_OK) {
        err = ht_call_name_async(
            ht_service_self(), node[0] != '\0' ? node : NULL, HTI_GATEWAY_NAME,
            "Clients", args.data, args.len, NODE_MS, on_node, ask, NULL);
    }
    ht_args_fini(&args);
    if (err != HT_OK) {
        ht_fail(call, HT_EFAILED,
                err == HT_ENOCONN ? "that node is not connected to this one"
                                  : ht_strerror(err));
        ask_free(ask);
    }
}
