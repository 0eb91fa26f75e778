/* SPDX-License-Identifier: Apache-2.0 */
/* The store on three real nodes: forwarded, read, watched, and with members
 * that come and go. */
#include "tests/kv/cluster.h"

static struct cluster c;
static ht_node *client;

static int setup(void **state)
{
    (void)state;
    cluster_start(&c, 3);
    client = cluster_client(&c);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ht_node_free(client);
    cluster_stop(&c);
    return 0;
}

static void put(ht_node *node, const char *key, const char *text)
{
    ht_err err = ht_kv_put(node, NULL, key, text, strlen(text), NULL, NULL);

    if (err != HT_OK) {
        print_error("put %s: %s: %s\n", key, ht_errname(err), ht_kv_reason());
    }
    CHECK_OK(err);
}

static void expect(ht_node *node, const char *key, const char *text)
{
    ht_kv_value value = {0};
    ht_err err = ht_kv_get(node, NULL, key, false, &value);

    if (err != HT_OK) {
        print_error("get %s: %s: %s\n", key, ht_errname(err), ht_kv_reason());
    }
    CHECK_OK(err);
    assert_string_equal(value.data, text);
    ht_kv_value_fini(&value);
}

static void test_any_node_answers(void **state)
{
    uint64_t revision = 0;
    ht_kv_value value = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char key[16];

        snprintf(key, sizeof(key), "from-%zu", i);
        put(c.members[i].node, key, "x");
        expect(c.members[(i + 1) % 3].node, key, "x");
        expect(client, key, "x");
    }
    put(client, "from-client", "y");
    expect(c.members[2].node, "from-client", "y");
    CHECK_OK(ht_kv_swap(client, NULL, "lock", 0, "me", 2, NULL, &revision));
    CHECK_ERR(
        ht_kv_swap(c.members[1].node, NULL, "lock", 0, "you", 3, NULL, NULL),
        HT_EEXIST);
    CHECK_OK(ht_kv_swap(c.members[1].node, NULL, "lock", revision, "you", 3,
                        NULL, NULL));
    CHECK_OK(ht_kv_del(client, NULL, "lock"));
    CHECK_ERR(ht_kv_del(client, NULL, "lock"), HT_ENOENT);
    CHECK_ERR(ht_kv_get(client, NULL, "lock", false, &value), HT_ENOENT);
    CHECK_ERR(ht_kv_put(client, NULL, "", "x", 1, NULL, NULL), HT_EARGS);
    assert_string_equal(ht_kv_reason(), "bad_request: a key is missing");
    CHECK_ERR(ht_kv_put(client, "no such store", "k", "x", 1, NULL, NULL),
              HT_EINVAL);
}

static bool stale_has(ht_node *node)
{
    ht_kv_value value = {0};
    bool has = ht_kv_get(node, NULL, "stale", true, &value) == HT_OK;

    ht_kv_value_fini(&value);
    return has;
}

static void test_stale_reads(void **state)
{
    (void)state;
    put(client, "stale", "x");
    for (size_t i = 0; i < 3; i++) {
        WAIT_FOR(stale_has(c.members[i].node));
    }
    /* Without a majority too. */
    cluster_down(&c, 0);
    cluster_down(&c, 1);
    CHECK(stale_has(c.members[2].node));
    cluster_up(&c, 0);
    cluster_up(&c, 1);
    expect(client, "stale", "x");
}

static void test_writes_go_on_without_the_leader(void **state)
{
    (void)state;
    put(client, "before", "1");
    for (unsigned round = 0; round < 2; round++) {
        size_t leader = cluster_leader(&c);

        cluster_down(&c, leader);
        put(client, "after", "2"); /* tried until there is a new one */
        expect(client, "before", "1");
        cluster_up(&c, leader);
    }
    expect(c.members[0].node, "after", "2");
}

static void test_without_a_majority(void **state)
{
    ht_kv_value value = {0};
    size_t leader = cluster_leader(&c);

    (void)state;
    put(client, "k", "1");
    cluster_down(&c, (leader + 1) % 3);
    cluster_down(&c, (leader + 2) % 3);
    CHECK_ERR(ht_kv_get(client, NULL, "k", false, &value), HT_EFAILED);
    CHECK(strncmp(ht_kv_reason(), "no_leader: ", 11) == 0);
    CHECK_ERR(ht_kv_put(client, NULL, "k", "2", 1, NULL, NULL), HT_EFAILED);
    cluster_up(&c, (leader + 1) % 3);
    put(client, "k", "3");
    cluster_up(&c, (leader + 2) % 3);
    expect(client, "k", "3");
}

