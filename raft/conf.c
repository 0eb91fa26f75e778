/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/conf.h"

#include <hardtack/raft.h>
#include <string.h>

#include "raft/bytes.h"

#define ENCODING 1

bool hti_conf_valid(const uint8_t *data, size_t len)
{
    struct hti_rbuf buf = {.data = data, .len = len};
    uint64_t ids[HT_RAFT_MEMBERS_MAX];
    const char *names[HT_RAFT_MEMBERS_MAX];
    uint8_t version = hti_get_u8(&buf);
    uint64_t count = hti_get_u64(&buf);
    bool voter = false;

    if (buf.failed || version != ENCODING || count == 0 ||
        count > HT_RAFT_MEMBERS_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *end;
        size_t name_len;

        ids[i] = hti_get_u64(&buf);
        end = buf.failed ? NULL : memchr(data + buf.at, '\0', len - buf.at);
        if (end == NULL || ids[i] == 0) {
            return false;
        }
        name_len = (size_t)(end - (data + buf.at));
        names[i] = (const char *)hti_get_bytes(&buf, name_len + 1);
        if (name_len == 0 || name_len >= HT_RAFT_NAME_MAX) {
            return false;
        }
        for (uint64_t j = 0; j < i; j++) {
            if (ids[j] == ids[i] || strcmp(names[j], names[i]) == 0) {
                return false;
            }
        }
        switch (hti_get_u8(&buf)) {
        case RAFT_VOTER:
            voter = true;
            break;
        case RAFT_STANDBY:
            break;
        default:
            return false;
        }
    }
    return !buf.failed && voter;
}

ht_err hti_conf_decode(const uint8_t *data,
                       size_t len,
                       struct raft_configuration *ret_conf)
{
    struct raft_buffer buf = {.base = (void *)(uintptr_t)data, .len = len};
    int rv = raft_configuration_decode(&buf, ret_conf);

    return rv == 0 ? HT_OK : rv == RAFT_NOMEM ? HT_ENOMEM : HT_ECORRUPT;
}

ht_err hti_conf_copy(const struct raft_configuration *from,
                     struct raft_configuration *ret_conf)
{
    raft_configuration_init(ret_conf);
    for (unsigned i = 0; i < from->n; i++) {
        const struct raft_server *server = &from->servers[i];

        if (raft_configuration_add(ret_conf, server->id, server->address,
                                   server->role) != 0) {
            raft_configuration_close(ret_conf);
            return HT_ENOMEM;
        }
    }
    return HT_OK;
}

const struct raft_server *hti_conf_by_id(const struct raft_configuration *conf,
                                         uint64_t id)
{
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].id == id) {
            return &conf->servers[i];
        }
    }
    return NULL;
}

const struct raft_server *
hti_conf_by_name(const struct raft_configuration *conf, const char *name)
{
    for (unsigned i = 0; i < conf->n; i++) {
        if (strcmp(conf->servers[i].address, name) == 0) {
            return &conf->servers[i];
        }
    }
    return NULL;
}

unsigned hti_conf_voters(const struct raft_configuration *conf)
{
    unsigned voters = 0;

    for (unsigned i = 0; i < conf->n; i++) {
        voters += conf->servers[i].role == RAFT_VOTER;
    }
    return voters;
}
