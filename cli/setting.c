/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setting.h"

#include <hardtack/gateway.h>

#include <string.h>
#include <strings.h>

struct word {
    const char *text;
    unsigned value;
};

static const struct word bools[] = {{"yes", 1}, {"true", 1},  {"on", 1},
                                    {"no", 0},  {"false", 0}, {"off", 0},
                                    {NULL, 0}};
static const struct word encryptions[] = {{"cookie", HT_ENCRYPT_COOKIE},
                                          {"tls", HT_ENCRYPT_TLS},
                                          {"none", HT_ENCRYPT_NONE},
                                          {NULL, 0}};
static const struct word peers[] = {
    {"hardtack", HT_PEERS_HARDTACK}, {"any", HT_PEERS_ANY}, {NULL, 0}};
static const struct word client_certs[] = {
    {"required", HT_CLIENT_CERT_REQUIRED},
    {"optional", HT_CLIENT_CERT_OPTIONAL},
    {NULL, 0}};
static const struct word levels[] = {{"debug", HT_LOG_DEBUG},
                                     {"info", HT_LOG_INFO},
                                     {"warn", HT_LOG_WARN},
                                     {"error", HT_LOG_ERROR},
                                     {NULL, 0}};
static const struct word dashboards[] = {{"off", HT_DASHBOARD_OFF},
                                         {"token", HT_DASHBOARD_TOKEN},
                                         {"local", HT_DASHBOARD_LOCAL},
                                         {NULL, 0}};
