/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.c - how a gateway begins and ends. */
#include "gateway/gateway.h"

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/client.h"
#include "gateway/dashboard.h"
#include "gateway/settings.h"
#include "gateway/status.h"
#include "gateway/tls.h"

#define SPREAD_MS_DEFAULT 5000
#define LINE_BYTES_MAX    1024

static _Thread_local char start_error[512];

/* ---- what the parts ask -------------------------------------------------- */

const struct ht_gateway_view *gw_view(const struct ht_gateway *gateway)
{
    return &gateway->view;
}

void gw_log(const struct ht_gateway *gateway,
            ht_log_level level,
            const char *id,
            const char *format,
            ...)
{
    char line[LINE_BYTES_MAX];
    va_list args;

    va_start(args, format);
    if (vsnprintf(line, sizeof(line), format, args) < 0) {
        line[0] = '\0';
    }
    va_end(args);
    ht_node_log(gateway->view.node, level, id, "%s", line);
}

uint64_t gw_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void gw_hold(struct ht_gateway *gateway)
{
    pthread_mutex_lock(&gateway->lock);
    gateway->actors++;
    pthread_mutex_unlock(&gateway->lock);
}

void gw_release(struct ht_gateway *gateway)
{
    pthread_mutex_lock(&gateway->lock);
    assert(gateway->actors > 0);
    if (--gateway->actors == 0) {
        pthread_cond_broadcast(&gateway->ended);
    }
    pthread_mutex_unlock(&gateway->lock);
}

/* ---- starting ------------------------------------------------------------ */

static ht_err open_tls(struct ht_gateway *g, char *why, size_t why_len)
{
    const ht_gateway_config *config = g->view.config;

    return config->certificate == NULL
               ? HT_OK
               : gw_tls_context(config->certificate, config->private_key,
                                &g->tls, why, why_len);
}

/* An answer has to fit into what may wait for a client, with what else does. */
static size_t page_bytes_max(const struct ht_gateway *g)
{
    return g->view.config->queued_bytes_max / 2;
}

static ht_err load_pages(struct ht_gateway *g, char *why, size_t why_len)
{
    const char *directory = g->view.config->pages;

    return directory == NULL ? HT_OK
                             : gw_pages_load(g->pages, directory,
                                             page_bytes_max(g), why, why_len);
}

static ht_err open_loops(struct ht_gateway *g, char *why, size_t why_len)
{
    int port = g->view.config->port == HT_PORT_ANY ? 0 : g->view.config->port;
    ht_err err = HT_OK;

    g->loops_count = ht_node_schedulers(g->view.node);
    g->loops = calloc(g->loops_count, sizeof(*g->loops));
    if (g->loops == NULL) {
        g->loops_count = 0;
        return HT_ENOMEM;
    }
    for (unsigned i = 0; err == HT_OK && i < g->loops_count; i++) {
        err = gw_loop_open(&g->loops[i], g, i, &port, why, why_len);
    }
    g->port = port;
    for (unsigned i = 0; err == HT_OK && i < g->loops_count; i++) {
        err = gw_loop_start(&g->loops[i]);
    }
    return err;
}

static ht_err build(struct ht_gateway *g,
                    const ht_gateway_config *config,
                    char *why,
                    size_t len)
{
    ht_err err = gw_settings_new(config, &g->settings, why, len);

    if (err != HT_OK) {
        return err;
    }
    g->view.config = &g->settings->c;
    g->addresses = gw_addresses_new();
    g->away = gw_addresses_new();
    g->pages = gw_pages_new();
    if (g->addresses == NULL || g->away == NULL || g->pages == NULL) {
        return HT_ENOMEM;
    }
    err = gw_policy_new(g->view.config, &g->view.policy, why, len);
    if (err == HT_OK) {
        err = gw_keys_load(g->view.config->token_key_file, &g->view.keys, why,
                           len);
    }
    if (err == HT_OK) {
        err = load_pages(g, why, len);
    }
    if (err == HT_OK) {
        err = open_tls(g, why, len);
    }
    if (err == HT_OK) {
        err = open_loops(g, why, len);
    }
    if (err == HT_OK) {
        err = gw_status_start(g);
    }
    return err == HT_OK ? gw_dashboard_start(g) : err;
}

static ht_err fail(ht_node *node, ht_err err, const char *why)
{
    snprintf(start_error, sizeof(start_error), "%s",
             why[0] != '\0' ? why : ht_strerror(err));
    ht_node_log(node, HT_LOG_ERROR, "HT-GATEWAY-START", "err=%s text=\"%s\"",
                ht_errname(err), start_error);
    return err;
}

