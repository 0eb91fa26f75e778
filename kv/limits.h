/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - the store's bounds.
 *
 * Those here are part of what a command means: every member must have the same,
 * or their states part.  So they are no settings.  What a setting may bound
 * (the size of the store, the number of leases) the leader asks before it
 * proposes.
 */
#ifndef HTI_KV_LIMITS_H
#define HTI_KV_LIMITS_H

#define HTI_KV_KEY_MAX           1024u
#define HTI_KV_VALUE_MAX         (1024u * 1024)
#define HTI_KV_COMMAND_MAX       (4u * 1024 * 1024) /* encoded */
#define HTI_KV_TXN_MAX           128u  /* conditions, and steps of each kind */
#define HTI_KV_DEL_MAX           1000u /* keys that one Del by prefix takes */
#define HTI_KV_RANGE_DEFAULT     100u
#define HTI_KV_RANGE_MAX         1000u
#define HTI_KV_RANGE_BYTES_MAX   (1024u * 1024)
#define HTI_KV_CLIENT_MAX        64u /* bytes of a client's name */
#define HTI_KV_CLIENTS_MAX       4096u
#define HTI_KV_WINDOW_MAX        64u          /* requests remembered a client */
#define HTI_KV_ANSWER_MAX        (64u * 1024) /* remembered of one request */
#define HTI_KV_ANSWERS_BYTES_MAX (16u * 1024 * 1024)
#define HTI_KV_TTL_MAX           86400000u /* a day */
#define HTI_KV_LEASE_TTL_MIN     1000u
/* Keys and leases that end in one command: what is due beyond that ends in the
 * next, so that no command takes long. */
#define HTI_KV_EXPIRE_MAX 1000u

#endif /* HTI_KV_LIMITS_H */
