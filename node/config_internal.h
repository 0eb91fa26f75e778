/* SPDX-License-Identifier: Apache-2.0 */
/* config_internal.h - what config.c and config_places.c share. */
#ifndef HTI_NODE_CONFIG_INTERNAL_H
#define HTI_NODE_CONFIG_INTERNAL_H

#include "node/config.h"

/* Where words about a mistake go. */
struct hti_why {
    char *buf;
    size_t len;
};

/* Returns err. */
ht_err
hti_why_say(const struct hti_why *why, ht_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Make *text a copy that lives as long as the settings.  HT_ENOMEM. */
HT_MUSTUSE ht_err hti_settings_own(struct hti_settings *s, const char **text);
bool hti_encryption_ok(ht_encryption e);

/* config_places.c */
HT_MUSTUSE ht_err hti_settings_add_listeners(struct hti_settings *s,
                                             const struct hti_why *why);
HT_MUSTUSE ht_err hti_settings_add_peers(struct hti_settings *s,
                                         const struct hti_why *why);

#endif /* HTI_NODE_CONFIG_INTERNAL_H */
