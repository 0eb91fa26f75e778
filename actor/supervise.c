/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors from outside: adding, removing and finding children. */
#include <assert.h>
#include <string.h>

#include "actor/directory.h"
#include "actor/internal.h"
#include "actor/supervisor.h"

bool hti_child_spec_is_valid(const ht_child_spec *spec)
{
    return spec != NULL && spec->behavior != NULL &&
           hti_name_len(spec->id) > 0 &&
           (spec->opts.name == NULL || hti_name_len(spec->opts.name) > 0) &&
           spec->restart >= HT_PERMANENT && spec->restart <= HT_TEMPORARY;
}

/* Wait for the answer where that is allowed; else only send. */
static ht_err request(ht_node *node,
                      ht_ref supervisor,
                      const char *variant,
                      const void *args,
                      size_t args_len)
{
    ht_reply reply = {0};
    ht_err err;

    if (supervisor.node != hti_rt_local_handle(node)) {
        return HT_EINVAL;
    }
    if (ht_current() != NULL || node->single_threaded) {
        return ht_cast(node, supervisor, variant, args, args_len);
    }
    err = ht_call_wait(node, supervisor, variant, args, args_len, HT_INFINITE,
                       &reply);
    if (err == HT_OK) {
        assert(reply.len == sizeof err);
        memcpy(&err, reply.data, sizeof err);
    }
    ht_reply_fini(&reply);
    return err;
}

ht_err
ht_supervisor_add(ht_node *node, ht_ref supervisor, const ht_child_spec *spec)
{
    /* The struct, and two texts of bounded length. */
    char bytes[sizeof(struct hti_add_request) + 2 * (HTI_NAME_BYTES_MAX + 1)];
    struct hti_add_request head;
    char *text = bytes + sizeof head;

    if (!hti_child_spec_is_valid(spec)) {
        return HT_EINVAL;
    }
    memset(&head, 0, sizeof head);
    head.spec = *spec;
    head.id_len = (uint32_t)strlen(spec->id);
    head.has_name = spec->opts.name != NULL;
    memcpy(bytes, &head, sizeof head);
    memcpy(text, spec->id, head.id_len + 1);
    text += head.id_len + 1;
    if (head.has_name) {
        size_t name_len = strlen(spec->opts.name);

        memcpy(text, spec->opts.name, name_len + 1);
        text += name_len + 1;
    }
    return request(node, supervisor, HTI_SUPERVISOR_ADD, bytes,
                   (size_t)(text - bytes));
}

ht_err ht_supervisor_remove(ht_node *node, ht_ref supervisor, const char *id)
{
    int len = hti_name_len(id);

    if (len <= 0) {
        return HT_EINVAL;
    }
    return request(node, supervisor, HTI_SUPERVISOR_REMOVE, id,
                   (size_t)len + 1);
}

ht_ref ht_supervisor_child(ht_node *node, ht_ref supervisor, const char *id)
{
    ht_ref ref = {0, 0};

    if (supervisor.node == hti_rt_local_handle(node)) {
        ref.pid = hti_directory_find_child(node->directory, supervisor.pid, id);
    }
    if (ref.pid != 0) {
        ref.node = supervisor.node;
    }
    return ref;
}
