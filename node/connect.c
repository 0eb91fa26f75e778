/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c - the public functions that dial and hang up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/life.h"

/* What a thread waits for; it may give up before the cluster answers. */
struct waiting {
    struct hti_server *server;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned refs;
    bool done;
    ht_err err;
};

static struct waiting *waiting_new(struct hti_server *server)
{
    struct waiting *w = calloc(1, sizeof(*w));

    if (w != NULL) {
        pthread_mutex_init(&w->lock, NULL);
        hti_cond_init(&w->cond);
        w->server = server;
        w->refs = 2; /* the thread's and the cluster's */
    }
    return w;
}

static void waiting_unref(struct waiting *w)
{
    bool last;

    pthread_mutex_lock(&w->lock);
    last = --w->refs == 0;
    pthread_mutex_unlock(&w->lock);
    if (last) {
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->cond);
        free(w);
    }
}

static void on_result(void *arg, ht_err err, const char *text)
{
    struct waiting *w = arg;

    (void)text; /* logged by the cluster */
    pthread_mutex_lock(&w->lock);
    w->done = true;
    w->err = err;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
    waiting_unref(w);
}

static bool is_done(struct waiting *w)
{
    bool done;

    pthread_mutex_lock(&w->lock);
    done = w->done;
    pthread_mutex_unlock(&w->lock);
    return done;
}

static void drive(struct waiting *w, uint64_t until_ms)
{
    while (!is_done(w)) {
        uint64_t now = hti_server_now_ms();
        uint64_t left = until_ms > now ? until_ms - now : 0;

        if (left == 0) {
            return;
        }
        hti_loop_poll(&w->server->loops[0],
                      (left < 1000 ? left : 1000) * 1000000u);
    }
}

static ht_err wait_for(struct waiting *w, uint64_t until_ms)
{
    ht_err err;

    if (w->server->settings->c.single_threaded) {
        drive(w, until_ms);
    }
    pthread_mutex_lock(&w->lock);
    while (!w->done && hti_cond_wait_until(&w->cond, &w->lock, until_ms)) {
    }
    err = w->done ? w->err : HT_ETIMEDOUT;
    pthread_mutex_unlock(&w->lock);
    return err;
}

/* ---- what is asked for -------------------------------------------------- */

/* Over a Unix socket a client without policy of its own (the hardtack program)
 * is vouched for by the kernel. */
static bool is_admin(const struct hti_settings *s,
                     const struct hti_address *address,
                     const ht_connect_opts *opts)
{
    return address->is_unix && s->c.hidden &&
           opts->encryption == HT_ENCRYPT_DEFAULT;
}

static ht_err make_target(struct hti_server *server,
                          const char *address,
                          const ht_connect_opts *opts,
                          struct hti_target *ret_target)
{
    const struct hti_settings *s = server->settings;
    struct hti_address parsed;
    const char *why;

    if (address == NULL || hti_address_parse(address, &parsed, &why) != HT_OK ||
        (int)opts->encryption < HT_ENCRYPT_DEFAULT ||
        (int)opts->encryption > HT_ENCRYPT_NONE ||
        (int)opts->peers < HT_PEERS_DEFAULT ||
        (int)opts->peers > HT_PEERS_ANY) {
        return HT_EINVAL;
    }
    *ret_target = (struct hti_target){
        .address = address,
        .name = opts->name,
        .encryption = opts->encryption == HT_ENCRYPT_DEFAULT ? s->c.encryption
                                                             : opts->encryption,
        .any_peer =
            (opts->peers == HT_PEERS_DEFAULT ? s->c.peers : opts->peers) ==
            HT_PEERS_ANY,
        .server_name = opts->server_name,
        .admin = is_admin(s, &parsed, opts),
    };
    return HT_OK;
}

ht_err
ht_connect(ht_node *node, const char *address, const ht_connect_opts *opts)
{
    static const ht_connect_opts none = {0};
    struct hti_server *server = hti_server_of(node);
    struct hti_target target;
    ht_err err;

    opts = opts == NULL ? &none : opts;
    err = make_target(server, address, opts, &target);
    if (err != HT_OK) {
        return err;
    }
    return hti_cluster_connect(server->cluster, &target, opts->once, NULL,
                               NULL);
}

ht_err ht_client_connect(ht_node *node,
                         const char *address,
                         const ht_connect_opts *opts)
{
    static const ht_connect_opts none = {0};
    struct hti_server *server = hti_server_of(node);
    struct hti_target target;
    struct waiting *w;
    uint32_t timeout_ms;
    ht_err err;

    if (ht_current() != NULL) {
        return HT_EINVAL; /* it would stop the scheduler that is to answer */
    }
    opts = opts == NULL ? &none : opts;
    err = make_target(server, address, opts, &target);
    if (err != HT_OK) {
        return err;
    }
    w = waiting_new(server);
    if (w == NULL) {
        return HT_ENOMEM;
    }
    err =
        hti_cluster_connect(server->cluster, &target, opts->once, on_result, w);
    if (err != HT_OK) {
        waiting_unref(w); /* on_result()'s, which is not called */
        waiting_unref(w); /* NOLINT(clang-analyzer-unix.Malloc): two held */
        return err;
    }
    timeout_ms = opts->timeout_ms == 0 ? 5000 : opts->timeout_ms;
    err = wait_for(w, timeout_ms == HT_INFINITE
                          ? UINT64_MAX / 2000u
                          : hti_server_now_ms() + timeout_ms);
    waiting_unref(w);
    return err;
}

ht_err ht_disconnect(ht_node *node, const char *node_name)
{
    if (node_name == NULL) {
        return HT_EINVAL;
    }
    return hti_cluster_disconnect(hti_server_of(node)->cluster, node_name);
}
