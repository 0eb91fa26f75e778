/* SPDX-License-Identifier: Apache-2.0 */
#include "node/config_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/runtime.h"
#include "base/utf8.h"

#define TIMES_MS_MAX (24u * 3600 * 1000)

struct hti_settings_string {
    STAILQ_ENTRY(hti_settings_string) link;
    char text[];
};

ht_err
hti_why_say(const struct hti_why *why, ht_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why->buf, why->len, format, args);
    va_end(args);
    return err;
}

/* ---- strings ------------------------------------------------------------ */

ht_err hti_settings_own(struct hti_settings *s, const char **text)
{
    struct hti_settings_string *copy;
    size_t len;

    if (*text == NULL) {
        return HT_OK;
    }
    len = strlen(*text);
    copy = malloc(sizeof(*copy) + len + 1);
    if (copy == NULL) {
        return HT_ENOMEM;
    }
    memcpy(copy->text, *text, len + 1);
    STAILQ_INSERT_HEAD(&s->strings, copy, link);
    *text = copy->text;
    return HT_OK;
}

static ht_err own_strings(struct hti_settings *s)
{
    const char **strings[] = {
        &s->c.name,          &s->c.hostname,     &s->c.advertise,
        &s->c.cookie_file,   &s->c.cookie_env,   &s->c.ractor_cookie_file,
        &s->c.tls_cert_file, &s->c.tls_key_file, &s->c.tls_ca_file,
        &s->c.cluster,
    };

    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        ht_err err = hti_settings_own(s, strings[i]);

        if (err != HT_OK) {
            return err;
        }
    }
    return HT_OK;
}

void hti_settings_free(struct hti_settings *settings)
{
    struct hti_settings_string *s;

    if (settings == NULL) {
        return;
    }
    while ((s = STAILQ_FIRST(&settings->strings)) != NULL) {
        STAILQ_REMOVE_HEAD(&settings->strings, link);
        free(s);
    }
    hti_cookies_fini(&settings->cookie);
    hti_cookies_fini(&settings->ractor_cookie);
    free(settings->full_name);
    free(settings->listens);
    free(settings->peers);
    free(settings);
}

/* ---- checks ------------------------------------------------------------- */

/* Older programs pass a shorter struct; newer ones a longer, whose fields we do
 * not know and which must therefore say nothing. */
static ht_err copy_struct(struct hti_settings *s,
                          const ht_config *config,
                          const struct hti_why *why)
{
    size_t size = config->size == 0 ? sizeof(*config) : config->size;
    const unsigned char *bytes = (const unsigned char *)config;

    for (size_t i = sizeof(*config); i < size; i++) {
        if (bytes[i] != 0) {
            return hti_why_say(why, HT_EINVAL, "config is of a newer library");
        }
    }
    memcpy(&s->c, config, size < sizeof(s->c) ? size : sizeof(s->c));
    return HT_OK;
}

static bool is_name(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == '@' || *p == '<' || *p == '>' ||
            *p == 0x7f) {
            return false;
        }
    }
    return text[0] != '\0' && hti_utf8_valid(text, strlen(text));
}

static ht_err check_name(struct hti_settings *s, const struct hti_why *why)
{
    char host[HTI_NAME_BYTES_MAX + 1];

    if (s->c.name == NULL) {
        return hti_why_say(why, HT_ECONFIG, "name is missing");
    }
    if (!is_name(s->c.name)) {
        return hti_why_say(
            why, HT_ECONFIG,
            "name must be UTF-8 without spaces, '@', '<' and '>'");
    }
    if (s->c.hostname == NULL) {
        if (gethostname(host, sizeof(host)) < 0 || host[0] == '\0') {
            snprintf(host, sizeof(host), "localhost");
        }
        host[sizeof(host) - 1] = '\0';
        s->c.hostname = host;
        if (hti_settings_own(s, &s->c.hostname) != HT_OK) {
            return HT_ENOMEM;
        }
    }
    if (!is_name(s->c.hostname)) {
        return hti_why_say(
            why, HT_ECONFIG,
            "hostname must be UTF-8 without spaces, '@', '<' and '>'");
    }
    if (strlen(s->c.name) + 1 + strlen(s->c.hostname) > HTI_NAME_BYTES_MAX) {
        return hti_why_say(why, HT_ECONFIG,
                           "name@hostname is longer than %d bytes",
                           HTI_NAME_BYTES_MAX);
    }
    if (asprintf(&s->full_name, "%s@%s", s->c.name, s->c.hostname) < 0) {
        s->full_name = NULL;
        return HT_ENOMEM;
    }
    return HT_OK;
}