/* ---- exactly once -------------------------------------------------------- */

static void test_sent_again_elsewhere(void **state)
{
    PutRequest request = HARDTACK__KV__PUT_REQUEST__INIT;
    RequestId id = HARDTACK__KV__REQUEST_ID__INIT;
    uint64_t revision = 0;

    (void)state;
    id.client = (char *)"me";
    id.sequence = 1;
    request.key = (char *)"k";
    request.data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    request.text = (char *)"once";
    request.request = &id;
    for (size_t i = 0; i < 3; i++) {
        PutReply *reply =
            (PutReply *)cluster_call(c.members[i].node, "Put", &request.base);

        CHECK(reply != NULL);
        CHECK(revision == 0 || reply->revision == revision);
        revision = reply->revision;
        hardtack__kv__put_reply__free_unpacked(reply, NULL);
    }
}

/* ---- time ---------------------------------------------------------------- */

static bool is_gone(const char *key)
{
    ht_kv_value value = {0};
    ht_err err = ht_kv_get(client, NULL, key, false, &value);

    ht_kv_value_fini(&value);
    return err == HT_ENOENT;
}

static void test_time_to_live(void **state)
{
    const ht_kv_put_opts opts = {.ttl_ms = 300};

    (void)state;
    CHECK_OK(ht_kv_put(client, NULL, "short", "x", 1, &opts, NULL));
    expect(client, "short", "x");
    WAIT_FOR(is_gone("short"));
}

static uint64_t grant(uint64_t ttl_ms)
{
    LeaseGrantRequest request = HARDTACK__KV__LEASE_GRANT_REQUEST__INIT;
    LeaseReply *reply;
    uint64_t lease;

    request.ttl_ms = ttl_ms;
    reply = (LeaseReply *)cluster_call(client, "LeaseGrant", &request.base);
    CHECK(reply != NULL);
    lease = reply->lease;
    hardtack__kv__lease_reply__free_unpacked(reply, NULL);
    return lease;
}

static void test_leases(void **state)
{
    LeaseRequest request = HARDTACK__KV__LEASE_REQUEST__INIT;
    ht_kv_put_opts opts = {.lease = grant(1000)};
    LeaseReply *reply;

    (void)state;
    CHECK_OK(ht_kv_put(client, NULL, "held", "x", 1, &opts, NULL));
    request.lease = opts.lease;
    request.want_keys = true;
    reply = (LeaseReply *)cluster_call(client, "LeaseInfo", &request.base);
    CHECK(reply != NULL && reply->n_keys == 1 && reply->remaining_ms > 0);
    assert_string_equal(reply->keys[0], "held");
    hardtack__kv__lease_reply__free_unpacked(reply, NULL);
    /* The time it has is not cut short by a new leader. */
    cluster_down(&c, cluster_leader(&c));
    reply = (LeaseReply *)cluster_call(client, "LeaseKeepAlive", &request.base);
    CHECK(reply != NULL);
    hardtack__kv__lease_reply__free_unpacked(reply, NULL);
    WAIT_FOR(is_gone("held"));
    CHECK(cluster_call(client, "LeaseKeepAlive", &request.base) == NULL);
    CHECK(strncmp(cluster_reason(), "no_lease: ", 10) == 0);
    for (size_t i = 0; i < 3; i++) {
        if (c.members[i].node == NULL) {
            cluster_up(&c, i);
        }
    }
}

/* ---- watching ------------------------------------------------------------ */

/* An actor that notes what it is told. */
struct watcher {
    Hardtack__Kv__Watcher_Service service; /* first */
    pthread_mutex_t lock;
    uint64_t watch, next;
    unsigned events;
    bool gap;
    char ended[200];
    char keys[4096];
    ht_ref front;
    ht_stub *stub;
    WatchRequest request;
};

static void on_kv_events(Hardtack__Kv__Watcher_Service *service,
                         const Events *in,
                         Hardtack__None_Closure closure,
                         void *data)
{
    struct watcher *w = (struct watcher *)(void *)service;

    (void)closure;
    (void)data;
    pthread_mutex_lock(&w->lock);
    w->gap = w->gap || in->from_revision != w->next;
    w->next = in->next_revision;
    w->events += (unsigned)in->n_events;
    for (size_t i = 0; i < in->n_events; i++) {
        size_t len = strlen(w->keys);

        snprintf(w->keys + len, sizeof(w->keys) - len, "%s%s ",
                 in->events[i]->kind == HARDTACK__KV__EVENT__KIND__PUT ? "+"
                                                                       : "-",
                 in->events[i]->kv->key);
    }
    snprintf(w->ended, sizeof(w->ended), "%s", in->ended);
    pthread_mutex_unlock(&w->lock);
}

