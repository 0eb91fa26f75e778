/* SPDX-License-Identifier: Apache-2.0 */
/* demo_proxy.c - a thread accepts; each connection has one for each direction.
 *
 * One lock guards everything.  A thread that waits because of a cut, or for its
 * end, waits for `changed`; one that reads or writes is woken by the shutdown
 * of its sockets.
 */
#include "cli/demo_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"

#define CONNECTIONS_MAX 64
#define PIECE           65536

struct pump {
    struct demo_proxy *proxy;
    struct connection *connection;
    int from, to;
};

struct connection {
    bool used;
    int sides[2]; /* closed when both pumps have ended */
    int pumps;
    struct pump pump[2];
};

struct demo_proxy {
    int listener;
    int target; /* 0: not known yet */
    bool cut, ending;
    unsigned threads;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct connection connections[CONNECTIONS_MAX];
};

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* ---- one direction ------------------------------------------------------- */

/* Wait while it is cut; false: it ends. */
static bool wait_open(struct demo_proxy *proxy)
{
    bool open;

    (void)pthread_mutex_lock(&proxy->lock);
    while (proxy->cut && !proxy->ending) {
        (void)pthread_cond_wait(&proxy->changed, &proxy->lock);
    }
    open = !proxy->ending;
    (void)pthread_mutex_unlock(&proxy->lock);
    return open;
}

static bool send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* The last thread of a proxy that ends may free it: proxy is not touched after
 * this. */
static void leave(struct demo_proxy *proxy, struct connection *connection)
{
    (void)pthread_mutex_lock(&proxy->lock);
    if (connection != NULL && --connection->pumps == 0) {
        (void)close(connection->sides[0]);
        (void)close(connection->sides[1]);
        connection->used = false;
    }
    proxy->threads--;
    (void)pthread_cond_broadcast(&proxy->changed);
    (void)pthread_mutex_unlock(&proxy->lock);
}

static void *run_pump(void *arg)
{
    struct pump *pump = arg;
    char *data = malloc(PIECE);

    while (data != NULL) {
        ssize_t n = recv(pump->from, data, PIECE, 0);

        /* A peer that hangs up is cut off like its bytes. */
        if (!wait_open(pump->proxy) || n <= 0 ||
            !send_all(pump->to, data, (size_t)n)) {
            break;
        }
    }
    free(data);
    (void)shutdown(pump->from, SHUT_RDWR);
    (void)shutdown(pump->to, SHUT_RDWR);
    leave(pump->proxy, pump->connection);
    return NULL;
}

/* ---- connections --------------------------------------------------------- */

/* With the lock.  False: nothing was started. */
static bool
start_pump(struct demo_proxy *proxy, struct connection *connection, int i)
{
    struct pump *pump = &connection->pump[i];
    pthread_t thread;

    *pump = (struct pump){proxy, connection, connection->sides[i],
                          connection->sides[!i]};
    if (pthread_create(&thread, NULL, run_pump, pump) != 0) {
        return false;
    }
    (void)pthread_detach(thread);
    connection->pumps++;
    proxy->threads++;
    return true;
}

/* With the lock.  Takes both descriptors. */
static void add_connection(struct demo_proxy *proxy, int in, int out)
{
    for (size_t i = 0; i < CONNECTIONS_MAX && !proxy->ending; i++) {
        struct connection *connection = &proxy->connections[i];

        if (connection->used) {
            continue;
        }
        *connection = (struct connection){.used = true, .sides = {in, out}};
        if (!start_pump(proxy, connection, 0)) {
            connection->used = false;
            break;
        }
        if (!start_pump(proxy, connection, 1)) {
            (void)shutdown(in, SHUT_RDWR); /* the other one closes */
        }
        return;
    }
    (void)close(in);
    (void)close(out);
}

static int connect_target(struct demo_proxy *proxy)
{
    struct sockaddr_in address;
    int fd;
    int port;

    (void)pthread_mutex_lock(&proxy->lock);
    while ((proxy->target == 0 || proxy->cut) && !proxy->ending) {
        (void)pthread_cond_wait(&proxy->changed, &proxy->lock);
    }
    port = proxy->target;
    (void)pthread_mutex_unlock(&proxy->lock);
    address = loopback(port);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)(const void *)&address,
                           sizeof(address)) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static void *run_acceptor(void *arg)
{
    struct demo_proxy *proxy = arg;

    for (;;) {
        int in = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
        int out;

        if (in < 0 && (errno == EINTR || errno == ECONNABORTED)) {
            continue;
        }
        if (in < 0) {
            break; /* shut down: the end */
        }
        out = connect_target(proxy);
        if (out < 0) {
            (void)close(in);
            continue;
        }
        (void)pthread_mutex_lock(&proxy->lock);
        add_connection(proxy, in, out);
        (void)pthread_mutex_unlock(&proxy->lock);
    }
    leave(proxy, NULL);
    return NULL;
}

/* ---- the proxy ----------------------------------------------------------- */

static int listen_anywhere(int *ret_port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 ||
        bind(fd, (const struct sockaddr *)(const void *)&address, len) != 0 ||
        listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&address, &len) != 0) {
        (void)cli_fail("cannot listen on 127.0.0.1: %s", strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

struct demo_proxy *demo_proxy_start(int *ret_port)
{
    struct demo_proxy *proxy = calloc(1, sizeof(*proxy));
    pthread_t thread;

    if (proxy == NULL) {
        (void)cli_fail("out of memory");
        return NULL;
    }
    (void)pthread_mutex_init(&proxy->lock, NULL);
    (void)pthread_cond_init(&proxy->changed, NULL);
    proxy->listener = listen_anywhere(ret_port);
    proxy->threads = 1;
    if (proxy->listener < 0 ||
        pthread_create(&thread, NULL, run_acceptor, proxy) != 0) {
        proxy->threads = 0;
        demo_proxy_end(proxy);
        return NULL;
    }
    (void)pthread_detach(thread);
    return proxy;
}

void demo_proxy_aim(struct demo_proxy *proxy, int port)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->target = port;
    (void)pthread_cond_broadcast(&proxy->changed);
    (void)pthread_mutex_unlock(&proxy->lock);
}

void demo_proxy_cut(struct demo_proxy *proxy, bool cut)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->cut = cut;
    (void)pthread_cond_broadcast(&proxy->changed);
    (void)pthread_mutex_unlock(&proxy->lock);
}

void demo_proxy_end(struct demo_proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->ending = true;
    (void)pthread_cond_broadcast(&proxy->changed);
    (void)shutdown(proxy->listener, SHUT_RDWR);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (proxy->connections[i].used) {
            (void)shutdown(proxy->connections[i].sides[0], SHUT_RDWR);
            (void)shutdown(proxy->connections[i].sides[1], SHUT_RDWR);
        }
    }
    while (proxy->threads > 0) {
        (void)pthread_cond_wait(&proxy->changed, &proxy->lock);
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    if (proxy->listener >= 0) {
        (void)close(proxy->listener);
    }
    (void)pthread_cond_destroy(&proxy->changed);
    (void)pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}