static ht_err check_ranges(struct hti_settings *s, const struct hti_why *why)
{
    const struct {
        const char *name;
        uint32_t *value;
        uint32_t fallback, min, max;
    } numbers[] = {
        {"connect_timeout_ms", &s->c.connect_timeout_ms, 5000, 1, TIMES_MS_MAX},
        {"handshake_timeout_ms", &s->c.handshake_timeout_ms, 5000, 1,
         TIMES_MS_MAX},
        {"heartbeat_ms", &s->c.heartbeat_ms, 1000, 1, TIMES_MS_MAX},
        {"silence_ms", &s->c.silence_ms, 5000, 1, TIMES_MS_MAX},
        {"redial_min_ms", &s->c.redial_min_ms, 100, 1, TIMES_MS_MAX},
        {"redial_max_ms", &s->c.redial_max_ms, 30000, 1, TIMES_MS_MAX},
        {"drain_ms", &s->c.drain_ms, 30000, 1, UINT32_MAX},
        {"mailbox_messages_max", &s->c.mailbox_messages_max, 4096, 1,
         UINT32_MAX},
        {"mailbox_bytes_max", &s->c.mailbox_bytes_max, 1u << 20, 1024,
         UINT32_MAX},
        {"outbox_bytes_max", &s->c.outbox_bytes_max, 8u << 20, 1024, 1u << 30},
        {"calls_max", &s->c.calls_max, 65536, 1, UINT32_MAX},
        {"pending_max", &s->c.pending_max, 64, 1, 1u << 20},
        {"pending_per_address_max", &s->c.pending_per_address_max, 8, 1,
         1u << 20},
        {"frame_bytes_max", &s->c.frame_bytes_max, HTI_FRAME_BYTES_MAX,
         HTI_HANDSHAKE_BYTES_MAX, 1u << 30},
        {"message_bytes_max", &s->c.message_bytes_max, 64u << 20,
         HTI_HANDSHAKE_BYTES_MAX, 1u << 30},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (*numbers[i].value == 0) {
            *numbers[i].value = numbers[i].fallback;
        }
        if (*numbers[i].value < numbers[i].min ||
            *numbers[i].value > numbers[i].max) {
            return hti_why_say(why, HT_ECONFIG,
                               "%s is %u; it must be from %u to %u",
                               numbers[i].name, *numbers[i].value,
                               numbers[i].min, numbers[i].max);
        }
    }
    if (s->c.redial_min_ms > s->c.redial_max_ms) {
        return hti_why_say(why, HT_ECONFIG,
                           "redial_min_ms is above redial_max_ms");
    }
    if (s->c.heartbeat_ms >= s->c.silence_ms) {
        return hti_why_say(
            why, HT_ECONFIG,
            "heartbeat_ms must be below silence_ms, or live peers are "
            "taken for dead");
    }
    return HT_OK;
}

static ht_err check_threads(struct hti_settings *s, const struct hti_why *why)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    s->scheds = s->c.threads;
    if (s->scheds == 0) {
        s->scheds = cores < 1 ? 1u : (unsigned)cores;
        if (s->scheds > HTI_SCHEDS_MAX) {
            s->scheds = HTI_SCHEDS_MAX;
        }
    }
    if (s->scheds > HTI_SCHEDS_MAX) {
        return hti_why_say(why, HT_ECONFIG,
                           "threads is %u; it must be at most %d", s->scheds,
                           HTI_SCHEDS_MAX);
    }
    if (s->c.single_threaded) {
        s->scheds = 1;
    }
    if (s->c.pool_threads == 0) {
        s->c.pool_threads = 4;
    }
    if (s->c.pool_threads > 256) {
        return hti_why_say(why, HT_ECONFIG, "pool_threads must be at most 256");
    }
    if (s->c.spin_us == 0) {
        s->c.spin_us = 50;
    } else if (s->c.spin_us == HT_INFINITE) {
        s->c.spin_us = 0;
    } else if (s->c.spin_us > 1000000) {
        return hti_why_say(why, HT_ECONFIG, "spin_us must be at most 1000000");
    }
    return HT_OK;
}