ht_err ht_gateway_start(ht_node *node,
                        const ht_gateway_config *config,
                        ht_gateway **ret_gateway)
{
    char why[400] = "";
    struct ht_gateway *g;
    ht_err err;

    start_error[0] = '\0';
    if (node == NULL || config == NULL || ret_gateway == NULL ||
        ht_current() != NULL) {
        return HT_EINVAL;
    }
    if (sodium_init() < 0) {
        return fail(node, HT_EIO, "libsodium does not start");
    }
    g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return fail(node, HT_ENOMEM, "");
    }
    g->view.node = node;
    pthread_mutex_init(&g->lock, NULL);
    pthread_mutex_init(&g->tls_lock, NULL);
    pthread_cond_init(&g->ended, NULL);
    gw_transits_init(&g->transits);
    g->started_ms = gw_now_ms();
    err = build(g, config, why, sizeof(why));
    if (err != HT_OK) {
        err = fail(node, err, why);
        ht_gateway_free(g);
        return err;
    }
    ht_node_log(node, HT_LOG_INFO, "HT-GATEWAY-READY",
                "port=%d tls=%d loops=%u", g->port, g->tls != NULL,
                g->loops_count);
    *ret_gateway = g;
    return HT_OK;
}

const char *ht_gateway_start_error(void)
{
    return start_error;
}

int ht_gateway_port(const ht_gateway *gateway)
{
    return gateway != NULL ? gateway->port : 0;
}

/* ---- while it runs ------------------------------------------------------- */

ht_err ht_gateway_page(ht_gateway *gateway,
                       const char *path,
                       const char *content_type,
                       const void *data,
                       size_t len)
{
    if (gateway == NULL) {
        return HT_EINVAL;
    }
    if (len > page_bytes_max(gateway)) {
        return HT_ETOOBIG;
    }
    return gw_pages_put(gateway->pages, path, content_type, data, len);
}

ht_err ht_gateway_reload(ht_gateway *gateway)
{
    struct gw_keys *keys = NULL;
    SSL_CTX *tls = NULL, *old;
    char why[400] = "";
    ht_err err;

    if (gateway == NULL) {
        return HT_EINVAL;
    }
    err = gw_keys_load(gateway->view.config->token_key_file, &keys, why,
                       sizeof(why));
    if (err == HT_OK && gateway->view.config->certificate != NULL) {
        err = gw_tls_context(gateway->view.config->certificate,
                             gateway->view.config->private_key, &tls, why,
                             sizeof(why));
    }
    if (err == HT_OK) {
        err = load_pages(gateway, why, sizeof(why));
    }
    if (err != HT_OK) {
        SSL_CTX_free(tls);
        gw_keys_free(keys);
        ht_node_log(gateway->view.node, HT_LOG_ERROR, "HT-GATEWAY-RELOAD",
                    "err=%s text=\"%s\"", ht_errname(err), why);
        return err;
    }
    gw_keys_replace(gateway->view.keys, keys);
    gw_keys_free(keys);
    pthread_mutex_lock(&gateway->tls_lock);
    old = gateway->tls;
    gateway->tls = tls;
    pthread_mutex_unlock(&gateway->tls_lock);
    SSL_CTX_free(old);
    return HT_OK;
}

void ht_gateway_drain(ht_gateway *gateway, uint32_t spread_ms)
{
    if (gateway == NULL || atomic_exchange(&gateway->draining, true)) {
        return;
    }
    for (unsigned i = 0; i < gateway->loops_count; i++) {
        gw_loop_drain(&gateway->loops[i],
                      spread_ms != 0 ? spread_ms : SPREAD_MS_DEFAULT);
    }
}

/* ---- the end ------------------------------------------------------------- */

/* A node of one thread has to be driven meanwhile. */
static void wait_for_actors(struct ht_gateway *g)
{
    pthread_mutex_lock(&g->lock);
    while (g->actors > 0) {
        pthread_mutex_unlock(&g->lock);
        if (ht_node_poll(g->view.node, 1) == HT_OK) {
            pthread_mutex_lock(&g->lock);
            continue;
        }
        pthread_mutex_lock(&g->lock);
        while (g->actors > 0) {
            pthread_cond_wait(&g->ended, &g->lock);
        }
    }
    pthread_mutex_unlock(&g->lock);
}

static void stop_if(struct ht_gateway *g, ht_ref ref)
{
    if (!ht_ref_is_none(ref)) {
        (void)ht_stop(g->view.node, ref, NULL);
    }
}

void ht_gateway_free(ht_gateway *g)
{
    if (g == NULL) {
        return;
    }
    atomic_store(&g->stopping, true);
    for (unsigned i = 0; i < g->loops_count; i++) {
        if (g->loops[i].gateway != NULL) {
            gw_loop_stop(&g->loops[i]);
        }
    }
    stop_if(g, g->status);
    stop_if(g, g->dashboard);
    stop_if(g, g->operator);
    wait_for_actors(g);
    for (unsigned i = 0; i < g->loops_count; i++) {
        gw_loop_fini(&g->loops[i]);
    }
    free(g->loops);
    gw_transits_fini(&g->transits);
    gw_pages_free(g->pages);
    gw_addresses_free(g->addresses);
    gw_addresses_free(g->away);
    gw_policy_free(g->view.policy);
    gw_keys_free(g->view.keys);
    SSL_CTX_free(g->tls);
    gw_settings_free(g->settings);
    pthread_mutex_destroy(&g->lock);
    pthread_mutex_destroy(&g->tls_lock);
    pthread_cond_destroy(&g->ended);
    free(g);
}
