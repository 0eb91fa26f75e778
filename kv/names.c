/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/names.h"

#include <hardtack/args.h>
#include <hardtack/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/utf8.h"
#include "kv/front.h"
#include "kv/messages.h"
#include "kv/own_lease.h"

#define LEASE_DEFAULT_MS 10000u
#define NAME_MAX_BYTES   255u
#define NAMES_MAX        65536u

typedef Hardtack__Kv__Names_Service Names;
typedef Hardtack__Kv__ClaimRequest ClaimRequest;
typedef Hardtack__Kv__ClaimReply ClaimReply;
typedef Hardtack__Kv__NameRecord NameRecord;

enum name_state {
    NAME_WAITING,  /* for the lease */
    NAME_CLAIMING, /* asked of the store */
    NAME_HELD,
    NAME_GONE, /* lost or given up while it was claimed: an answer will come */
    NAME_LEAVING, /* given back, until the store says that it is not ours */
};

struct name {
    TAILQ_ENTRY(name) link;
    struct names *names;
    enum name_state state;
    ht_ref ref;
    uint64_t monitor;
    uint64_t token; /* LEAVING: 0: not known */
    uint64_t lease; /* it was claimed with */
    bool asking;    /* LEAVING: the store */
    uint8_t *value; /* that it has in the store */
    size_t value_len;
    Hardtack__Kv__ClaimReply_Closure closure; /* until it is held */
    void *closure_data;
    char text[NAME_MAX_BYTES + 1];
};
TAILQ_HEAD(name_list, name);

struct names {
    Names service; /* first */
    ht_node *node;
    ht_actor *self;
    ht_stub *store;
    struct name_list list;
    size_t count;
    struct hti_kv_own_lease lease; /* on which all hang */
    char store_name[65];
};

bool hti_kv_global_name_valid(const char *name, size_t max)
{
    size_t len = strlen(name);

    return len > 0 && len <= max && hti_utf8_printable(name, len);
}

static void key_of(const char *name, char ret[300])
{
    (void)snprintf(ret, 300, "%s%s", HTI_KV_NAMES_PREFIX, name);
}

static struct name *find(struct names *names, const char *text)
{
    struct name *name;

    TAILQ_FOREACH (name, &names->list, link) {
        if (name->state != NAME_GONE && name->state != NAME_LEAVING &&
            strcmp(name->text, text) == 0) {
            return name;
        }
    }
    return NULL;
}

/* Whether a claim of that name may still turn out to have been done: it would
 * be taken away by its value, which another claim's may equal. */
static bool in_doubt(const struct names *names, const char *text)
{
    const struct name *name;

    TAILQ_FOREACH (name, &names->list, link) {
        if (name->state == NAME_LEAVING && name->token == 0 &&
            strcmp(name->text, text) == 0) {
            return true;
        }
    }
    return false;
}

static void forget(struct name *name)
{
    struct names *names = name->names;

    if (name->monitor != 0) {
        (void)ht_demonitor(names->self, name->monitor);
    }
    TAILQ_REMOVE(&names->list, name, link);
    names->count--;
    free(name->value);
    free(name);
}

/* The claim is answered, one way or the other. */
static void answer(struct name *name, const ClaimReply *reply)
{
    if (name->closure != NULL) {
        name->closure(reply, name->closure_data);
        name->closure = NULL;
    }
}

static void refuse(struct name *name, ht_err err, const char *words)
{
    if (name->closure != NULL) {
        ht_fail(name->closure_data, err, words);
        name->closure = NULL;
    }
}

/* ---- giving back --------------------------------------------------------- */

static void on_given_back(const SwapReply *reply, void *arg)
{
    struct name *name = arg;

    name->asking = false;
    /* Without the lease it ends by itself; with it, it would stay ours for as
     * long as this node lives: so it is tried again. */
    if (reply != NULL || name->lease != name->names->lease.id) {
        forget(name);
    }
}

