/* SPDX-License-Identifier: Apache-2.0 */
#include "node/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/conn.h"

/* Accepted in one go, before others on the loop have their turn. */
#define ACCEPTS_MAX 64
/* Without descriptors accept() fails at once, again and again: wait. */
#define BACKOFF_MS 100

#define LISTENER_OF(ptr, member)                                               \
    ((struct hti_listener *)(void *)((char *)(ptr)-offsetof(                   \
        struct hti_listener, member)))

/* ---- opening ------------------------------------------------------------ */

static ht_err errno_to_err(int error)
{
    switch (error) {
    case EADDRINUSE:
        return HT_EADDRINUSE;
    case EACCES:
    case EPERM:
        return HT_EACCES;
    case ENOENT:
        return HT_ENOENT;
    case EADDRNOTAVAIL:
        return HT_EINVAL;
    default:
        return HT_EIO;
    }
}

static ht_err fail(struct hti_listener *l, char *why, size_t why_len)
{
    int saved = errno;

    snprintf(why, why_len, "listening on %s: %s", l->text, strerror(saved));
    return errno_to_err(saved);
}

/* [::] takes IPv4 too; where there is no IPv6, 0.0.0.0. */
static socklen_t ip_address(const struct hti_listen_config *config,
                            bool v6,
                            struct sockaddr_storage *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    memset(ret, 0, sizeof(*ret));
    in.sin_port = htons((uint16_t)config->port);
    in6.sin6_port = in.sin_port;
    if (config->address != NULL &&
        inet_pton(AF_INET, config->address, &in.sin_addr) == 1) {
        v6 = false;
    } else if (config->address != NULL) {
        inet_pton(AF_INET6, config->address, &in6.sin6_addr);
        v6 = true;
    }
    if (v6) {
        memcpy(ret, &in6, sizeof(in6));
        return sizeof(in6);
    }
    memcpy(ret, &in, sizeof(in));
    return sizeof(in);
}

static bool bind_ip(struct hti_listener *l, bool v6)
{
    struct sockaddr_storage address;
    socklen_t len = ip_address(l->config, v6, &address);
    int one = 1, only = l->config->address != NULL;

    l->fd = socket(address.ss_family,
                   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return false;
    }
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address.ss_family == AF_INET6) {
        setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    }
    if (bind(l->fd, (struct sockaddr *)&address, len) < 0 ||
        listen(l->fd, SOMAXCONN) < 0) {
        int saved = errno;

        close(l->fd);
        l->fd = -1;
        errno = saved;
        return false;
    }
    len = sizeof(address);
    if (getsockname(l->fd, (struct sockaddr *)&address, &len) == 0) {
        hti_sockaddr_format(&address, l->text, sizeof(l->text));
        if (l->server->port == 0) {
            l->server->port = hti_sockaddr_port(&address);
        }
    }
    return true;
}

static ht_err open_ip(struct hti_listener *l, char *why, size_t why_len)
{
    const char *address = l->config->address;

    snprintf(l->text, sizeof(l->text),
             address != NULL && strchr(address, ':') != NULL ? "[%s]:%d"
                                                             : "%s:%d",
             address == NULL ? "*" : address, l->config->port);
    if (bind_ip(l, true)) {
        return HT_OK;
    }
    if (address == NULL && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
        bind_ip(l, false)) {
        return HT_OK;
    }
    return fail(l, why, why_len);
}

/* A socket that nobody answers was left by a process that is gone. */
static ht_err remove_stale(struct hti_listener *l,
                           const struct sockaddr_un *address,
                           char *why,
                           size_t why_len)
{
    struct stat st;
    int fd, rc, saved;

    if (lstat(address->sun_path, &st) < 0) {
        return HT_OK;
    }
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(why, why_len, "%s exists and is not a socket", l->text);
        return HT_EADDRINUSE;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail(l, why, why_len);
    }
    rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    saved = errno;
    close(fd);
    if (rc == 0 || saved != ECONNREFUSED) {
        errno = EADDRINUSE;
        return fail(l, why, why_len);
    }
    if (unlink(address->sun_path) < 0) {
        return fail(l, why, why_len);
    }
    return HT_OK;
}

static ht_err open_unix(struct hti_listener *l, char *why, size_t why_len)
{
    struct sockaddr_un address;
    const char *wrong;
    struct stat st;
    ht_err err;

    snprintf(l->text, sizeof(l->text), "unix:%s", l->config->address);
    err = hti_address_unix(l->config->address, &address, &wrong);
    if (err == HT_OK) {
        err = remove_stale(l, &address, why, why_len);
    }
    if (err != HT_OK) {
        return err;
    }
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return fail(l, why, why_len);
    }
    /* The file takes its mode from the socket, cut by the umask: never wider
     * than it will be, not even for a moment. */
    if (fchmod(l->fd, (mode_t)l->config->unix_mode) < 0 ||
        bind(l->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        return fail(l, why, why_len);
    }
    if (stat(address.sun_path, &st) == 0) {
        l->has_path = true;
        l->dev = st.st_dev;
        l->ino = st.st_ino;
    }
    if (chmod(address.sun_path, (mode_t)l->config->unix_mode) < 0 ||
        listen(l->fd, SOMAXCONN) < 0) {
        return fail(l, why, why_len);
    }
    return HT_OK;
}