static const struct word formats[] = {
    {"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};

/* A number's unit and what it is worth in the setting's own. */
static const struct word sizes[] = {
    {"", 1},           {"B", 1},          {"K", 1u << 10},
    {"KiB", 1u << 10}, {"M", 1u << 20},   {"MiB", 1u << 20},
    {"G", 1u << 30},   {"GiB", 1u << 30}, {NULL, 0}};
static const struct word durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct word micros[] = {{"us", 1}, {"ms", 1000}, {NULL, 0}};
static const struct word counts[] = {{"", 1}, {NULL, 0}};

static bool find_word(const struct word *words,
                      const char *text,
                      size_t len,
                      unsigned *ret_value)
{
    for (; words->text != NULL; words++) {
        if (strlen(words->text) == len &&
            strncasecmp(words->text, text, len) == 0) {
            *ret_value = words->value;
            return true;
        }
    }
    return false;
}

/* Digits, then a unit.  0 is refused: in ht_config it would silently mean the
 * default.  HT_INFINITE is no number either. */
static bool read_wide(const struct word *units,
                      const char *text,
                      uint64_t max,
                      uint64_t *ret_value)
{
    uint64_t value = 0;
    unsigned unit = 0;
    const char *at = text;

    while (*at >= '0' && *at <= '9') {
        value = value * 10 + (uint64_t)(*at - '0');
        if (value > UINT32_MAX) {
            return false;
        }
        at++;
    }
    if (at == text) {
        return false;
    }
    while (*at == ' ') {
        at++;
    }
    if (!find_word(units, at, strlen(at), &unit)) {
        return false;
    }
    value *= unit;
    if (value == 0 || value > max) {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool
read_number(const struct word *units, const char *text, uint32_t *ret_value)
{
    uint64_t value = 0;
    bool good = read_wide(units, text, HT_INFINITE - 1, &value);

    if (good) {
        *ret_value = (uint32_t)value;
    }
    return good;
}

static const char *read_port(const char *text, int *ret_port)
{
    uint32_t port = 0;

    if (strcasecmp(text, "any") == 0) {
        *ret_port = HT_PORT_ANY;
        return NULL;
    }
    if (!read_number(counts, text, &port) || port > 65535) {
        return "a port, 1 to 65535, or any";
    }
    *ret_port = (int)port;
    return NULL;
}

static const char *read_mode(const char *text, unsigned *ret_mode)
{
    static const char expected[] = "permissions in octal, such as 0600";
    unsigned mode = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '7' || mode > 0777u) {
            return expected;
        }
        mode = mode * 8 + (unsigned)(*at - '0');
    }
    if (mode == 0 || mode > 0777u) {
        return expected;
    }
    *ret_mode = mode;
    return NULL;
}

/* Words separated by commas or spaces, as bits. */
static const char *read_encryptions(const char *text, unsigned *ret_bits)
{
    static const char expected[] = "one or more of cookie, tls, none";
    unsigned bits = 0;

    for (;;) {
        unsigned value = 0;
        size_t len;

        text += strspn(text, ", \t");
        if (*text == '\0') {
            break;
        }
        len = strcspn(text, ", \t");
        if (!find_word(encryptions, text, len, &value)) {
            return expected;
        }
        bits |= HT_ENCRYPT_BIT(value);
        text += len;
    }
    if (bits == 0) {
        return expected;
    }
    *ret_bits = bits;
    return NULL;
}

static const char *read_word(const struct word *words,
                             const char *text,
                             const char *expected,
                             unsigned *ret_value)
{
    return find_word(words, text, strlen(text), ret_value) ? NULL : expected;
}

static const char *read_micros(const char *text, uint32_t *ret_us)
{
    if (strcasecmp(text, "off") == 0) {
        *ret_us = HT_INFINITE;
        return NULL;
    }
    return read_number(micros, text, ret_us)
               ? NULL
               : "a time such as 50us or 1ms, or off";
}

const char *
setting_read(enum setting_type type, const char *text, void *ret_value)
{
    const char *expected = NULL;
    unsigned word = 0;

    switch (type) {
    case SETTING_STRING:
        if (text[0] == '\0') {
            return "a value";
        }
        *(const char **)ret_value = text;
        return NULL;
    case SETTING_PORT:
        return read_port(text, ret_value);
    case SETTING_COUNT:
        return read_number(counts, text, ret_value) ? NULL : "a number above 0";
    case SETTING_SIZE:
        return read_number(sizes, text, ret_value)
                   ? NULL
                   : "a size such as 65536, 64KiB or 8MiB, below 4GiB";
    case SETTING_SIZE64:
        return read_wide(sizes, text, UINT64_C(1) << 40, ret_value)
                   ? NULL
                   : "a size such as 512MiB or 4GiB, up to 1024GiB";
    case SETTING_DURATION:
        return read_number(durations, text, ret_value)
                   ? NULL
                   : "a time with its unit, such as 500ms, 5s or 2m";
    case SETTING_MICROS:
        return read_micros(text, ret_value);
    case SETTING_ENCRYPTIONS:
        return read_encryptions(text, ret_value);
    case SETTING_MODE:
        return read_mode(text, ret_value);
    case SETTING_BOOL:
        expected = read_word(bools, text, "yes or no", &word);
        if (expected == NULL) {
            *(bool *)ret_value = word != 0;
        }
        return expected;
    case SETTING_ENCRYPTION:
        expected = read_word(encryptions, text, "cookie, tls or none", &word);
        if (expected == NULL) {
            *(ht_encryption *)ret_value = (ht_encryption)word;
        }
        return expected;
    case SETTING_PEERS:
        expected = read_word(peers, text, "hardtack or any", &word);
        if (expected == NULL) {
            *(ht_peers *)ret_value = (ht_peers)word;
        }
        return expected;
    case SETTING_CLIENT_CERT:
        expected = read_word(client_certs, text, "required or optional", &word);
        if (expected == NULL) {
            *(ht_client_cert *)ret_value = (ht_client_cert)word;
        }
        return expected;
    case SETTING_LEVEL:
        expected = read_word(levels, text, "debug, info, warn or error", &word);
        if (expected == NULL) {
            *(ht_log_level *)ret_value = (ht_log_level)word;
        }
        return expected;
    case SETTING_FORMAT:
        expected = read_word(formats, text, "text or json", &word);
        if (expected == NULL) {
            *(enum log_format *)ret_value = (enum log_format)word;
        }
        return expected;
    case SETTING_DASHBOARD:
        expected = read_word(dashboards, text, "off, token or local", &word);
        if (expected == NULL) {
            *(ht_dashboard *)ret_value = (ht_dashboard)word;
        }
        return expected;
    }
    return "a known type";
}

size_t setting_size(enum setting_type type)
{
    switch (type) {
    case SETTING_STRING:
        return sizeof(const char *);
    case SETTING_BOOL:
        return sizeof(bool);
    case SETTING_SIZE64:
        return sizeof(uint64_t);
    case SETTING_PORT:
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_MICROS:
    case SETTING_ENCRYPTION:
    case SETTING_ENCRYPTIONS:
    case SETTING_PEERS:
    case SETTING_CLIENT_CERT:
    case SETTING_MODE:
    case SETTING_LEVEL:
    case SETTING_FORMAT:
    case SETTING_DASHBOARD:
        return sizeof(uint32_t);
    }
    return 0;
}
