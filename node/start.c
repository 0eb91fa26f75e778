/* SPDX-License-Identifier: Apache-2.0 */
/* start.c - how a node begins and how it ends. */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "node/admin.h"
#include "node/conn.h"
#include "node/dialer.h"
#include "node/host.h"
#include "node/life.h"
#include "node/listener.h"

static _Thread_local char start_words[HTI_WHY_BYTES];

const char *ht_start_error(void)
{
    return start_words;
}

ht_err hti_start_fail(ht_err err, const char *text)
{
    snprintf(start_words, sizeof(start_words), "%s", text);
    return err;
}

void hti_host_random(void *buf, size_t len)
{
    randombytes_buf(buf, len);
}

/* ---- parts -------------------------------------------------------------- */

/* Microseconds of the wall clock; later in this process is larger, even if the
 * clock is set back. */
static uint64_t next_incarnation(void)
{
    static _Atomic uint64_t last;
    uint64_t before = atomic_load(&last);
    struct timespec ts;
    uint64_t now;

    clock_gettime(CLOCK_REALTIME, &ts);
    now = (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
    do {
        if (now <= before) {
            now = before + 1;
        }
    } while (!atomic_compare_exchange_weak(&last, &before, now));
    return now;
}

/* What the kernel refused, most likely for want of descriptors; errno 0: it was
 * not the kernel. */
static ht_err kernel_refused(const char *what, ht_err err, char *why)
{
    int code = errno;

    if (code == 0 || code == ENOMEM) {
        return code == 0 ? err : HT_ENOMEM;
    }
    snprintf(why, HTI_WHY_BYTES, "cannot make %s: %s", what, strerror(code));
    return HT_EIO;
}

static ht_err server_new(struct hti_settings *settings,
                         struct hti_server **ret_server,
                         char *why)
{
    struct hti_server *server = NULL;

    if (posix_memalign((void **)&server, 64, sizeof(*server)) != 0) {
        return HT_ENOMEM;
    }
    memset(server, 0, sizeof(*server));
    server->settings = settings;
    hti_log_init(&server->log, settings->c.log, settings->c.log_arg,
                 settings->c.log_level);
    pthread_mutex_init(&server->lock, NULL);
    hti_cond_init(&server->changed);
    hti_pending_init(&server->pending, settings->c.pending_max,
                     settings->c.pending_per_address_max, hti_conn_evict);
    atomic_init(&server->tick_at_ms, UINT64_MAX);
    server->incarnation = next_incarnation();
    hti_host_random(server->instance, sizeof(server->instance));
    server->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    *ret_server = server;
    return server->stop_fd < 0 ? kernel_refused("an eventfd", HT_EIO, why)
                               : HT_OK;
}

static ht_err
make_tls(const struct hti_settings *s, struct hti_tls **ret, char *why)
{
    const struct hti_tls_files files = {
        .cert = s->c.tls_cert_file,
        .key = s->c.tls_key_file,
        .ca = s->c.tls_ca_file,
    };

    return hti_tls_new(&files, ret, why, HTI_WHY_BYTES);
}

static void close_all(struct hti_task *task)
{
    struct hti_residents *r =
        (struct hti_residents *)(void *)((char *)task -
                                         offsetof(struct hti_residents,
                                                  close_all));
    struct hti_dialer *dialer = TAILQ_FIRST(&r->dialers);
    struct hti_conn *conn = TAILQ_FIRST(&r->conns);

    while (dialer != NULL) {
        struct hti_dialer *next = hti_dialer_next(dialer);

        hti_dialer_cancel(dialer);
        dialer = next;
    }
    while (conn != NULL) {
        struct hti_conn *next = hti_conn_next(conn);

        hti_conn_close(conn, HT_ECLOSED, "node is stopping");
        conn = next;
    }
    hti_server_leave(r->server);
}

static ht_err make_loops(struct hti_server *server)
{
    const struct hti_settings *s = server->settings;
    struct hti_loop *loops = NULL;

    if (posix_memalign((void **)&loops, 64, s->scheds * sizeof(*loops)) != 0) {
        return HT_ENOMEM;
    }
    memset((void *)loops, 0, s->scheds * sizeof(*loops));
    server->loops = loops;
    server->residents = calloc(s->scheds, sizeof(*server->residents));
    if (server->residents == NULL) {
        return HT_ENOMEM;
    }
    for (unsigned i = 0; i < s->scheds; i++) {
        struct hti_residents *r = &server->residents[i];
        ht_err err = hti_loop_init(&loops[i], server, i, s->c.single_threaded,
                                   (uint64_t)s->c.spin_us * 1000u);

        if (err != HT_OK) {
            return err;
        }
        TAILQ_INIT(&r->conns);
        TAILQ_INIT(&r->warm);
        TAILQ_INIT(&r->dialers);
        r->close_all.run = close_all;
        r->server = server;
        r->loop = &loops[i];
    }
    return HT_OK;
}

static ht_err make_runtime(struct hti_server *server)
{
    const struct hti_settings *s = server->settings;
    struct hti_rt_config config = {
        .name = s->full_name,
        .scheds = s->scheds,
        .single_threaded = s->c.single_threaded,
        .pool_threads = s->c.pool_threads,
        .mailbox_messages_max = s->c.mailbox_messages_max,
        .mailbox_bytes_max = s->c.mailbox_bytes_max,
        .local_handle = HTI_LOCAL_HANDLE,
        .log = server->log,
        .host = &hti_server_host_ops,
        .host_arg = server,
    };
    ht_err err;

    memcpy(config.instance, server->instance, sizeof(config.instance));
    err = hti_rt_new(&config, &server->node);
    if (err == HT_OK) {
        hti_rt_set_slot(server->node, HTI_SLOT_SERVER, server);
        for (unsigned i = 0; i < s->scheds; i++) {
            server->loops[i].node = server->node;
        }
    }
    return err;
}

static ht_err make_listeners(struct hti_server *server, char *why)
{
    const struct hti_settings *s = server->settings;

    server->listeners =
        calloc(s->listens_count + 1, sizeof(*server->listeners));
    if (server->listeners == NULL) {
        return HT_ENOMEM;
    }
    for (size_t i = 0; i < s->listens_count; i++) {
        ht_err err = hti_listener_open(&server->listeners[i], server,
                                       &s->listens[i], why, HTI_WHY_BYTES);

        server->listeners_count++;
        if (err != HT_OK) {
            return err;
        }
        hti_log(&server->log, HT_LOG_INFO, "HT-LISTEN", "node=%s address=%s",
                s->full_name, server->listeners[i].text);
    }
    return HT_OK;
}

/* What peers are told to reach us by.  It must differ from everybody else's: a
 * ractor node takes an equal one for itself. */
static void
connection_string(const struct hti_server *server, char *buf, size_t buf_len)
{
    const struct hti_settings *s = server->settings;

    if (s->c.advertise != NULL) {
        snprintf(buf, buf_len, "%s", s->c.advertise);
    } else if (server->port != 0) {
        snprintf(buf, buf_len, "%s:%d", s->c.hostname, server->port);
    } else {
        snprintf(buf, buf_len, "%s:0", s->full_name);
    }
}

static ht_err make_cluster(struct hti_server *server, struct hti_keyring *keys)
{
    const struct hti_settings *s = server->settings;
    char text[HTI_NAME_BYTES_MAX + 16];
    struct hti_cluster_config config = {
        .name = s->full_name,
        .connection_string = text,
        .incarnation = server->incarnation,
        .hidden = s->c.hidden,
        .transitive = s->c.transitive,
        .keys = keys,
        .connect_ms = s->c.connect_timeout_ms,
        .handshake_ms = s->c.handshake_timeout_ms,
        .heartbeat_ms = s->c.heartbeat_ms,
        .silence_ms = s->c.silence_ms,
        .redial_min_ms = s->c.redial_min_ms,
        .redial_max_ms = s->c.redial_max_ms,
        .outbox_bytes_max = s->c.outbox_bytes_max,
        .calls_max = s->c.calls_max,
        .frame_max = s->c.frame_bytes_max,
        .message_max = s->c.message_bytes_max,
        .encryption = s->c.encryption,
        .any_peer = s->c.peers == HT_PEERS_ANY,
    };

    connection_string(server, text, sizeof(text));
    return hti_cluster_new(server->node, &config, &hti_server_cluster_io,
                           server, &server->cluster);
}

/* ---- start -------------------------------------------------------------- */

static ht_err make_loops_or_say(struct hti_server *server, char *why)
{
    ht_err err;

    errno = 0;
    err = make_loops(server);
    return err != HT_OK ? kernel_refused("an event loop", err, why) : HT_OK;
}

static ht_err build(struct hti_server *server, char *why)
{
    struct hti_keyring *keys = NULL;
    ht_err err = hti_settings_keys(server->settings, &keys, why, HTI_WHY_BYTES);

    if (err == HT_OK) {
        err = hti_keyring_new_peercred(&server->peercred);
    }
    if (err == HT_OK) {
        err = make_tls(server->settings, &server->tls, why);
    }
    if (err == HT_OK) {
        err = hti_resolver_new(&server->resolver);
    }
    if (err == HT_OK) {
        err = make_loops_or_say(server, why);
    }
    if (err == HT_OK) {
        err = make_runtime(server);
    }
    if (err == HT_OK) {
        err = make_listeners(server, why);
    }
    if (err == HT_OK) {
        err = make_cluster(server, keys);
    }
    hti_keyring_unref(keys);
    return err;
}

static ht_err dial_seeds(struct hti_server *server)
{
    const struct hti_settings *s = server->settings;

    for (size_t i = 0; i < s->peers_count; i++) {
        const ht_peer_config *peer = &s->peers[i];
        const struct hti_target target = {
            .address = peer->address,
            .name = peer->name,
            .encryption = peer->encryption,
            .any_peer = peer->peers == HT_PEERS_ANY,
            .server_name = peer->server_name,
        };
        ht_err err =
            hti_cluster_connect(server->cluster, &target, false, NULL, NULL);

        if (err != HT_OK) {
            return err;
        }
    }
    return HT_OK;
}

static ht_err start_loops(struct hti_server *server, char *why)
{
    ht_err err = HT_OK;

    errno = 0;
    for (unsigned i = 0; i < server->settings->scheds && err == HT_OK; i++) {
        err = hti_loop_start(&server->loops[i], server->node);
    }
    return err != HT_OK ? kernel_refused("a thread", err, why) : HT_OK;
}

static ht_err go(struct hti_server *server, char *why)
{
    const struct hti_settings *s = server->settings;
    ht_err err = start_loops(server, why);

    if (err == HT_OK && s->c.single_threaded) {
        hti_sched_enter(server->node, 0);
    }
    if (err == HT_OK && !s->c.hidden) {
        err = hti_admin_start(server->node);
    }
    if (err == HT_OK) {
        for (size_t i = 0; i < server->listeners_count; i++) {
            hti_listener_start(&server->listeners[i]);
        }
        err = dial_seeds(server);
    }
    return err;
}

/* ---- end ---------------------------------------------------------------- */

static bool actors_gone(struct hti_server *server)
{
    return hti_rt_is_quiet(server->node);
}

static bool lodgers_gone(struct hti_server *server)
{
    return atomic_load(&server->lodgers) == 0 &&
           hti_cluster_is_quiet(server->cluster);
}

/* The loops run: end what lives on them, in order: nobody new comes in, actors
 * end, links close. */
static void wind_down(struct hti_server *server)
{
    atomic_store(&server->closing, true);
    hti_server_stop_listening(server);
    hti_rt_stop(server->node);
    (void)hti_server_wait(server, actors_gone, UINT64_MAX);
    if (server->cluster == NULL) {
        return;
    }
    hti_cluster_stop(server->cluster);
    for (unsigned i = 0; i < server->settings->scheds; i++) {
        hti_server_lodge(server);
        hti_loop_post(&server->loops[i], &server->residents[i].close_all);
    }
    (void)hti_server_wait(server, lodgers_gone, UINT64_MAX);
}

static bool loops_run(const struct hti_server *server)
{
    if (server->node == NULL || server->cluster == NULL) {
        return false;
    }
    for (unsigned i = 0; i < server->settings->scheds; i++) {
        if (!server->loops[i].has_thread &&
            !server->settings->c.single_threaded) {
            return false;
        }
    }
    return true;
}

static void server_free(struct hti_server *server)
{
    if (server == NULL) {
        return;
    }
    if (loops_run(server)) {
        wind_down(server);
    }
    /* Blocking work may still send and call through the cluster, and its
     * answers are timed by the loops. */
    if (server->node != NULL) {
        hti_rt_stop_pool(server->node);
    }
    for (unsigned i = 0; server->loops != NULL && i < server->settings->scheds;
         i++) {
        hti_loop_join(&server->loops[i]);
    }
    /* Before the loops: its threads may still be on their way out of waking
     * one. */
    hti_resolver_free(server->resolver);
    for (size_t i = 0; i < server->listeners_count; i++) {
        hti_listener_close(&server->listeners[i]);
    }
    if (server->node != NULL && server->settings->c.single_threaded) {
        hti_sched_leave(server->node);
    }
    hti_cluster_free(server->cluster);
    hti_rt_free(server->node);
    for (unsigned i = 0; server->loops != NULL && i < server->settings->scheds;
         i++) {
        hti_loop_fini(&server->loops[i]);
    }
    hti_pending_fini(&server->pending);
    hti_tls_unref(server->tls);
    hti_keyring_unref(server->peercred);
    hti_settings_free(server->settings);
    if (server->stop_fd >= 0) {
        close(server->stop_fd);
    }
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server->listeners);
    free(server->residents);
    free(server->loops);
    free(server);
}

