/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/own_lease.h"

#include "kv/clock.h"
#include "kv/error.h"
#include "kv/messages.h"

static void lose(struct hti_kv_own_lease *lease)
{
    lease->id = 0;
    lease->ops->lost(lease->arg);
}

static void on_granted(const LeaseReply *reply, void *arg)
{
    struct hti_kv_own_lease *lease = arg;
    const char *words = "";

    lease->asking = false;
    if (reply == NULL) {
        ht_err err = ht_stub_error(&words);

        lease->ops->refused(lease->arg, err, words);
        return;
    }
    lease->id = reply->lease;
    lease->deadline_ms = lease->asked_ms + lease->ttl_ms;
    lease->ops->granted(lease->arg);
}

void hti_kv_own_lease_ask(struct hti_kv_own_lease *lease)
{
    LeaseGrantRequest request = HARDTACK__KV__LEASE_GRANT_REQUEST__INIT;

    lease->asking = true;
    lease->asked_ms = hti_kv_monotonic_ms();
    request.ttl_ms = lease->ttl_ms;
    hardtack__kv__store__lease_grant(ht_stub_service(lease->store), &request,
                                     on_granted, lease);
}

static void on_kept(const LeaseReply *reply, void *arg)
{
    struct hti_kv_own_lease *lease = arg;
    const char *words = "";

    lease->asking = false;
    if (reply != NULL && reply->lease == lease->id) {
        lease->deadline_ms = lease->asked_ms + lease->ttl_ms;
    } else if (reply == NULL && lease->id != 0) {
        (void)ht_stub_error(&words);
        if (hti_kv_error_of(words) == HTI_KV_NO_LEASE) {
            lose(lease);
        }
    }
}

static void keep_alive(struct hti_kv_own_lease *lease)
{
    LeaseRequest request = HARDTACK__KV__LEASE_REQUEST__INIT;

    lease->asking = true;
    lease->asked_ms = hti_kv_monotonic_ms();
    request.lease = lease->id;
    hardtack__kv__store__lease_keep_alive(ht_stub_service(lease->store),
                                          &request, on_kept, lease);
}

void hti_kv_own_lease_tick(struct hti_kv_own_lease *lease)
{
    uint64_t now = hti_kv_monotonic_ms();
    uint32_t part = lease->ttl_ms / HTI_KV_OWN_LEASE_PARTS;

    if (now + part >= lease->deadline_ms) {
        lose(lease);
    } else if (!lease->asking &&
               now + lease->ttl_ms - part >= lease->deadline_ms) {
        keep_alive(lease);
    }
}
