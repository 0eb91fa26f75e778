/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - who may connect, and how fast a client may talk. */
#ifndef GW_LIMITS_H
#define GW_LIMITS_H

#include <hardtack/base.h>
#include <sys/socket.h>

struct gw_addresses;

#define GW_ADDRESS_KEY_BYTES 16
/* An address as it is counted: an IPv6 network of 64 bits is one. */
void gw_address_key(const struct sockaddr_storage *address,
                    uint8_t ret_key[GW_ADDRESS_KEY_BYTES]);
void gw_address_text(const struct sockaddr_storage *address,
                     char *text,
                     size_t text_len);
/* Whether it is of this machine. */
bool gw_address_is_loopback(const uint8_t key[GW_ADDRESS_KEY_BYTES]);

/* Connections by address.  Any thread: a lock, at connect and at close. */
struct gw_addresses *gw_addresses_new(void); /* NULL: no memory */
void gw_addresses_free(struct gw_addresses *addresses);
/* HT_OK: counted; HT_EBUSY: it has `max` already; HT_ENOMEM. */
HT_MUSTUSE ht_err gw_addresses_enter(struct gw_addresses *addresses,
                                     const uint8_t key[GW_ADDRESS_KEY_BYTES],
                                     uint32_t max);
void gw_addresses_leave(struct gw_addresses *addresses,
                        const uint8_t key[GW_ADDRESS_KEY_BYTES]);

/* A token bucket: `burst` at once, `per_second` on and on. */
struct gw_bucket {
    uint64_t milli; /* thousandths of a token */
    uint64_t at_ms; /* when that was so */
};
void gw_bucket_init(struct gw_bucket *bucket, uint32_t burst, uint64_t now_ms);
bool gw_bucket_take(struct gw_bucket *bucket,
                    uint32_t per_second,
                    uint32_t burst,
                    uint64_t now_ms);

/* Whether a page of that origin may talk to us. host is what it calls us by, as
 * in the header Host; "null" is never allowed but by "*". */
bool gw_origin_is_allowed(const char *origin,
                          const char *host,
                          const char *const *origins,
                          size_t count);

/* Whether a client that calls us by that name (the header Host, NULL: none)
 * means this machine: localhost, or an address.  A page may come from a name
 * that its owner lets point here; of such a page the origin check says that it
 * asks the host that it came from. */
bool gw_host_is_local(const char *host);

#endif /* GW_LIMITS_H */
