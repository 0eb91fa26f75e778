/* SPDX-License-Identifier: Apache-2.0 */
/* args_send.c - argument blocks and actors: sending what was built, reading
 * what came, and refs that travel. */
#include <hardtack.h>

#include "actor/runtime.h"

/* A ref on the wire: the instance of its node, and its pid (design, "Ref"). */
#define INSTANCE_BYTES 16
#define REF_BYTES      (INSTANCE_BYTES + 8)

ht_err
ht_args_cast(ht_node *node, ht_ref to, const char *variant, ht_args *args)
{
    ht_err err = args->err;

    if (err == HT_OK) {
        err = ht_cast(node, to, variant, args->data, args->len);
    }
    ht_args_fini(args);
    return err;
}

ht_err ht_args_call_async(ht_actor *self,
                          ht_ref to,
                          const char *variant,
                          ht_args *args,
                          uint32_t timeout_ms,
                          ht_reply_fn on_reply,
                          void *arg)
{
    ht_err err = args->err;

    if (err == HT_OK) {
        err = ht_call_async(self, to, variant, args->data, args->len,
                            timeout_ms, on_reply, arg, NULL);
    }
    ht_args_fini(args);
    return err;
}

ht_err ht_args_call_wait(ht_node *node,
                         ht_ref to,
                         const char *variant,
                         ht_args *args,
                         uint32_t timeout_ms,
                         ht_reply *ret_reply)
{
    ht_err err = args->err;

    if (err == HT_OK) {
        err = ht_call_wait(node, to, variant, args->data, args->len, timeout_ms,
                           ret_reply);
    } else {
        *ret_reply = (ht_reply){.err = err, .reason = ""};
    }
    ht_args_fini(args);
    return err;
}

/* A reply that could not be built is answered all the same: the caller must
 * not wait for its timeout because of our mistake. */
ht_err ht_args_reply(ht_actor *self, ht_call call, ht_args *args)
{
    ht_err err = args->bare ? args->err : HT_EINVAL;

    if (err == HT_OK) {
        err = ht_reply_ok(self, call, args->data, args->len);
    } else {
        (void)ht_reply_error(self, call, HT_EFAILED, "reply was not built");
    }
    ht_args_fini(args);
    return err;
}

ht_reader ht_reader_args(const ht_msg *msg)
{
    ht_bytes args = ht_msg_args(msg);

    return ht_reader_block(args.data, args.len);
}

void ht_args_ref(ht_args *args, ht_node *node, ht_ref ref)
{
    uint8_t bytes[REF_BYTES];
    ht_err err;

    if (args->err != HT_OK) {
        return;
    }
    err = hti_rt_ref_out(node, ref, bytes);
    if (err != HT_OK) {
        args->err = err;
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        bytes[INSTANCE_BYTES + i] = (uint8_t)(ref.pid >> (56 - 8 * i));
    }
    ht_args_bytes(args, bytes, sizeof bytes);
}

ht_ref ht_read_ref(ht_reader *r, ht_node *node)
{
    ht_bytes value = ht_read_bytes(r);
    const uint8_t *p = value.data;
    ht_ref ref = {0, 0};
    uint64_t pid = 0;
    ht_err err;

    if (r->err != HT_OK) {
        return ref;
    }
    if (value.len < REF_BYTES) {
        r->err = HT_EARGS;
        return ref;
    }
    for (unsigned i = 0; i < 8; i++) {
        pid = pid << 8 | p[INSTANCE_BYTES + i];
    }
    err = hti_rt_ref_in(node, p, pid, &ref);
    if (err != HT_OK) {
        r->err = err == HT_ENOMEM ? err : HT_EARGS;
        return (ht_ref){0, 0};
    }
    return ref;
}
