/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/service.h - typed messages: a protobuf service is an actor's
 * interface.  protobuf-c's generated service struct is the server; its
 * generated stubs over a ref are the client.  The method's name is the variant
 * on the wire, its message travels as ractor's one prost argument, so the same
 * stub calls a C actor and a Rust one.  A method whose output is hardtack.None
 * is a cast; the library has hardtack.None, .Empty and .Ref, so only the user's
 * own .proto files are compiled:
 *
 *   protoc-c -I. -I"$(pkg-config --variable=includedir hardtack)" \
 *       --c_out=. mine.proto
 *
 * The state of a service is what stands beside its generated struct in a struct
 * of the user's; its handlers never run two at a time.
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
 * actor's life.  A handler gets its request lent for the call.  It answers by
 * its closure, now or later in a turn of the same actor (closure_data may be
 * kept until then), or with ht_fail(); what it never answers is reaped at the
 * call's deadline.  The handler of a cast does not call its closure.  A request
 * that cannot be decoded is answered HT_EARGS.  name may be NULL.  Blocks and
 * fails as ht_spawn(); HT_EINVAL also for code that was generated for size.
 */
HT_API HT_MUSTUSE ht_err ht_spawn_service(ht_node *node,
                                          const char *name,
                                          struct ProtobufCService *service,
                                          ht_ref *ret_ref);
/** The same with everything: opts, callbacks of the actor around the service
 *  (init, on_event, terminate; handle gets what the service does not have).
 *  Copies opts; borrows around for the actor's life.  arg is as ht_spawn()'s;
 *  around and opts may be NULL. */
HT_API HT_MUSTUSE ht_err ht_spawn_service_opts(ht_node *node,
                                               struct ProtobufCService *service,
                                               const ht_behavior *around,
                                               void *arg,
                                               const ht_spawn_opts *opts,
                                               ht_ref *ret_ref);

/** Answer a typed call with an error, as ht_reply_error(); call is the
 * handler's closure_data.  Only in a turn of the actor that got it, which lives
 * on. Nothing happens for a cast, or a call that was answered. */
HT_API void ht_fail(void *call, ht_err code, const char *reason);
/** The actor whose typed handler runs. Same as ht_current(). */
HT_API ht_actor *ht_service_self(void);
/** Who sent the typed message that is being handled, as ht_msg_from(); none if
 *  unknown. */
HT_API ht_ref ht_service_from(void);

/** A client: generated stubs over a ref. */
typedef struct ht_stub ht_stub;
/**
 * Bind a service descriptor to an actor.  From an ordinary thread a stub
 * function blocks, and has called the closure when it returns; in a handler it
 * returns at once, and the closure runs later as a turn of the same actor (a
 * cast, and a call that cannot be made, have called it when it returns).
 * The closure's message is lent for the call, and NULL after an error:
 * ht_stub_error() inside the closure, or after a blocking stub function, says
 * which.  A stub has no lock, but may be used by any thread, one at a time.
 * Borrows descriptor; the caller frees *ret_stub before the node, at any time
 * when no stub function runs in another thread.  Whether the actor exists, and
 * has that service, is not asked.  HT_EINVAL (to is none), HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err
ht_stub_new(ht_node *node,
            ht_ref to,
            const struct ProtobufCServiceDescriptor *descriptor,
            ht_stub **ret_stub);
/** NULL is fine.  Calls that are under way are answered all the same. */
HT_API void ht_stub_free(ht_stub *stub);
/** What the generated functions take; lent for the stub's life. */
HT_API struct ProtobufCService *ht_stub_service(ht_stub *stub);
/** Of the calls from now on, in ms; 0 is 5000, HT_INFINITE none. */
HT_API void ht_stub_set_timeout(ht_stub *stub, uint32_t timeout_ms);
/** How the answer just delivered in this thread came out: HT_OK, an error of
 *  ht_reply, or why the message could not be sent.  ret_reason may be NULL; it
 *  gets the callee's words, "" if none, lent until the next answer in this
 *  thread. */
HT_API ht_err ht_stub_error(const char **ret_reason);

/** The descriptor of a local service actor, NULL if it is none: for tools. It
 * is what the service's owner passed in, lent for the actor's life. */
HT_API const struct ProtobufCServiceDescriptor *
ht_service_descriptor(ht_node *node, ht_ref ref);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_SERVICE_H */
