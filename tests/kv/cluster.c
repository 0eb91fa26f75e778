/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kv/cluster.h"

#include <ftw.h>
#include <hardtack/raft.pb-c.h>

/* ---- nodes --------------------------------------------------------------- */

static ht_node *start_node(struct cluster *c, const char *name, int port)
{
    ht_config config = node_config(name, HT_ENCRYPT_NONE, &c->log);

    config.port = port != 0 ? port : HT_PORT_ANY;
    config.heartbeat_ms = 200;
    config.silence_ms = 1000;
    config.redial_max_ms = 200;
    return node_start(&config);
}

/* Dial every other, for ever. */
static void dial(struct cluster *c, ht_node *node)
{
    for (size_t i = 0; i < c->count; i++) {
        char address[64];

        if (c->members[i].node != NULL && c->members[i].node != node) {
            CHECK_OK(ht_connect(node, node_address(c->members[i].node, address),
                                NULL));
        }
    }
}

static void start_member(struct cluster *c, size_t i, bool bootstrap)
{
    ht_kv_config config = c->config;
    char directory[96];

    snprintf(directory, sizeof(directory), "%s/%zu", c->directory, i);
    config.directory = directory;
    config.bootstrap = bootstrap;
    if (ht_kv_start(c->members[i].node, &config, &c->members[i].kv) != HT_OK) {
        print_error("store: %s\n", ht_raft_start_error());
        fail();
    }
}

static void on_changed(const Hardtack__Empty *reply, void *arg)
{
    const char *words;

    *(bool *)arg = reply != NULL;
    if (reply == NULL) {
        (void)ht_stub_error(&words);
        print_message("change: %s\n", words);
    }
}

static ht_stub *member_stub(ht_node *node)
{
    ht_stub *stub;

    CHECK_OK(ht_stub_new(node, ht_whereis(node, "hardtack.raft.kv"),
                         &hardtack__raft__member__descriptor, &stub));
    ht_stub_set_timeout(stub, PATIENCE_MS);
    return stub;
}

/* Until it works: the node may not be connected yet. */
static void add_member(struct cluster *c, size_t i)
{
    Hardtack__Raft__AddRequest request = HARDTACK__RAFT__ADD_REQUEST__INIT;
    uint64_t until = clock_ms() + PATIENCE_MS;
    bool added = false;

    request.node = (char *)(uintptr_t)ht_node_name(c->members[i].node);
    while (!added) {
        ht_stub *stub = member_stub(c->members[0].node);

        CHECK(clock_ms() < until);
        hardtack__raft__member__raft_add(ht_stub_service(stub), &request,
                                         on_changed, &added);
        ht_stub_free(stub);
    }
}

void cluster_remove(struct cluster *c, size_t i)
{
    Hardtack__Raft__NodeRequest request = HARDTACK__RAFT__NODE_REQUEST__INIT;
    uint64_t until = clock_ms() + PATIENCE_MS;
    bool removed = false;

    request.node = (char *)(uintptr_t)ht_node_name(c->members[i].node);
    while (!removed) {
        ht_stub *stub = member_stub(c->members[cluster_leader(c)].node);

        CHECK(clock_ms() < until);
        hardtack__raft__member__raft_remove(ht_stub_service(stub), &request,
                                            on_changed, &removed);
        ht_stub_free(stub);
    }
}

void cluster_start(struct cluster *c, size_t count)
{
    ht_kv_config config = c->config;

    *c = (struct cluster){.log = LOG_INIT, .count = count, .config = config};
    c->config.heartbeat_ms = 50;
    c->config.election_ms = 300;
    snprintf(c->directory, sizeof(c->directory), "/tmp/hardtack-kv-XXXXXX");
    CHECK(mkdtemp(c->directory) != NULL);
    for (size_t i = 0; i < count; i++) {
        snprintf(c->members[i].name, sizeof(c->members[i].name), "n%zu", i);
        c->members[i].node = start_node(c, c->members[i].name, 0);
        c->members[i].port = ht_node_port(c->members[i].node);
        dial(c, c->members[i].node);
        start_member(c, i, i == 0);
    }
    for (size_t i = 1; i < count; i++) {
        add_member(c, i);
    }
}

void cluster_down(struct cluster *c, size_t i)
{
    ht_kv_free(c->members[i].kv);
    ht_node_free(c->members[i].node);
    c->members[i].kv = NULL;
    c->members[i].node = NULL;
}

void cluster_up(struct cluster *c, size_t i)
{
    c->members[i].node = start_node(c, c->members[i].name, c->members[i].port);
    dial(c, c->members[i].node);
    start_member(c, i, false);
}

ht_node *cluster_client(struct cluster *c)
{
    ht_node *node = start_node(c, "client", 0);

    for (size_t i = 0; i < c->count; i++) {
        char address[64];

        CHECK_OK(ht_client_connect(
            node, node_address(c->members[i].node, address), NULL));
    }
    return node;
}

static int
remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

void cluster_stop(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        cluster_down(c, i);
    }
    (void)nftw(c->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    log_fini(&c->log);
}

size_t cluster_leader(struct cluster *c)
{
    uint64_t until = clock_ms() + PATIENCE_MS;

    while (clock_ms() < until) {
        for (size_t i = 0; i < c->count; i++) {
            static ht_raft_status status;

            if (c->members[i].kv == NULL) {
                continue;
            }
            ht_raft_status_get(ht_kv_raft(c->members[i].kv), &status);
            if (status.role == HT_RAFT_LEADER) {
                return i;
            }
        }
        (void)poll(NULL, 0, 5);
    }
    fail();
    return 0;
}

/* ---- calls --------------------------------------------------------------- */

static _Thread_local struct {
    ht_err err;
    char words[300];
} last;

struct copied {
    ProtobufCMessage *reply;
};

static void on_reply(const ProtobufCMessage *reply, void *arg)
{
    struct copied *copied = arg;
    const char *words = "";
    uint8_t *bytes;
    size_t len;

    last.err = ht_stub_error(&words);
    snprintf(last.words, sizeof(last.words), "%s", words);
    if (reply == NULL) {
        return;
    }
    len = protobuf_c_message_get_packed_size(reply);
    bytes = malloc(len + 1);
    CHECK(bytes != NULL);
    (void)protobuf_c_message_pack(reply, bytes);
    copied->reply =
        protobuf_c_message_unpack(reply->descriptor, NULL, len, bytes);
    CHECK(copied->reply != NULL);
    free(bytes);
}

ProtobufCMessage *
cluster_call(ht_node *node, const char *method, const ProtobufCMessage *request)
{
    const ProtobufCServiceDescriptor *store = &hardtack__kv__store__descriptor;
    struct copied copied = {NULL};
    ht_stub *stub;
    ht_ref front;
    ProtobufCService *service;

    CHECK_OK(ht_kv_front(node, NULL, &front));
    CHECK_OK(ht_stub_new(node, front, store, &stub));
    ht_stub_set_timeout(stub, PATIENCE_MS);
    service = ht_stub_service(stub);
    for (unsigned i = 0; i < store->n_methods; i++) {
        if (strcmp(store->methods[i].name, method) == 0) {
            service->invoke(service, i, request, on_reply, &copied);
        }
    }
    ht_stub_free(stub);
    return copied.reply;
}

ht_err cluster_error(void)
{
    return last.err;
}

const char *cluster_reason(void)
{
    return last.words;
}