/* ---- accepting ---------------------------------------------------------- */

static void
accepted(struct hti_listener *l, int fd, const struct sockaddr_storage *peer)
{
    const struct hti_listen_config *config = l->config;
    struct hti_server *server = l->server;
    char text[HTI_ADDRESS_TEXT_MAX];
    uint8_t key[HTI_ADDRESS_KEY_BYTES];
    struct hti_conn_params params = {
        .fd = fd,
        .address = text,
        .encryption = config->encryption,
        .any_peer = config->any_peer,
        .is_unix = config->is_unix,
        .admin = config->admin,
        .cert_optional = config->cert_optional,
        .peer = config->is_unix ? NULL : peer,
    };

    if (config->is_unix) {
        snprintf(text, sizeof(text), "%s", l->text);
    } else {
        hti_sockaddr_format(peer, text, sizeof(text));
        hti_sockaddr_key(peer, key);
        if (hti_pending_is_barred(&server->pending, key, l->io.loop->now_ms)) {
            hti_server_log_limited(server, &server->log_accept, HT_LOG_WARN,
                                   "HT-ACCEPT-BARRED",
                                   "peer=%s text=\"failed to authenticate too "
                                   "often\"",
                                   text);
            close(fd);
            return;
        }
    }
    if (hti_conn_open(server, hti_server_next_loop(server), &params) != HT_OK) {
        close(fd);
    }
}

static void backoff(struct hti_listener *l, int error)
{
    hti_server_log_limited(l->server, &l->server->log_accept, HT_LOG_ERROR,
                           "HT-ACCEPT", "address=%s text=\"%s\"", l->text,
                           strerror(error));
    if (hti_io_set(&l->io, 0) != HT_OK) {
        return; /* it never fails to stop */
    }
    hti_timer_set(&l->io.loop->timers, &l->timer,
                  l->io.loop->now_ms + BACKOFF_MS);
}

static void on_ready(struct hti_io *io, int events)
{
    struct hti_listener *l = LISTENER_OF(io, io);

    (void)events;
    for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int fd;

        memset(&peer, 0, sizeof(peer));
        fd = accept4(l->fd, (struct sockaddr *)&peer, &len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(l, fd, &peer);
            continue;
        }
        switch (errno) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            backoff(l, errno);
            return;
        case EAGAIN:
            return;
        default:
            /* The peer is gone again, or its network is: the next one. */
            break;
        }
    }
}

static void on_timer(struct hti_timer *timer, uint64_t now_ms)
{
    struct hti_listener *l = LISTENER_OF(timer, timer);

    if (hti_io_set(&l->io, HT_READ) != HT_OK) {
        hti_timer_set(&l->io.loop->timers, timer, now_ms + BACKOFF_MS);
    }
}

/* ---- life --------------------------------------------------------------- */

static void begin(struct hti_task *task)
{
    struct hti_listener *l = LISTENER_OF(task, task);
    struct hti_loop *loop = &l->server->loops[0];

    hti_io_init(&l->io, loop, l->fd, on_ready);
    if (hti_timer_attach(&loop->timers, &l->timer, on_timer) != HT_OK ||
        hti_io_set(&l->io, HT_READ) != HT_OK) {
        hti_log(&l->server->log, HT_LOG_ERROR, "HT-ACCEPT",
                "address=%s text=\"cannot be watched\"", l->text);
    }
}

static void end(struct hti_task *task)
{
    struct hti_listener *l = LISTENER_OF(task, stop);

    if (l->io.loop != NULL) {
        hti_timer_detach(&l->io.loop->timers, &l->timer);
        hti_io_fini(&l->io);
    }
    if (l->fd >= 0) {
        close(l->fd);
        l->fd = -1;
    }
    hti_server_leave(l->server);
}

ht_err hti_listener_open(struct hti_listener *listener,
                         struct hti_server *server,
                         const struct hti_listen_config *config,
                         char *why,
                         size_t why_len)
{
    memset(listener, 0, sizeof(*listener));
    listener->server = server;
    listener->config = config;
    listener->fd = -1;
    listener->task.run = begin;
    listener->stop.run = end;
    return config->is_unix ? open_unix(listener, why, why_len)
                           : open_ip(listener, why, why_len);
}

void hti_listener_start(struct hti_listener *listener)
{
    hti_loop_post(&listener->server->loops[0], &listener->task);
}

void hti_listener_stop(struct hti_listener *listener)
{
    hti_server_lodge(listener->server);
    hti_loop_post(&listener->server->loops[0], &listener->stop);
}

void hti_listener_close(struct hti_listener *listener)
{
    struct stat st;

    if (listener->server == NULL) {
        return;
    }
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
    }
    if (listener->has_path && lstat(listener->config->address, &st) == 0 &&
        st.st_dev == listener->dev && st.st_ino == listener->ino) {
        unlink(listener->config->address);
    }
    listener->has_path = false;
}