bool hti_encryption_ok(ht_encryption e)
{
    return (int)e >= HT_ENCRYPT_DEFAULT && (int)e <= HT_ENCRYPT_NONE;
}

static ht_err check_enums(struct hti_settings *s, const struct hti_why *why)
{
    if (!hti_encryption_ok(s->c.encryption)) {
        return hti_why_say(why, HT_ECONFIG,
                           "encryption is not one of its values");
    }
    if ((int)s->c.peers < HT_PEERS_DEFAULT || (int)s->c.peers > HT_PEERS_ANY) {
        return hti_why_say(why, HT_ECONFIG, "peers is not one of its values");
    }
    if (s->c.encryption == HT_ENCRYPT_DEFAULT) {
        s->c.encryption = HT_ENCRYPT_COOKIE;
    }
    if (s->c.peers == HT_PEERS_DEFAULT) {
        s->c.peers = HT_PEERS_HARDTACK;
    }
    return HT_OK;
}

static ht_err check_tls(const struct hti_settings *s, const struct hti_why *why)
{
    int given = (s->c.tls_cert_file != NULL) + (s->c.tls_key_file != NULL) +
                (s->c.tls_ca_file != NULL);

    if (given != 0 && given != 3) {
        return hti_why_say(
            why, HT_ECONFIG,
            "tls_cert_file, tls_key_file and tls_ca_file go together");
    }
    return HT_OK;
}

unsigned hti_settings_encryption_bits(const struct hti_settings *settings)
{
    return HT_ENCRYPT_BIT(settings->c.encryption);
}

/* ---- cookies ------------------------------------------------------------ */

static ht_err check_cookies(const struct hti_settings *s,
                            const struct hti_why *why)
{
    int given = (s->c.cookie != NULL) + (s->c.cookie_file != NULL) +
                (s->c.cookie_env != NULL);

    if (given > 1) {
        return hti_why_say(
            why, HT_ECONFIG,
            "only one of cookie, cookie_file and cookie_env may be set");
    }
    if (s->c.ractor_cookie != NULL && s->c.ractor_cookie_file != NULL) {
        return hti_why_say(
            why, HT_ECONFIG,
            "only one of ractor_cookie and ractor_cookie_file may be "
            "set");
    }
    if (given == 0 && s->c.ractor_cookie == NULL &&
        s->c.ractor_cookie_file == NULL && s->needs_cookie) {
        return hti_why_say(why, HT_ECONFIG,
                           "no cookie: set cookie_file, cookie_env or cookie");
    }
    return HT_OK;
}

/* Into guarded memory; our copy of the struct forgets where they were. */
static ht_err take_cookies(struct hti_settings *s, const struct hti_why *why)
{
    ht_err err = HT_OK;

    if (s->c.cookie != NULL) {
        err = hti_cookies_of(s->c.cookie, "cookie", &s->cookie, why->buf,
                             why->len);
    }
    if (err == HT_OK && s->c.ractor_cookie != NULL) {
        err = hti_cookies_of(s->c.ractor_cookie, "ractor_cookie",
                             &s->ractor_cookie, why->buf, why->len);
    }
    s->c.cookie = NULL;
    s->c.ractor_cookie = NULL;
    return err;
}

