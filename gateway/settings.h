/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - a copy of a configuration, with every default filled in. */
#ifndef GW_SETTINGS_H
#define GW_SETTINGS_H

#include <hardtack/gateway.h>

struct gw_settings {
    ht_gateway_config c; /* what it points to belongs to this */
};

/* HT_EINVAL (size), HT_ECONFIG (why gets words), HT_ENOMEM. */
HT_MUSTUSE ht_err gw_settings_new(const ht_gateway_config *config,
                                  struct gw_settings **ret_settings,
                                  char *why,
                                  size_t why_len);
void gw_settings_free(struct gw_settings *settings); /* NULL is fine */

#endif /* GW_SETTINGS_H */
