/* SPDX-License-Identifier: Apache-2.0 */
/* What the typed layer needs beyond the public API. */
#include "actor/internal.h"

const ht_behavior *hti_actor_behavior(const ht_actor *self)
{
    return self->behavior;
}

ht_err hti_call_async_owned(ht_actor *self,
                            ht_ref to,
                            const char *variant,
                            const void *args,
                            size_t args_len,
                            uint32_t timeout_ms,
                            ht_reply_fn on_reply,
                            void (*drop)(void *arg),
                            void *arg)
{
    uint64_t tag;
    ht_err err = ht_call_async(self, to, variant, args, args_len, timeout_ms,
                               on_reply, arg, &tag);

    if (err == HT_OK) {
        /* The answer may be in our mailbox already, but not before the end of
         * this turn is the record used. */
        hti_flight_find(self->node, tag)->drop = drop;
    }
    return err;
}