/* The caller's log, as far as its struct goes. */
static void log_failure(const ht_config *config, ht_err err, const char *why)
{
    struct hti_log log;
    bool has_log = config->size == 0 || config->size >= sizeof(ht_config);
    char quoted[2 * HTI_WHY_BYTES];

    hti_log_init(&log, has_log ? config->log : NULL,
                 has_log ? config->log_arg : NULL, 0);
    hti_log(&log, HT_LOG_ERROR, "HT-NODE-START", "err=%s text=%s",
            ht_errname(err),
            hti_quote(quoted, sizeof(quoted), why, strlen(why)));
}

ht_err ht_node_start(const ht_config *config, ht_node **ret_node)
{
    struct hti_settings *settings = NULL;
    struct hti_server *server = NULL;
    char why[HTI_WHY_BYTES] = "";
    ht_err err;

    if (config == NULL || ret_node == NULL) {
        return hti_start_fail(HT_EINVAL, "no configuration");
    }
    if (sodium_init() < 0) {
        return hti_start_fail(HT_EIO, "no source of random numbers");
    }
    err = hti_settings_new(config, &settings, why, sizeof(why));
    if (err == HT_OK) {
        err = server_new(settings, &server, why);
    }
    if (err == HT_OK) {
        err = build(server, why);
    }
    if (err == HT_OK) {
        err = go(server, why);
    }
    if (err != HT_OK) {
        if (why[0] == '\0') {
            snprintf(why, sizeof(why), "%s", ht_strerror(err));
        }
        log_failure(config, err, why);
        if (server == NULL) {
            hti_settings_free(settings);
        }
        server_free(server);
        return hti_start_fail(err, why);
    }
    start_words[0] = '\0';
    hti_log(&server->log, HT_LOG_INFO, "HT-NODE-START",
            "node=%s incarnation=%llu version=%s", settings->full_name,
            (unsigned long long)server->incarnation, ht_version());
    *ret_node = server->node;
    return HT_OK;
}