/* Into *read, unless they were given; *ret_cookies is the one or the other. */
static ht_err load_cookies(const struct hti_settings *s,
                           struct hti_cookies *read,
                           const struct hti_cookies **ret_cookies,
                           const struct hti_why *why)
{
    const char *text;

    *ret_cookies = read;
    if (s->c.cookie_file != NULL) {
        return hti_cookies_read(s->c.cookie_file, read, why->buf, why->len);
    }
    if (s->c.cookie_env == NULL) {
        *ret_cookies = &s->cookie;
        return HT_OK;
    }
    text = getenv(s->c.cookie_env);
    if (text == NULL) {
        return hti_why_say(why, HT_ECONFIG,
                           "the cookie's environment variable %s is not set",
                           s->c.cookie_env);
    }
    return hti_cookies_of(text, s->c.cookie_env, read, why->buf, why->len);
}

static const char *cookie_source(const struct hti_settings *s)
{
    if (s->c.cookie_file != NULL) {
        return s->c.cookie_file;
    }
    return s->c.cookie_env != NULL ? s->c.cookie_env : "cookie";
}

static ht_err load_ractor(const struct hti_settings *s,
                          struct hti_cookies *read,
                          const struct hti_cookies **ret_cookies,
                          const struct hti_why *why)
{
    *ret_cookies = read;
    if (s->c.ractor_cookie_file != NULL) {
        return hti_cookies_read(s->c.ractor_cookie_file, read, why->buf,
                                why->len);
    }
    *ret_cookies = &s->ractor_cookie;
    return HT_OK;
}

ht_err hti_settings_keys(const struct hti_settings *settings,
                         struct hti_keyring **ret_keys,
                         char *why_buf,
                         size_t why_len)
{
    const struct hti_why why = {why_buf, why_len};
    struct hti_cookies read = {0}, ractor_read = {0};
    const struct hti_cookies *cookies, *ractor;
    ht_err err = load_cookies(settings, &read, &cookies, &why);

    if (err == HT_OK && !settings->c.weak_cookie) {
        err = hti_cookies_check(cookies, cookie_source(settings), why_buf,
                                why_len);
    }
    if (err == HT_OK) {
        err = load_ractor(settings, &ractor_read, &ractor, &why);
    }
    if (err == HT_OK) {
        err = hti_keyring_new(cookies->at, cookies->count, ractor->at,
                              ractor->count, settings->c.cluster,
                              settings->c.fast_kdf ? HTI_KDF_FAST
                                                   : HTI_KDF_INTERACTIVE,
                              ret_keys);
        if (err != HT_OK) {
            err = hti_why_say(&why, err, "deriving keys: %s", ht_strerror(err));
        }
    }
    hti_cookies_fini(&read);
    hti_cookies_fini(&ractor_read);
    return err;
}

/* ---- all ---------------------------------------------------------------- */

ht_err hti_settings_new(const ht_config *config,
                        struct hti_settings **ret_settings,
                        char *why_buf,
                        size_t why_len)
{
    ht_err (*const checks[])(struct hti_settings *, const struct hti_why *) = {
        check_name,
        check_enums,
        check_ranges,
        check_threads,
        hti_settings_add_listeners,
        hti_settings_add_peers,
    };
    const struct hti_why why = {why_buf, why_len};
    struct hti_settings *s = calloc(1, sizeof(*s));
    ht_err err;

    snprintf(why_buf, why_len, "out of memory");
    if (s == NULL) {
        return HT_ENOMEM;
    }
    STAILQ_INIT(&s->strings);
    err = copy_struct(s, config, &why);
    if (err == HT_OK) {
        if (s->c.cluster == NULL) {
            s->c.cluster = "hardtack";
        }
        err = own_strings(s);
    }
    if (err == HT_OK) {
        err = check_tls(s, &why);
    }
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && err == HT_OK;
         i++) {
        err = checks[i](s, &why);
    }
    if (err == HT_OK) {
        err = check_cookies(s, &why);
    }
    if (err == HT_OK) {
        err = take_cookies(s, &why);
    }
    s->c.cookie = s->c.ractor_cookie = NULL;
    s->c.listeners = NULL;
    s->c.peers_list = NULL;
    if (err != HT_OK) {
        hti_settings_free(s);
        return err;
    }
    why_buf[0] = '\0';
    *ret_settings = s;
    return HT_OK;
}
