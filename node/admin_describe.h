/* SPDX-License-Identifier: Apache-2.0 */
/* admin_describe.h - a protobuf-c service descriptor as a message that a
 * program can be sent, so that it can encode arguments it was not compiled
 * with.
 *
 * Thread: any; pure.
 */
#ifndef HTI_NODE_ADMIN_DESCRIBE_H
#define HTI_NODE_ADMIN_DESCRIBE_H

#include <hardtack/base.h>

#include "proto/admin/admin.pb-c.h"

/* Message and enum types of one service together; more is HT_ETOOBIG. */
#define HTI_DESCRIBE_TYPES_MAX 512

/* Fill an initialised description with the service's methods and every message
 * and enum they reach.  What is filled in is malloc'd; free the message with
 * hti_admin_message_free(), also after an error.
 * HT_ENOMEM, HT_ETOOBIG. */
HT_MUSTUSE ht_err hti_admin_describe(const ProtobufCServiceDescriptor *service,
                                     Hardtack__Admin__Description *description);

/* Free a message that was built piece by piece, with malloc; NULL is fine. */
void hti_admin_message_free(void *message);

/* strdup() that keeps protobuf-c's shared empty string for "". NULL: memory. */
char *hti_admin_string(const char *s);

#endif /* HTI_NODE_ADMIN_DESCRIBE_H */