/* Only what we put there. */
static void give_back(struct name *name)
{
    SwapRequest request = HARDTACK__KV__SWAP_REQUEST__INIT;
    char key[300];

    key_of(name->text, key);
    request.key = key;
    if (name->token != 0) {
        request.expected_case =
            HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION;
        request.expect_revision = name->token;
    } else {
        request.expected_case =
            HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_VALUE;
        request.expect_value.data = name->value;
        request.expect_value.len = name->value_len;
    }
    request.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_REMOVE;
    request.remove = true;
    name->asking = true;
    hardtack__kv__store__compare_and_swap(ht_stub_service(name->names->store),
                                          &request, on_given_back, name);
}

static void leave(struct name *name)
{
    if (name->monitor != 0) {
        (void)ht_demonitor(name->names->self, name->monitor);
        name->monitor = 0;
    }
    name->state = NAME_LEAVING;
    give_back(name);
}

/* Those that the store did not answer for. */
static void leave_again(struct names *names)
{
    struct name *name = TAILQ_FIRST(&names->list);

    while (name != NULL) {
        struct name *next = TAILQ_NEXT(name, link);

        if (name->state == NAME_LEAVING && !name->asking) {
            if (name->lease == names->lease.id) {
                give_back(name);
            } else {
                forget(name);
            }
        }
        name = next;
    }
}

static void drop(struct name *name)
{
    if (name->state == NAME_LEAVING || name->state == NAME_GONE) {
        return;
    }
    if (name->state == NAME_CLAIMING) {
        name->state = NAME_GONE;
        refuse(name, HT_ECANCELLED, "the actor has ended, or gave it up");
        return;
    }
    refuse(name, HT_ECANCELLED, "the actor has ended, or gave it up");
    if (name->state == NAME_HELD) {
        leave(name);
    } else {
        forget(name);
    }
}

/* ---- claiming ------------------------------------------------------------ */

static void tell(struct names *names, const struct name *name)
{
    ht_args args = HT_ARGS_INIT;

    ht_args_str(&args, name->text);
    ht_args_u64(&args, name->token);
    if (ht_args_cast(names->node, name->ref, "HtGlobalLost", &args) != HT_OK) {
        /* Its mailbox is full: an actor that cannot be told must not go on. */
        (void)ht_kill(names->node, name->ref);
    }
}

static void on_holder(struct name *name, const KeyValue *kv)
{
    ClaimReply reply = HARDTACK__KV__CLAIM_REPLY__INIT;
    NameRecord *record = kv == NULL ? NULL
                                    : hardtack__kv__name_record__unpack(
                                          NULL, kv->value.len, kv->value.data);

    if (record != NULL) {
        reply.node = record->node;
    }
    answer(name, &reply);
    if (record != NULL) {
        hardtack__kv__name_record__free_unpacked(record, NULL);
    }
    forget(name);
}

/* Whether an error leaves it open if a claim was done. */
static bool maybe_done(const char *words)
{
    enum hti_kv_error error = hti_kv_error_of(words);

    return error == HTI_KV_UNKNOWN || error == HTI_KV_OLD_REQUEST ||
           error == HTI_KV_DONE; /* no word of the store's */
}

static void on_claimed(const SwapReply *reply, void *arg)
{
    struct name *name = arg;
    struct names *names = name->names;
    ClaimReply done = HARDTACK__KV__CLAIM_REPLY__INIT;
    const char *words = "";

    if (reply == NULL) {
        ht_err err = ht_stub_error(&words);

        refuse(name, err, words);
        if (maybe_done(words)) {
            leave(name);
        } else {
            forget(name);
        }
        return;
    }
    if (!reply->swapped) {
        on_holder(name, reply->kv);
        return;
    }
    name->token = reply->kv->create_revision;
    if (name->state == NAME_GONE || name->lease != names->lease.id) {
        refuse(name, HT_EFAILED, "no_lease: it was lost meanwhile");
        leave(name);
        return;
    }
    name->state = NAME_HELD;
    done.held = true;
    done.token = name->token;
    answer(name, &done);
}

