/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <wslay/wslay.h>

#define GUID        "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define HEAD_MAX    8192
#define MESSAGE_MAX (1024 * 1024)
#define CONNECT_S   5

struct link {
    BIO *bio;
    SSL_CTX *tls;
    wslay_event_context_ptr ws;
    int fd;
    link_fn fn;
    void *arg;
    bool over;
};

/* ---- frames -------------------------------------------------------------- */

static ssize_t on_recv(
    wslay_event_context_ptr ws, uint8_t *buf, size_t len, int flags, void *arg)
{
    struct link *l = arg;
    int n = BIO_read(l->bio, buf, len > INT32_MAX ? INT32_MAX : (int)len);

    (void)flags;
    if (n > 0) {
        return n;
    }
    l->over = l->over || !BIO_should_retry(l->bio);
    wslay_event_set_error(ws, l->over ? WSLAY_ERR_CALLBACK_FAILURE
                                      : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr ws,
                       const uint8_t *data,
                       size_t len,
                       int flags,
                       void *arg)
{
    struct link *l = arg;
    int n = BIO_write(l->bio, data, len > INT32_MAX ? INT32_MAX : (int)len);

    (void)flags;
    if (n > 0) {
        return n;
    }
    l->over = l->over || !BIO_should_retry(l->bio);
    wslay_event_set_error(ws, l->over ? WSLAY_ERR_CALLBACK_FAILURE
                                      : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static int
on_mask(wslay_event_context_ptr ws, uint8_t *buf, size_t len, void *arg)
{
    (void)ws;
    (void)arg;
    return RAND_bytes(buf, (int)len) == 1 ? 0 : -1;
}

static void on_message(wslay_event_context_ptr ws,
                       const struct wslay_event_on_msg_recv_arg *in,
                       void *arg)
{
    struct link *l = arg;
    Hardtack__Gateway__Message *message;

    (void)ws;
    if (in->opcode != WSLAY_BINARY_FRAME) {
        return;
    }
    message = hardtack__gateway__message__unpack(NULL, in->msg_length, in->msg);
    if (message == NULL) {
        l->over = true; /* no gateway speaks like that */
        return;
    }
    l->fn(l->arg, message);
    hardtack__gateway__message__free_unpacked(message, NULL);
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = on_recv,
    .send_callback = on_send,
    .genmask_callback = on_mask,
    .on_msg_recv_callback = on_message,
};

/* ---- connecting ---------------------------------------------------------- */

static BIO *tls_bio(struct link *l, const char *place, const char *ca)
{
    char host[256];
    BIO *bio;
    SSL *ssl = NULL;

    snprintf(host, sizeof(host), "%.*s", (int)(strrchr(place, ':') - place),
             place);
    l->tls = SSL_CTX_new(TLS_client_method());
    if (l->tls == NULL ||
        (ca[0] != '\0' ? SSL_CTX_load_verify_locations(l->tls, ca, NULL)
                       : SSL_CTX_set_default_verify_paths(l->tls)) != 1) {
        return NULL;
    }
    SSL_CTX_set_verify(l->tls, SSL_VERIFY_PEER, NULL);
    bio = BIO_new_ssl_connect(l->tls);
    if (bio == NULL) {
        return NULL;
    }
    BIO_get_ssl(bio, &ssl);
    SSL_set_tlsext_host_name(ssl, host);
    if (SSL_set1_host(ssl, host) != 1) {
        BIO_free_all(bio);
        return NULL;
    }
    BIO_set_conn_hostname(bio, place);
    return bio;
}

static bool connect_bio(struct link *l, const char *place, const char *ca)
{
    const struct timeval limit = {.tv_sec = CONNECT_S};

    l->bio = ca != NULL ? tls_bio(l, place, ca) : BIO_new_connect(place);
    if (l->bio == NULL || BIO_do_connect(l->bio) <= 0) {
        return false;
    }
    l->fd = (int)BIO_get_fd(l->bio, NULL);
    (void)setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    return true;
}

/* The answer's head, a byte at a time: what follows is frames. */
static bool read_head(struct link *l, char head[HEAD_MAX])
{
    size_t at = 0;

    while (at < HEAD_MAX - 1) {
        if (BIO_read(l->bio, head + at, 1) != 1) {
            return false;
        }
        head[++at] = '\0';
        if (at >= 4 && strcmp(head + at - 4, "\r\n\r\n") == 0) {
            return true;
        }
    }
    return false;
}

static void accept_of(const char *key, char out[32])
{
    unsigned char hash[SHA_DIGEST_LENGTH];
    char text[100];

    snprintf(text, sizeof(text), "%s" GUID, key);
    SHA1((const unsigned char *)text, strlen(text), hash);
    EVP_EncodeBlock((unsigned char *)out, hash, sizeof(hash));
}

static bool upgrade(struct link *l, const char *place, char *error, size_t len)
{
    unsigned char random[16];
    char key[32], accept[32], request[700], head[HEAD_MAX], line[100];

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return false;
    }
    EVP_EncodeBlock((unsigned char *)key, random, sizeof(random));
    snprintf(request, sizeof(request),
             "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: %s\r\n"
             "Sec-WebSocket-Protocol: hardtack.pb.v1\r\n\r\n",
             place, key);
    if (BIO_write(l->bio, request, (int)strlen(request)) <= 0 ||
        !read_head(l, head)) {
        snprintf(error, len, "%s does not answer", place);
        return false;
    }
    accept_of(key, accept);
    snprintf(line, sizeof(line), "\r\nSec-WebSocket-Accept: %s\r\n", accept);
    if (strncmp(head, "HTTP/1.1 101", 12) != 0 ||
        strcasestr(head, line) == NULL) {
        snprintf(error, len, "%s is no gateway: %.*s", place,
                 (int)strcspn(head, "\r"), head);
        return false;
    }
    return true;
}

struct link *link_open(const char *place,
                       const char *ca,
                       link_fn fn,
                       void *arg,
                       char *error,
                       size_t error_len)
{
    struct link *l = calloc(1, sizeof(*l));

    if (l == NULL || strrchr(place, ':') == NULL || strlen(place) > 255) {
        snprintf(error, error_len, "%s: HOST:PORT is expected", place);
        free(l);
        return NULL;
    }
    l->fn = fn;
    l->arg = arg;
    if (!connect_bio(l, place, ca)) {
        const char *why = ERR_reason_error_string(ERR_peek_last_error());

        snprintf(error, error_len, "%s: %s", place,
                 why != NULL ? why : "cannot be reached");
        ERR_clear_error();
        link_close(l);
        return NULL;
    }
    if (!upgrade(l, place, error, error_len) ||
        wslay_event_context_client_init(&l->ws, &callbacks, l) != 0) {
        link_close(l);
        return NULL;
    }
    wslay_event_config_set_max_recv_msg_length(l->ws, MESSAGE_MAX);
    (void)fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_NONBLOCK);
    return l;
}

void link_close(struct link *l)
{
    if (l != NULL) {
        if (l->ws != NULL) {
            wslay_event_context_free(l->ws);
        }
        BIO_free_all(l->bio);
        SSL_CTX_free(l->tls);
        free(l);
    }
}

/* ---- working ------------------------------------------------------------- */

int link_fd(const struct link *l)
{
    return l->fd;
}

bool link_wants_write(const struct link *l)
{
    return wslay_event_want_write(l->ws) != 0;
}

bool link_send(struct link *l, const Hardtack__Gateway__Message *message)
{
    size_t len = hardtack__gateway__message__get_packed_size(message);
    uint8_t *data = malloc(len + 1);
    struct wslay_event_msg out = {
        .opcode = WSLAY_BINARY_FRAME, .msg = data, .msg_length = len};

    if (data == NULL) {
        return false;
    }
    hardtack__gateway__message__pack(message, data);
    if (wslay_event_queue_msg(l->ws, &out) != 0) {
        l->over = true;
    }
    free(data);
    return !l->over;
}

bool link_work(struct link *l)
{
    if (wslay_event_recv(l->ws) != 0 || wslay_event_send(l->ws) != 0 ||
        wslay_event_get_close_received(l->ws)) {
        l->over = true;
    }
    return !l->over;
}
