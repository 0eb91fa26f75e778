/* SPDX-License-Identifier: Apache-2.0 */
/* watch_json.h - changes as the JSON that a gateway would make of them: 64-bit
 * numbers as strings, bytes as base64. */
#ifndef HTI_KV_WATCH_JSON_H
#define HTI_KV_WATCH_JSON_H

#include "kv/messages.h"

/* malloc'd; NULL: no memory. */
char *hti_kv_events_json(const Events *events);

#endif /* HTI_KV_WATCH_JSON_H */