static void on_watching(const WatchReply *reply, void *arg)
{
    struct watcher *w = arg;

    pthread_mutex_lock(&w->lock);
    if (reply != NULL) {
        w->watch = reply->watch;
        CHECK(reply->from_revision == w->request.from_revision);
    }
    pthread_mutex_unlock(&w->lock);
}

static ht_err watcher_init(ht_actor *self, void *arg)
{
    struct watcher *w = arg;
    ht_err err = ht_kv_front(ht_actor_node(self), NULL, &w->front);

    ht_set_state(self, w);
    if (err == HT_OK) {
        err = ht_stub_new(ht_actor_node(self), w->front,
                          &hardtack__kv__store__descriptor, &w->stub);
    }
    if (err == HT_OK) {
        hardtack__kv__store__watch(ht_stub_service(w->stub), &w->request,
                                   on_watching, w);
    }
    return err;
}

static void watcher_terminate(ht_actor *self, const ht_exit *why)
{
    struct watcher *w = ht_state(self);

    (void)why;
    ht_stub_free(w->stub);
}

static const ht_behavior watcher_around = {.init = watcher_init,
                                           .terminate = watcher_terminate};

static bool is_watching(struct watcher *w)
{
    bool is;

    pthread_mutex_lock(&w->lock);
    is = w->watch != 0;
    pthread_mutex_unlock(&w->lock);
    return is;
}

static ht_ref watch(struct watcher *w, ht_node *node, uint64_t from)
{
    static const Hardtack__Kv__Watcher_Service methods =
        HARDTACK__KV__WATCHER__INIT(on_);
    ht_ref ref;

    *w = (struct watcher){.service = methods};
    pthread_mutex_init(&w->lock, NULL);
    hardtack__kv__watch_request__init(&w->request);
    w->request.what_case = HARDTACK__KV__WATCH_REQUEST__WHAT_PREFIX;
    w->request.prefix = (char *)"w/";
    w->request.from_revision = from;
    w->next = from;
    CHECK_OK(ht_spawn_service_opts(node, &w->service.base, &watcher_around, w,
                                   NULL, &ref));
    return ref;
}

static bool has_all(struct watcher *w)
{
    bool has;

    pthread_mutex_lock(&w->lock);
    has = strstr(w->keys, "-w/a ") != NULL;
    pthread_mutex_unlock(&w->lock);
    return has;
}

static void test_watch(void **state)
{
    static struct watcher local, remote, late;
    uint64_t first = 0;
    ht_ref refs[3];

    (void)state;
    CHECK_OK(ht_kv_put(client, NULL, "w/first", "0", 1, NULL, &first));
    refs[0] = watch(&local, c.members[1].node, first + 1);
    refs[1] = watch(&remote, client, first + 1);
    WAIT_FOR(is_watching(&local));
    WAIT_FOR(is_watching(&remote));
    put(client, "w/a", "1");
    put(client, "other", "2");
    put(client, "w/b", "3");
    CHECK_OK(ht_kv_del(client, NULL, "w/a"));
    WAIT_FOR(has_all(&local));
    WAIT_FOR(has_all(&remote));
    refs[2] = watch(&late, client, 1); /* from the beginning */
    WAIT_FOR(has_all(&late));
    assert_string_equal(local.keys, "+w/a +w/b -w/a ");
    assert_string_equal(remote.keys, "+w/a +w/b -w/a ");
    assert_string_equal(late.keys, "+w/first +w/a +w/b -w/a ");
    CHECK(!local.gap && !remote.gap && !late.gap);
    CHECK_OK(ht_stop(c.members[1].node, refs[0], NULL));
    CHECK_OK(ht_stop(client, refs[1], NULL));
    CHECK_OK(ht_stop(client, refs[2], NULL));
}

static void *put_later(void *arg)
{
    (void)poll(NULL, 0, 50);
    put(arg, "c/late", "x");
    return NULL;
}

