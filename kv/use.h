/* SPDX-License-Identifier: Apache-2.0 */
/* use.h - one typed call from a thread, and why it failed.  Threads only. */
#ifndef HTI_KV_USE_H
#define HTI_KV_USE_H

#include <hardtack/service.h>
#include <protobuf-c/protobuf-c.h>

/* A stub for one call, which waits as long as the actor does.  HT_EINVAL in a
 * handler; HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_stub_open(ht_node *node,
                                   ht_ref actor,
                                   const ProtobufCServiceDescriptor *descriptor,
                                   ht_stub **ret_stub);
/* Free it.  What went wrong with the call, whose words ht_kv_reason() gives
 * from now on; else err. */
ht_err hti_kv_stub_close(ht_stub *stub, ht_err err);

#endif /* HTI_KV_USE_H */
