/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - a connection of the program to one node: a hidden node of our own,
 * which the other neither announces nor dials again, and which is gone with
 * client_close().
 *
 * Thread: one at a time.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <argp.h>
#include <hardtack.h>
#include <limits.h>
#include <protobuf-c/protobuf-c.h>

/* Options that every command that talks to a node takes. */
struct client_opts {
    const char *node; /* unix:/path or host:port; NULL: see client_address() */
    const char *name; /* that the node must have; NULL: any */
    const char *cookie_file;
    /* "cookie", "tls", "none"; NULL: tls if there is a certificate, else
     * cookie */
    const char *encryption;
    const char *tls_cert, *tls_key, *tls_ca;
    uint32_t timeout_ms; /* 0: 5000 */
    bool json;
    bool verbose;
};

/* As a child of a command's argp; its input is the struct client_opts. */
extern const struct argp client_argp;

struct client {
    ht_node *node;
    char *peer; /* the node's name */
    uint32_t timeout_ms;
    const char *address;
    char address_buf[PATH_MAX + 8];
};

/* Connect.  An error has been told to the user, in words that say what to do;
 * returns an exit code. */
int client_open(const struct client_opts *opts, struct client *client);
void client_close(struct client *client);

/* A method of an actor of the node that we are connected to. */
struct client_method {
    const char *actor;
    const ProtobufCServiceDescriptor *service;
    const char *method;
};
#define CLIENT_REASON_MAX 512
/* Call it.  The request is borrowed, *ret_out is freed with
 * protobuf_c_message_free_unpacked().  After an error reason is the callee's
 * words, "" if there are none. */
ht_err client_call(struct client *client,
                   const struct client_method *to,
                   const ProtobufCMessage *request,
                   uint32_t timeout_ms,
                   ProtobufCMessage **ret_out,
                   char reason[CLIENT_REASON_MAX]);

/* Call a method of the node's administration.  The request is borrowed,
 * *ret_out is freed with protobuf_c_message_free_unpacked().  An error has been
 * told; returns an exit code.  extra_ms is added to the timeout, for requests
 * that wait themselves. */
int client_admin(struct client *client,
                 const char *method,
                 const ProtobufCMessage *request,
                 uint32_t extra_ms,
                 ProtobufCMessage **ret_out);

/* A timeout option: "5s", "500ms"; or seconds as a plain number, 0.5. False if
 * it is neither. */
bool client_read_timeout(const char *text, uint32_t *ret_ms);

#endif /* CLI_CLIENT_H */
