/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - the actor that holds this node's global names: the service
 * hardtack.kv.Names.
 *
 * All its names hang on one lease (own_lease.h).  It is asked for with the
 * first claim; when it is lost all names are, and their actors are told.
 *
 * Thread: turns of its actor; the rest says otherwise.
 */
#ifndef HTI_KV_NAMES_H
#define HTI_KV_NAMES_H

#include <hardtack/kv.h>

#define HTI_KV_NAMES        "hardtack.names"
#define HTI_KV_NAMES_PREFIX "hardtack/names/"

/* The names' actor of this node, started if there is none.  config NULL: the
 * default.  HT_EEXIST (with a config): it runs.  Any thread. */
HT_MUSTUSE ht_err hti_kv_names_start(ht_node *node,
                                     const ht_global_config *config,
                                     ht_ref *ret_ref);
bool hti_kv_global_name_valid(const char *name, size_t max);

#endif /* HTI_KV_NAMES_H */
