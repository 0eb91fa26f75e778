/* SPDX-License-Identifier: Apache-2.0 */
/* global.c - hardtack/kv.h, global names for threads: one call of the names'
 * actor each. */
#include <hardtack/args.h>
#include <hardtack/kv.h>
#include <hardtack/service.h>
#include <string.h>

#include "kv/messages.h"
#include "kv/names.h"
#include "kv/use.h"

ht_err ht_global_start(ht_node *node, const ht_global_config *config)
{
    ht_ref ref;

    if (node == NULL || config == NULL ||
        (config->size != 0 && config->size != sizeof(*config)) ||
        (config->lease_ms != 0 && config->lease_ms < 1000)) {
        return HT_EINVAL;
    }
    return hti_kv_names_start(node, config, &ref);
}

static ht_err open_names(ht_node *node, const char *name, ht_stub **ret_stub)
{
    ht_ref names;
    ht_err err;

    if (node == NULL || name == NULL || !hti_kv_global_name_valid(name, 255)) {
        return HT_EINVAL;
    }
    err = hti_kv_names_start(node, NULL, &names);
    return err == HT_OK
               ? hti_kv_stub_open(node, names, &hardtack__kv__names__descriptor,
                                  ret_stub)
               : err;
}

struct claimed {
    bool held;
    uint64_t token;
};

static void on_claimed(const Hardtack__Kv__ClaimReply *reply, void *arg)
{
    struct claimed *claimed = arg;

    if (reply != NULL) {
        claimed->held = reply->held != 0;
        claimed->token = reply->token;
    }
}

ht_err ht_register_global(ht_node *node,
                          const char *name,
                          ht_ref ref,
                          uint64_t *ret_token)
{
    Hardtack__Kv__ClaimRequest request = HARDTACK__KV__CLAIM_REQUEST__INIT;
    struct claimed claimed = {0};
    ht_args actor = HT_ARGS_INIT;
    ht_stub *stub;
    ht_err err = open_names(node, name, &stub);

    if (err != HT_OK) {
        return err;
    }
    ht_args_ref(&actor, node, ref);
    request.name = (char *)(uintptr_t)name;
    request.actor.data = actor.data;
    request.actor.len = actor.err == HT_OK ? actor.len : 0;
    hardtack__kv__names__claim(ht_stub_service(stub), &request, on_claimed,
                               &claimed);
    err = hti_kv_stub_close(stub, claimed.held ? HT_OK : HT_EEXIST);
    ht_args_fini(&actor);
    if (err == HT_OK && ret_token != NULL) {
        *ret_token = claimed.token;
    }
    return err;
}

static void on_released(const Hardtack__Kv__ReleaseReply *reply, void *arg)
{
    *(bool *)arg = reply != NULL && reply->released;
}

ht_err ht_unregister_global(ht_node *node, const char *name)
{
    Hardtack__Kv__ReleaseRequest request = HARDTACK__KV__RELEASE_REQUEST__INIT;
    bool released = false;
    ht_stub *stub;
    ht_err err = open_names(node, name, &stub);

    if (err != HT_OK) {
        return err;
    }
    request.name = (char *)(uintptr_t)name;
    hardtack__kv__names__release(ht_stub_service(stub), &request, on_released,
                                 &released);
    return hti_kv_stub_close(stub, released ? HT_OK : HT_ENOENT);
}

struct found {
    ht_node *node;
    ht_ref ref;
    uint64_t token;
    bool there;
};

static void on_found(const Hardtack__Kv__FindReply *reply, void *arg)
{
    struct found *found = arg;
    ht_reader reader;

    if (reply == NULL || !reply->found) {
        return;
    }
    reader = ht_reader_block(reply->actor.data, reply->actor.len);
    found->ref = ht_read_ref(&reader, found->node);
    found->token = reply->token;
    found->there = ht_read_end(&reader) == HT_OK;
}

ht_err ht_whereis_global(ht_node *node,
                         const char *name,
                         ht_ref *ret_ref,
                         uint64_t *ret_token)
{
    Hardtack__Kv__FindRequest request = HARDTACK__KV__FIND_REQUEST__INIT;
    struct found found = {.node = node};
    ht_stub *stub;
    ht_err err;

    if (ret_ref == NULL) {
        return HT_EINVAL;
    }
    err = open_names(node, name, &stub);
    if (err != HT_OK) {
        return err;
    }
    request.name = (char *)(uintptr_t)name;
    hardtack__kv__names__find(ht_stub_service(stub), &request, on_found,
                              &found);
    err = hti_kv_stub_close(stub, found.there ? HT_OK : HT_ENOENT);
    if (err == HT_OK) {
        *ret_ref = found.ref;
        if (ret_token != NULL) {
            *ret_token = found.token;
        }
    }
    return err;
}