/* What the name has in the store.  False: no memory, or no address. */
static bool make_value(struct name *name)
{
    NameRecord record = HARDTACK__KV__NAME_RECORD__INIT;
    struct names *names = name->names;
    ht_args ref = HT_ARGS_INIT;

    if (name->value != NULL) {
        return true;
    }
    ht_args_ref(&ref, names->node, name->ref);
    if (ref.err == HT_OK) {
        record.actor.data = ref.data;
        record.actor.len = ref.len;
        record.node = (char *)(uintptr_t)ht_node_name(names->node);
        name->value =
            malloc(hardtack__kv__name_record__get_packed_size(&record) + 1);
    }
    if (name->value != NULL) {
        name->value_len = hardtack__kv__name_record__pack(&record, name->value);
    }
    ht_args_fini(&ref);
    return name->value != NULL;
}

static void claim(struct name *name)
{
    struct names *names = name->names;
    SwapRequest request = HARDTACK__KV__SWAP_REQUEST__INIT;
    char key[300];

    if (!make_value(name)) {
        refuse(name, HT_EFAILED, "it has no address");
        forget(name);
        return;
    }
    key_of(name->text, key);
    request.key = key;
    request.expected_case =
        HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION;
    request.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_VALUE;
    request.value.len = name->value_len;
    request.value.data = name->value;
    request.lease = names->lease.id;
    name->state = NAME_CLAIMING;
    name->lease = names->lease.id;
    hardtack__kv__store__compare_and_swap(ht_stub_service(names->store),
                                          &request, on_claimed, name);
}

/* ---- the lease ----------------------------------------------------------- */

static void on_lost(void *arg)
{
    struct names *names = arg;
    struct name *name = TAILQ_FIRST(&names->list);

    while (name != NULL) {
        struct name *next = TAILQ_NEXT(name, link);

        if (name->state == NAME_HELD) {
            tell(names, name);
            forget(name);
        } else if (name->state == NAME_CLAIMING) {
            name->state = NAME_GONE;
        }
        name = next;
    }
}

static void on_granted(void *arg)
{
    struct names *names = arg;
    struct name *name = TAILQ_FIRST(&names->list);

    while (name != NULL) {
        struct name *next = TAILQ_NEXT(name, link);

        if (name->state == NAME_WAITING) {
            claim(name);
        }
        name = next;
    }
}

static void on_refused(void *arg, ht_err err, const char *words)
{
    struct names *names = arg;
    struct name *name = TAILQ_FIRST(&names->list);

    while (name != NULL) {
        struct name *next = TAILQ_NEXT(name, link);

        if (name->state == NAME_WAITING) {
            refuse(name, err, words);
            forget(name);
        }
        name = next;
    }
}

static bool has_waiting(const struct names *names)
{
    const struct name *name;

    TAILQ_FOREACH (name, &names->list, link) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed ones have left */
        if (name->state == NAME_WAITING) {
            return true;
        }
    }
    return false;
}

static void tick(struct names *names)
{
    leave_again(names);
    if (names->lease.id != 0) {
        hti_kv_own_lease_tick(&names->lease);
    } else if (!names->lease.asking && has_waiting(names)) {
        /* Claimed while the old one was being lost. */
        hti_kv_own_lease_ask(&names->lease);
    }
}

static const struct hti_kv_own_lease_ops lease_ops = {
    .granted = on_granted,
    .refused = on_refused,
    .lost = on_lost,
};

/* ---- the service --------------------------------------------------------- */

static struct names *names_of(Names *service)
{
    return (struct names *)(void *)service;
}

static bool
read_actor(struct names *names, ProtobufCBinaryData bytes, ht_ref *ret_ref)
{
    ht_reader reader = ht_reader_block(bytes.data, bytes.len);

    *ret_ref = ht_read_ref(&reader, names->node);
    return ht_read_end(&reader) == HT_OK;
}

