/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h - the configuration of a group, in libraft's encoding.
 *
 * libraft reads an encoded configuration without looking at its length, so
 * bytes from outside go through hti_conf_valid() first.
 */
#ifndef HTI_RAFT_CONF_H
#define HTI_RAFT_CONF_H

#include <hardtack/base.h>
#include <raft.h>

/* Debian 12's 0.15 commits entries of old terms by counting copies, which
 * loses what was acknowledged. */
_Static_assert(RAFT_VERSION_NUMBER >= 2201,
               "libraft 0.22.1 or later is needed: run scripts/setup");

/* Whole, 1 to HT_RAFT_MEMBERS_MAX members of different ids and names, one of
 * them a voter at least. */
bool hti_conf_valid(const uint8_t *data, size_t len);
/* What is valid, decoded; the caller's to raft_configuration_close(). */
HT_MUSTUSE ht_err hti_conf_decode(const uint8_t *data,
                                  size_t len,
                                  struct raft_configuration *ret_conf);
HT_MUSTUSE ht_err hti_conf_copy(const struct raft_configuration *from,
                                struct raft_configuration *ret_conf);
/* Lent; NULL: there is none. */
const struct raft_server *hti_conf_by_id(const struct raft_configuration *conf,
                                         uint64_t id);
const struct raft_server *
hti_conf_by_name(const struct raft_configuration *conf, const char *name);
unsigned hti_conf_voters(const struct raft_configuration *conf);

#endif /* HTI_RAFT_CONF_H */
