/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/service.h - typed messages: a protobuf service is an actor's
 * interface.  protobuf-c's generated service struct is the server; its
 * generated stubs over a ref are the client.  The method's name is the variant
 * on the wire, its message travels as ractor's one prost argument, so the same
 * stub calls a C actor and a Rust one.  A method whose output is hardtack.None
 * is a cast.
 */
#ifndef HARDTACK_SERVICE_H
#define HARDTACK_SERVICE_H

#include <hardtack/actor.h>
#include <hardtack/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ProtobufCService;
struct ProtobufCServiceDescriptor;

/**
 * Start an actor that serves a protobuf service.  Borrows service for the
 * actor's life.  A handler answers by its closure, now or later in a turn of
 * the same actor, or with ht_fail(); what it never answers is reaped at the
 * call's deadline.  name may be NULL.
 */
HT_API HT_MUSTUSE ht_err ht_spawn_service(ht_node *node,
                                          const char *name,
                                          struct ProtobufCService *service,
                                          ht_ref *ret_ref);
/** The same with everything: opts, callbacks of the actor around the service
 *  (init, on_event, terminate; handle gets what the service does not have). */
HT_API HT_MUSTUSE ht_err ht_spawn_service_opts(ht_node *node,
                                               struct ProtobufCService *service,
                                               const ht_behavior *around,
                                               void *arg,
                                               const ht_spawn_opts *opts,
                                               ht_ref *ret_ref);

/** Answer a typed call with an error; call is the handler's closure_data. The
 *  actor lives on. */
HT_API void ht_fail(void *call, ht_err code, const char *reason);
/** The actor whose typed handler runs. Same as ht_current(). */
HT_API ht_actor *ht_service_self(void);
/** Who made the typed call that is being handled; none if unknown. */
HT_API ht_ref ht_service_from(void);

/** A client: generated stubs over a ref. */
typedef struct ht_stub ht_stub;
/**
 * Bind a service descriptor to an actor.  From an ordinary thread a stub
 * function blocks, and has called the closure when it returns; in a handler it
 * returns at once, and the closure runs later as a turn of the same actor (a
 * cast, and a call that cannot be made, have called it when it returns).
 * The closure's message is NULL after an error: ht_stub_error() inside the
 * closure, or after a blocking stub function, says which.
 */
HT_API HT_MUSTUSE ht_err
ht_stub_new(ht_node *node,
            ht_ref to,
            const struct ProtobufCServiceDescriptor *descriptor,
            ht_stub **ret_stub);
HT_API void ht_stub_free(ht_stub *stub);
/** What the generated functions take. */
HT_API struct ProtobufCService *ht_stub_service(ht_stub *stub);
HT_API void ht_stub_set_timeout(ht_stub *stub, uint32_t timeout_ms);
/** Of the answer just delivered in this thread. reason may be NULL. */
HT_API ht_err ht_stub_error(const char **ret_reason);

/** The descriptor of a local service actor, NULL if it is none: for tools. */
HT_API const struct ProtobufCServiceDescriptor *
ht_service_descriptor(ht_node *node, ht_ref ref);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_SERVICE_H */