static void on_claim(Names *service,
                     const ClaimRequest *in,
                     Hardtack__Kv__ClaimReply_Closure closure,
                     void *data)
{
    struct names *names = names_of(service);
    struct name *name;
    ht_ref ref;

    if (!hti_kv_global_name_valid(in->name, NAME_MAX_BYTES)) {
        ht_fail(data, HT_EARGS, "bad_request: a name has 1 to 255 bytes");
        return;
    }
    if (!read_actor(names, in->actor, &ref) ||
        ref.node != ht_self(names->self).node ||
        !ht_is_alive(names->node, ref)) {
        ht_fail(data, HT_ENOPROC, "no such actor on this node");
        return;
    }
    if (find(names, in->name) != NULL || in_doubt(names, in->name)) {
        ClaimReply taken = HARDTACK__KV__CLAIM_REPLY__INIT;

        taken.node = (char *)(uintptr_t)ht_node_name(names->node);
        closure(&taken, data);
        return;
    }
    name = names->count < NAMES_MAX ? calloc(1, sizeof(*name)) : NULL;
    if (name == NULL || ht_monitor(names->self, ref, &name->monitor) != HT_OK) {
        free(name);
        ht_fail(data, HT_EOVERLOAD, "overload: too many names");
        return;
    }
    name->names = names;
    name->ref = ref;
    name->closure = closure;
    name->closure_data = data;
    (void)snprintf(name->text, sizeof(name->text), "%s", in->name);
    TAILQ_INSERT_TAIL(&names->list, name, link);
    names->count++;
    if (names->lease.id != 0) {
        claim(name);
    } else if (!names->lease.asking) {
        hti_kv_own_lease_ask(&names->lease);
    }
}

static void on_release(Names *service,
                       const Hardtack__Kv__ReleaseRequest *in,
                       Hardtack__Kv__ReleaseReply_Closure closure,
                       void *data)
{
    Hardtack__Kv__ReleaseReply reply = HARDTACK__KV__RELEASE_REPLY__INIT;
    struct name *name = find(names_of(service), in->name);

    reply.released = name != NULL;
    if (name != NULL) {
        drop(name);
    }
    closure(&reply, data);
}

struct finding {
    Hardtack__Kv__FindReply_Closure closure;
    void *closure_data;
};

static void on_found(const GetReply *reply, void *arg)
{
    Hardtack__Kv__FindReply found = HARDTACK__KV__FIND_REPLY__INIT;
    struct finding *finding = arg;
    NameRecord *record = NULL;
    const char *words = "";

    if (reply == NULL) {
        ht_err err = ht_stub_error(&words);

        ht_fail(finding->closure_data, err, words);
        free(finding);
        return;
    }
    if (reply->found) {
        record = hardtack__kv__name_record__unpack(NULL, reply->kv->value.len,
                                                   reply->kv->value.data);
    }
    if (record != NULL) {
        found.found = true;
        found.actor = record->actor;
        found.node = record->node;
        found.token = reply->kv->create_revision;
    }
    finding->closure(&found, finding->closure_data);
    if (record != NULL) {
        hardtack__kv__name_record__free_unpacked(record, NULL);
    }
    free(finding);
}

static void on_find(Names *service,
                    const Hardtack__Kv__FindRequest *in,
                    Hardtack__Kv__FindReply_Closure closure,
                    void *data)
{
    GetRequest request = HARDTACK__KV__GET_REQUEST__INIT;
    struct finding *finding;
    char key[300];

    if (!hti_kv_global_name_valid(in->name, NAME_MAX_BYTES)) {
        ht_fail(data, HT_EARGS, "bad_request: a name has 1 to 255 bytes");
        return;
    }
    finding = malloc(sizeof(*finding));
    if (finding == NULL) {
        ht_fail(data, HT_EOVERLOAD, "overload: out of memory");
        return;
    }
    *finding = (struct finding){closure, data};
    key_of(in->name, key);
    request.key = key;
    hardtack__kv__store__get(ht_stub_service(names_of(service)->store),
                             &request, on_found, finding);
}

