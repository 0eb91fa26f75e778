/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/settings.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message and its framing have to fit into a queue. */
#define MESSAGE_BYTES_MAX (UINT32_C(64) * 1024 * 1024)

static void or_default(uint32_t *value, uint32_t otherwise)
{
    if (*value == 0) {
        *value = otherwise;
    }
}

static void fill_in(ht_gateway_config *c)
{
    or_default(&c->connections_max, 16384);
    or_default(&c->connections_per_address_max, 1024);
    or_default(&c->message_bytes_max, 64 * 1024);
    or_default(&c->messages_per_second_max, 100);
    or_default(&c->messages_burst_max, 2 * c->messages_per_second_max);
    or_default(&c->queued_bytes_max, 1024 * 1024);
    or_default(&c->resume_bytes_max, 256 * 1024);
    or_default(&c->resume_messages_max, 1024);
    or_default(&c->calls_max, 64);
    or_default(&c->subscriptions_max, 64);
    or_default(&c->handshake_timeout_ms, 5000);
    or_default(&c->idle_ms, 60000);
    or_default(&c->grace_ms, 60000);
    or_default(&c->call_timeout_ms, 30000);
}

static ht_err check(const ht_gateway_config *c, char *why, size_t why_len)
{
    uint8_t address[16];

    if (c->port != HT_PORT_ANY && (c->port < 1 || c->port > 65535)) {
        snprintf(why, why_len, "port %d is none", c->port);
    } else if (c->address != NULL &&
               inet_pton(AF_INET, c->address, address) != 1 &&
               inet_pton(AF_INET6, c->address, address) != 1) {
        snprintf(why, why_len, "%s is not an IP address", c->address);
    } else if ((c->certificate == NULL) != (c->private_key == NULL)) {
        snprintf(why, why_len,
                 "a certificate needs a private key, and the other way round");
    } else if (c->message_bytes_max > MESSAGE_BYTES_MAX) {
        snprintf(why, why_len, "message_bytes_max is above %u",
                 MESSAGE_BYTES_MAX);
    } else if (c->messages_per_second_max > 1000000 ||
               c->messages_burst_max > 1000000) {
        snprintf(why, why_len, "more than a million messages a second");
    } else {
        return HT_OK;
    }
    return HT_ECONFIG;
}

/* ---- copies -------------------------------------------------------------- */

static bool copy_string(const char **at)
{
    if (*at != NULL) {
        *at = strdup(*at);
        return *at != NULL;
    }
    return true;
}

static bool copy_strings(const char *const **at, size_t count)
{
    const char *const *from = *at;
    const char **to = calloc(count + 1, sizeof(*to));
    bool ok = to != NULL;

    for (size_t i = 0; ok && from != NULL && i < count; i++) {
        to[i] = from[i];
        ok = copy_string(&to[i]);
    }
    *at = to;
    return ok;
}

static bool copy_rules(const ht_gateway_rule **at, size_t count)
{
    const ht_gateway_rule *from = *at;
    ht_gateway_rule *to = calloc(count + 1, sizeof(*to));
    bool ok = to != NULL;

    *at = to;
    for (size_t i = 0; ok && from != NULL && i < count; i++) {
        to[i] = from[i];
        ok = copy_string(&to[i].claim);
        if (!ok) {
            to[i].target = NULL;
        }
        ok = ok && copy_string(&to[i].target);
    }
    return ok;
}

static bool arrays_are_sound(const ht_gateway_config *c)
{
    bool ok = (c->public_targets != NULL || c->public_targets_count == 0) &&
              (c->rules != NULL || c->rules_count == 0) &&
              (c->origins != NULL || c->origins_count == 0);

    for (size_t i = 0; ok && i < c->public_targets_count; i++) {
        ok = c->public_targets[i] != NULL;
    }
    for (size_t i = 0; ok && i < c->origins_count; i++) {
        ok = c->origins[i] != NULL;
    }
    for (size_t i = 0; ok && i < c->rules_count; i++) {
        ok = c->rules[i].claim != NULL && c->rules[i].target != NULL;
    }
    return ok;
}

/* What is not copied yet must not be freed. */
static bool copy_all(ht_gateway_config *c, const ht_gateway_config *from)
{
    *c = *from;
    c->address = c->certificate = c->private_key = c->token_key_file = NULL;
    c->pages = NULL;
    c->public_targets = c->origins = NULL;
    c->rules = NULL;
    c->address = from->address;
    if (!copy_string(&c->address)) {
        return false;
    }
    c->certificate = from->certificate;
    if (!copy_string(&c->certificate)) {
        return false;
    }
    c->private_key = from->private_key;
    if (!copy_string(&c->private_key)) {
        return false;
    }
    c->token_key_file = from->token_key_file;
    if (!copy_string(&c->token_key_file)) {
        return false;
    }
    c->pages = from->pages;
    if (!copy_string(&c->pages)) {
        return false;
    }
    c->public_targets = from->public_targets;
    if (!copy_strings(&c->public_targets, c->public_targets_count)) {
        return false;
    }
    c->origins = from->origins;
    if (!copy_strings(&c->origins, c->origins_count)) {
        return false;
    }
    c->rules = from->rules;
    return copy_rules(&c->rules, c->rules_count);
}

static void free_const(const void *p)
{
    free((void *)(uintptr_t)p);
}

static void free_strings(const char *const *strings)
{
    for (size_t i = 0; strings != NULL && strings[i] != NULL; i++) {
        free_const(strings[i]);
    }
    free_const(strings);
}

void gw_settings_free(struct gw_settings *s)
{
    if (s == NULL) {
        return;
    }
    free_const(s->c.address);
    free_const(s->c.certificate);
    free_const(s->c.private_key);
    free_const(s->c.token_key_file);
    free_const(s->c.pages);
    free_strings(s->c.public_targets);
    free_strings(s->c.origins);
    for (size_t i = 0; s->c.rules != NULL && s->c.rules[i].claim != NULL; i++) {
        free_const(s->c.rules[i].claim);
        free_const(s->c.rules[i].target);
    }
    free_const(s->c.rules);
    free(s);
}

ht_err gw_settings_new(const ht_gateway_config *config,
                       struct gw_settings **ret_settings,
                       char *why,
                       size_t why_len)
{
    struct gw_settings *s;
    ht_err err;

    if (config->size != 0 && config->size != sizeof(*config)) {
        snprintf(why, why_len, "built against another version of the header");
        return HT_EINVAL;
    }
    if (!arrays_are_sound(config)) {
        snprintf(why, why_len, "a list has a NULL in it");
        return HT_EINVAL;
    }
    s = calloc(1, sizeof(*s));
    if (s == NULL || !copy_all(&s->c, config)) {
        gw_settings_free(s);
        return HT_ENOMEM;
    }
    fill_in(&s->c);
    err = check(&s->c, why, why_len);
    if (err != HT_OK) {
        gw_settings_free(s);
        return err;
    }
    *ret_settings = s;
    return HT_OK;
}