static void test_changes(void **state)
{
    ChangesRequest request = HARDTACK__KV__CHANGES_REQUEST__INIT;
    ChangesReply *reply;
    pthread_t thread;

    (void)state;
    put(client, "c/1", "x");
    request.what_case = HARDTACK__KV__CHANGES_REQUEST__WHAT_PREFIX;
    request.prefix = (char *)"c/";
    request.from_revision = 1;
    request.as_text = true;
    request.wait_ms = 10000;
    reply = (ChangesReply *)cluster_call(client, "Changes", &request.base);
    CHECK(reply != NULL && reply->n_events == 1);
    assert_string_equal(reply->events[0]->kv->text, "x");
    request.from_revision = reply->next_revision;
    request.wait_ms = 0;
    hardtack__kv__changes_reply__free_unpacked(reply, NULL);

    reply = (ChangesReply *)cluster_call(client, "Changes", &request.base);
    CHECK(reply != NULL && reply->n_events == 0);
    hardtack__kv__changes_reply__free_unpacked(reply, NULL);

    request.wait_ms = 10000;
    CHECK(pthread_create(&thread, NULL, put_later, c.members[0].node) == 0);
    reply = (ChangesReply *)cluster_call(client, "Changes", &request.base);
    CHECK(reply != NULL && reply->n_events == 1);
    assert_string_equal(reply->events[0]->kv->key, "c/late");
    hardtack__kv__changes_reply__free_unpacked(reply, NULL);
    CHECK(pthread_join(thread, NULL) == 0);
}

static bool has_ended(struct watcher *w)
{
    bool has;

    pthread_mutex_lock(&w->lock);
    has = w->ended[0] != '\0';
    pthread_mutex_unlock(&w->lock);
    return has;
}

static bool stale_is(ht_node *node, const char *key, const char *text)
{
    ht_kv_value value = {0};
    bool is = ht_kv_get(node, NULL, key, true, &value) == HT_OK &&
              strcmp(value.data, text) == 0;

    ht_kv_value_fini(&value);
    return is;
}

/* Its node asks the others; before, it was its own member's old state. */
static void test_removed(void **state)
{
    static struct watcher before, after;
    size_t out = (cluster_leader(&c) + 1) % 3;
    ht_node *node = c.members[out].node;
    uint64_t revision = 0;
    ht_ref refs[2];

    (void)state;
    CHECK_OK(ht_kv_put(client, NULL, "removed", "old", 3, NULL, &revision));
    WAIT_FOR(stale_is(node, "removed", "old"));
    refs[0] = watch(&before, node, revision + 1);
    WAIT_FOR(is_watching(&before));
    cluster_remove(&c, out);
    WAIT_FOR(has_ended(&before));
    assert_string_equal(before.ended,
                        "unknown: the member was removed from its group");
    put(client, "removed", "new");
    WAIT_FOR(stale_is(node, "removed", "new"));
    refs[1] = watch(&after, node, revision + 1);
    WAIT_FOR(is_watching(&after));
    put(client, "w/a", "1");
    CHECK_OK(ht_kv_del(client, NULL, "w/a"));
    WAIT_FOR(has_all(&after));
    CHECK_OK(ht_stop(node, refs[0], NULL));
    CHECK_OK(ht_stop(node, refs[1], NULL));
}

/* ---- looking in ---------------------------------------------------------- */

static void test_status(void **state)
{
    Hardtack__Empty request = HARDTACK__EMPTY__INIT;
    size_t leader = cluster_leader(&c);
    StatusReply *reply;

    (void)state;
    put(client, "k", "x");
    reply = (StatusReply *)cluster_call(c.members[leader].node, "Status",
                                        &request.base);
    CHECK(reply != NULL);
    assert_string_equal(reply->role, "leader");
    assert_string_equal(reply->leader, ht_node_name(c.members[leader].node));
    CHECK(reply->n_members == 3 && reply->keys > 0 && reply->revision > 0);
    CHECK(reply->fsyncs_total > 0 && reply->commit_p99_us > 0);
    hardtack__kv__status_reply__free_unpacked(reply, NULL);
    reply = (StatusReply *)cluster_call(client, "Status", &request.base);
    CHECK(reply != NULL && reply->member[0] != '\0');
    hardtack__kv__status_reply__free_unpacked(reply, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_node_answers),
        cmocka_unit_test(test_sent_again_elsewhere),
        cmocka_unit_test(test_time_to_live),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_stale_reads),
        cmocka_unit_test(test_writes_go_on_without_the_leader),
        cmocka_unit_test(test_without_a_majority),
        cmocka_unit_test(test_removed), /* two are left */
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