void ht_node_free(ht_node *node)
{
    if (node != NULL) {
        assert(ht_current() == NULL);
        server_free(hti_server_of(node));
    }
}

/* ---- reload ------------------------------------------------------------- */

ht_err ht_node_reload(ht_node *node)
{
    struct hti_server *server = hti_server_of(node);
    struct hti_keyring *keys = NULL;
    struct hti_tls *tls = NULL, *old;
    char why[HTI_WHY_BYTES] = "";
    char quoted[2 * HTI_WHY_BYTES];
    ht_err err = hti_settings_keys(server->settings, &keys, why, sizeof(why));

    if (err == HT_OK) {
        err = make_tls(server->settings, &tls, why);
    }
    if (err != HT_OK) {
        hti_keyring_unref(keys);
        hti_log(&server->log, HT_LOG_ERROR, "HT-NODE-RELOAD",
                "node=%s err=%s text=%s", server->settings->full_name,
                ht_errname(err),
                hti_quote(quoted, sizeof(quoted), why, strlen(why)));
        return hti_start_fail(err, why);
    }
    pthread_mutex_lock(&server->lock);
    old = server->tls;
    server->tls = tls;
    pthread_mutex_unlock(&server->lock);
    hti_tls_unref(old);
    hti_cluster_set_keys(server->cluster, keys);
    hti_log(&server->log, HT_LOG_INFO, "HT-NODE-RELOAD", "node=%s cookies=%zu",
            server->settings->full_name, hti_keyring_count(keys));
    hti_keyring_unref(keys);
    return HT_OK;
}
