/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - whether a request is one: asked before it is proposed, so that the
 * log has none that is wrong, and again when it is done, since the log is read
 * by later versions. */
#ifndef HTI_KV_CHECK_H
#define HTI_KV_CHECK_H

#include "kv/error.h"
#include "kv/messages.h"

struct hti_kv_fault {
    enum hti_kv_error error;
    char words[160];
};

/* False: *ret says what is wrong. */
bool hti_kv_check_get(const GetRequest *request, struct hti_kv_fault *ret);
bool hti_kv_check_range(const RangeRequest *request, struct hti_kv_fault *ret);
bool hti_kv_check_put(const PutRequest *request, struct hti_kv_fault *ret);
bool hti_kv_check_del(const DelRequest *request, struct hti_kv_fault *ret);
bool hti_kv_check_swap(const SwapRequest *request, struct hti_kv_fault *ret);
bool hti_kv_check_txn(const TxnRequest *request, struct hti_kv_fault *ret);
bool hti_kv_check_grant(const LeaseGrantRequest *request,
                        struct hti_kv_fault *ret);
bool hti_kv_check_watch(const WatchRequest *request, struct hti_kv_fault *ret);
bool hti_kv_check_changes(const ChangesRequest *request,
                          struct hti_kv_fault *ret);
/* Of whatever it holds. */
bool hti_kv_check_command(const Command *command, struct hti_kv_fault *ret);
/* NULL: it has none. */
const RequestId *hti_kv_command_request(const Command *command);

/* What is to be stored, whichever way it was given. */
ht_bytes hti_kv_put_value(const PutRequest *request);
ht_bytes hti_kv_swap_value(const SwapRequest *request);

#endif /* HTI_KV_CHECK_H */
