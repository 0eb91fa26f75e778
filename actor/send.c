/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - casts: to an actor here, on another node, or by name. */
#include <string.h>

#include "actor/directory.h"
#include "actor/internal.h"

static ht_ref sender(const ht_node *node)
{
    ht_actor *a = hti_caller(node);

    return a != NULL ? ht_self(a) : (ht_ref){0};
}

static ht_err cast_local(ht_node *node, uint64_t pid, struct hti_view *view)
{
    ht_actor *a = hti_actor_find(node, pid);
    ht_msg *msg;
    ht_err err;

    if (a == NULL) {
        return HT_ENOPROC;
    }
    msg = hti_msg_build(view, sender(node), NULL);
    if (msg == NULL) {
        return HT_ENOMEM;
    }
    err = hti_mailbox_put(a, pid, msg);
    if (err != HT_OK) {
        ht_msg_free(msg);
    }
    return err;
}

static ht_err cast_remote(ht_node *node, uint64_t handle, struct hti_view *view)
{
    if (handle == 0) {
        return HT_ENOPROC;
    }
    if (node->remote == NULL) {
        return HT_ENOCONN;
    }
    view->from = sender(node).pid;
    return node->remote->cast(node->remote_arg, handle, view);
}

ht_err ht_cast(ht_node *node,
               ht_ref to,
               const char *variant,
               const void *args,
               size_t args_len)
{
    struct hti_view view;
    ht_err err = hti_view_of(variant, args, args_len, &view);

    if (node == NULL || err != HT_OK) {
        return node == NULL ? HT_EINVAL : err;
    }
    view.to = to.pid;
    return to.node == node->local_handle ? cast_local(node, to.pid, &view)
                                         : cast_remote(node, to.node, &view);
}

ht_err ht_send(ht_node *node, ht_ref to, ht_msg **msg)
{
    ht_msg *m;
    struct hti_view view;
    ht_err err;

    if (node == NULL || msg == NULL || *msg == NULL) {
        return HT_EINVAL;
    }
    m = *msg;
    if (to.node == node->local_handle) {
        m->from = sender(node);
        err = hti_mailbox_send(node, to.pid, m);
        if (err == HT_OK) {
            *msg = NULL;
        }
        return err;
    }
    view = (struct hti_view){.variant = {m->variant, strlen(m->variant)},
                             .args = m->args,
                             .metadata = m->metadata,
                             .to = to.pid};
    err = cast_remote(node, to.node, &view);
    if (err == HT_OK) {
        ht_msg_free(m);
        *msg = NULL;
    }
    return err;
}

ht_err hti_resolve(ht_node *node,
                   const char *node_name,
                   const char *name,
                   ht_ref *ret_ref,
                   ht_bytes *ret_name)
{
    uint64_t found;

    if (node == NULL || name == NULL || name[0] == '\0') {
        return HT_EINVAL;
    }
    if (node_name == NULL || strcmp(node_name, node->name) == 0) {
        found = hti_directory_find(node->directory, name, strlen(name));
        if (found == 0) {
            return HT_ENOPROC;
        }
        *ret_ref = (ht_ref){.node = node->local_handle, .pid = found};
        *ret_name = (ht_bytes){0};
        return HT_OK;
    }
    found = node->remote != NULL
                ? node->remote->find_node(node->remote_arg, node_name)
                : 0;
    if (found == 0) {
        return HT_ENOCONN;
    }
    *ret_ref = (ht_ref){.node = found, .pid = 0};
    *ret_name = (ht_bytes){name, strlen(name)};
    return HT_OK;
}

ht_err ht_cast_name(ht_node *node,
                    const char *node_name,
                    const char *name,
                    const char *variant,
                    const void *args,
                    size_t args_len)
{
    struct hti_view view;
    ht_bytes to_name;
    ht_ref to;
    ht_err err = hti_view_of(variant, args, args_len, &view);

    if (err == HT_OK) {
        err = hti_resolve(node, node_name, name, &to, &to_name);
    }
    if (err != HT_OK) {
        return err;
    }
    view.to = to.pid;
    view.to_name = to_name;
    return to.node == node->local_handle ? cast_local(node, to.pid, &view)
                                         : cast_remote(node, to.node, &view);
}