/* ---- the actor ----------------------------------------------------------- */

static ht_err on_init(ht_actor *self, void *arg)
{
    struct names *names = arg;
    uint32_t every = names->lease.ttl_ms / (HTI_KV_OWN_LEASE_PARTS * 4);
    uint64_t timer;
    ht_ref front;
    ht_err err = ht_kv_front(names->node, names->store_name, &front);

    ht_set_state(self, names);
    names->self = self;
    if (err == HT_OK) {
        err = ht_stub_new(names->node, front, &hardtack__kv__store__descriptor,
                          &names->store);
    }
    if (err == HT_OK) {
        /* The front ends every request; what comes later is of no use. */
        ht_stub_set_timeout(names->store, HT_INFINITE);
        names->lease.store = names->store;
        err = ht_timer_start(self, every, every, names, &timer);
    }
    return err;
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct names *names = ht_state(self);
    struct name *name;

    if (event->kind == HT_EVENT_TIMER) {
        tick(names);
    } else if (event->kind == HT_EVENT_DOWN) {
        TAILQ_FOREACH (name, &names->list, link) {
            if (name->monitor == event->u.down.monitor) {
                name->monitor = 0;
                drop(name);
                break;
            }
        }
    }
    return HT_OK;
}

static void on_terminate(ht_actor *self, const ht_exit *why)
{
    struct names *names = ht_state(self);

    (void)why;
    while (!TAILQ_EMPTY(&names->list)) {
        struct name *name = TAILQ_FIRST(&names->list);

        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        refuse(name, HT_ECANCELLED, "the node is stopping");
        TAILQ_REMOVE(&names->list, name, link);
        free(name->value);
        free(name);
    }
    ht_stub_free(names->store);
    free(names);
}

static const ht_behavior around = {
    .init = on_init,
    .on_event = on_event,
    .terminate = on_terminate,
};

static ht_err make(ht_node *node, const ht_global_config *config, ht_ref *ret)
{
    static const Names methods = HARDTACK__KV__NAMES__INIT(on_);
    /* Names of this node's actors are its own to give. */
    const ht_spawn_opts opts = {.name = HTI_KV_NAMES, .local_only = true};
    struct names *names = calloc(1, sizeof(*names));
    ht_err err;

    if (names == NULL) {
        return HT_ENOMEM;
    }
    names->service = methods;
    names->node = node;
    names->lease.ops = &lease_ops;
    names->lease.arg = names;
    names->lease.ttl_ms =
        config->lease_ms > 0 ? config->lease_ms : LEASE_DEFAULT_MS;
    (void)snprintf(names->store_name, sizeof(names->store_name), "%s",
                   config->store != NULL ? config->store : "kv");
    TAILQ_INIT(&names->list);
    err = ht_spawn_service_opts(node, &names->service.base, &around, names,
                                &opts, ret);
    if (err != HT_OK) {
        ht_stub_free(names->store);
        free(names);
    }
    return err;
}

ht_err hti_kv_names_start(ht_node *node,
                          const ht_global_config *config,
                          ht_ref *ret_ref)
{
    static const ht_global_config usual = {0};
    ht_ref ref = ht_whereis(node, HTI_KV_NAMES);
    ht_err err = HT_OK;

    if (!ht_ref_is_none(ref)) {
        err = config != NULL ? HT_EEXIST : HT_OK;
    } else {
        err = make(node, config != NULL ? config : &usual, &ref);
        if (err == HT_EEXIST && config == NULL) { /* another was faster */
            ref = ht_whereis(node, HTI_KV_NAMES);
            err = ht_ref_is_none(ref) ? HT_ECLOSED : HT_OK;
        }
    }
    if (err == HT_OK) {
        *ret_ref = ref;
    }
    return err;
}
