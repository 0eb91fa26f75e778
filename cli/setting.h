/* SPDX-License-Identifier: Apache-2.0 */
/* setting.h - one setting's value: text in, a field of a struct out.
 *
 * The options of `hardtack start` and the configuration file read values by the
 * same rules.  Pure.
 */
#ifndef CLI_SETTING_H
#define CLI_SETTING_H

#include <hardtack.h>

enum setting_type {
    SETTING_STRING,      /* const char * */
    SETTING_BOOL,        /* bool: yes no true false on off */
    SETTING_PORT,        /* int: 1 to 65535, or "any" */
    SETTING_COUNT,       /* uint32_t */
    SETTING_SIZE,        /* uint32_t, bytes: 65536, 64KiB, 8MiB, 1GiB */
    SETTING_SIZE64,      /* uint64_t, the same: up to 1024GiB */
    SETTING_DURATION,    /* uint32_t, ms: 500ms, 5s, 2m, 1h */
    SETTING_MICROS,      /* uint32_t, us: 50us, 1ms, or "off" */
    SETTING_ENCRYPTION,  /* ht_encryption */
    SETTING_ENCRYPTIONS, /* unsigned, HT_ENCRYPT_BIT()s: "cookie, tls" */
    SETTING_PEERS,       /* ht_peers */
    SETTING_CLIENT_CERT, /* ht_client_cert */
    SETTING_MODE,        /* unsigned, octal: 0600 */
    SETTING_LEVEL,       /* ht_log_level */
    SETTING_FORMAT,      /* enum log_format */
    SETTING_DASHBOARD,   /* ht_dashboard */
};

enum log_format {
    LOG_FORMAT_TEXT = 0, /* key=value */
    LOG_FORMAT_JSON,
};

/* Read text into *ret_value, whose type is the setting's; a SETTING_STRING
 * gets text itself.  NULL, or what is expected instead, for people: "a port, 1
 * to 65535, or any". */
const char *
setting_read(enum setting_type type, const char *text, void *ret_value);

/* How many bytes *ret_value has. */
size_t setting_size(enum setting_type type);

#endif /* CLI_SETTING_H */
