/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dialer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/conn.h"

/* Of one name; the rest is not tried. */
#define ADDRESSES_MAX 16

struct hti_dialer {
    struct hti_task task;
    struct hti_server *server;
    struct hti_loop *loop;
    TAILQ_ENTRY(hti_dialer) entry;
    struct hti_io io;
    struct hti_timer timer;
    struct hti_lookup *lookup;
    uint64_t id;
    uint64_t deadline_ms;
    int fd;
    bool cancelled;
    bool listed; /* among the loop's residents */
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    socklen_t lens[ADDRESSES_MAX];
    unsigned at, count;
    struct hti_address address;
    struct hti_target target; /* strings are ours */
    ht_err err;               /* of the last address tried */
    char why[200];
    char *text, *name, *server_name;
};

#define DIALER_OF(ptr, member)                                                 \
    ((struct hti_dialer *)(void *)((char *)(ptr)-offsetof(struct hti_dialer,   \
                                                          member)))

static void try_next(struct hti_dialer *d);

/* False: no memory. */
static bool copy(const char *text, char **ret_copy)
{
    size_t len = text == NULL ? 0 : strlen(text) + 1;

    if (text == NULL) {
        return true;
    }
    *ret_copy = hti_alloc(len);
    if (*ret_copy == NULL) {
        return false;
    }
    memcpy(*ret_copy, text, len);
    return true;
}

static void target_free(struct hti_dialer *d)
{
    hti_free(d->text);
    hti_free(d->name);
    hti_free(d->server_name);
}

static void dialer_free(struct hti_dialer *d)
{
    struct hti_server *server = d->server;

    hti_io_fini(&d->io);
    if (d->fd >= 0) {
        close(d->fd);
    }
    if (d->listed) {
        hti_timer_detach(&d->loop->timers, &d->timer);
        TAILQ_REMOVE(&hti_server_residents(server, d->loop)->dialers, d, entry);
    }
    target_free(d);
    hti_free(d);
    hti_server_leave(server);
}

static void fail(struct hti_dialer *d, ht_err err, const char *text)
{
    hti_cluster_dial_failed(d->server->cluster, d->id, err, text);
    dialer_free(d);
}

struct hti_dialer *hti_dialer_next(struct hti_dialer *dialer)
{
    return TAILQ_NEXT(dialer, entry);
}

void hti_dialer_cancel(struct hti_dialer *d)
{
    if (d->lookup != NULL && !hti_lookup_cancel(d->lookup)) {
        d->cancelled = true; /* looked_up() is on its way and ends it */
        return;
    }
    fail(d, HT_ECLOSED, "node is stopping");
}

/* ---- one address -------------------------------------------------------- */

static void drop_socket(struct hti_dialer *d)
{
    hti_io_fini(&d->io);
    if (d->fd >= 0) {
        close(d->fd);
        d->fd = -1;
    }
    hti_timer_unset(&d->loop->timers, &d->timer);
}

static void address_failed(struct hti_dialer *d, ht_err err, const char *text)
{
    char where[HTI_ADDRESS_TEXT_MAX];

    if (d->address.is_unix) {
        snprintf(where, sizeof(where), "%s", d->target.address);
    } else {
        hti_sockaddr_format(&d->addresses[d->at], where, sizeof(where));
    }
    snprintf(d->why, sizeof(d->why), "%.100s: %.90s", where, text);
    d->err = err;
    drop_socket(d);
    d->at++;
    try_next(d);
}

/* With nobody listening, a connect to a port of our own ephemeral range can
 * meet itself (simultaneous open): that is a refusal. */
static bool is_itself(int fd)
{
    struct sockaddr_storage here, there;
    socklen_t here_len = sizeof(here), there_len = sizeof(there);

    memset(&here, 0, sizeof(here));
    memset(&there, 0, sizeof(there));
    return getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 &&
           here.ss_family != AF_UNIX && here_len == there_len &&
           memcmp(&here, &there, here_len) == 0;
}

static void connected(struct hti_dialer *d)
{
    struct hti_conn_params params = {
        .fd = d->fd,
        .initiator = true,
        .dial_id = d->id,
        .address = d->target.address,
        .encryption = HT_ENCRYPT_BIT(d->target.encryption),
        .any_peer = d->target.any_peer,
        .is_unix = d->address.is_unix,
        .admin = d->target.admin && d->address.is_unix,
        .server_name = d->target.server_name,
        .host = d->address.is_unix ? NULL : d->address.host,
    };
    ht_err err;

    hti_io_fini(&d->io);
    err = hti_conn_open(d->server, d->loop, &params);
    if (err != HT_OK) {
        fail(d, err, ht_strerror(err));
        return;
    }
    d->fd = -1;
    dialer_free(d);
}

static void on_ready(struct hti_io *io, int events)
{
    struct hti_dialer *d = DIALER_OF(io, io);
    socklen_t len = sizeof(int);
    int error = 0;

    (void)events;
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        error = errno;
    }
    if (error == 0 && is_itself(d->fd)) {
        error = ECONNREFUSED;
    }
    if (error != 0) {
        address_failed(d, HT_ENOCONN, strerror(error));
        return;
    }
    connected(d);
}

static void on_timer(struct hti_timer *timer, uint64_t now_ms)
{
    struct hti_dialer *d = DIALER_OF(timer, timer);

    (void)now_ms;
    if (d->lookup != NULL) {
        if (hti_lookup_cancel(d->lookup)) {
            fail(d, HT_ETIMEDOUT, "looking up the host name took too long");
        }
        return;
    }
    address_failed(d, HT_ETIMEDOUT, "no answer in time");
}

/* An even share of what is left of the time. */
static uint64_t address_deadline(const struct hti_dialer *d)
{
    uint64_t now = d->loop->now_ms;
    uint64_t left = d->deadline_ms > now ? d->deadline_ms - now : 0;

    return now + left / (d->count - d->at);
}

static void try_address(struct hti_dialer *d)
{
    const struct sockaddr_storage *address = &d->addresses[d->at];
    int rc;

    d->fd = socket(address->ss_family,
                   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0) {
        address_failed(d, HT_ENOCONN, strerror(errno));
        return;
    }
    rc = connect(d->fd, (const struct sockaddr *)address, d->lens[d->at]);
    /* EAGAIN: a Unix socket whose backlog is full; try again later. */
    if (rc < 0 && errno != EINPROGRESS) {
        address_failed(d, HT_ENOCONN, strerror(errno));
        return;
    }
    hti_io_init(&d->io, d->loop, d->fd, on_ready);
    if (hti_io_set(&d->io, HT_WRITE) != HT_OK) {
        address_failed(d, HT_ENOMEM, ht_strerror(HT_ENOMEM));
        return;
    }
    hti_timer_set(&d->loop->timers, &d->timer, address_deadline(d));
}

static void try_next(struct hti_dialer *d)
{
    if (d->at == d->count) {
        fail(d, d->err, d->why);
        return;
    }
    try_address(d);
}

/* ---- addresses of a name ------------------------------------------------ */

static void add_address(struct hti_dialer *d, const void *address, size_t len)
{
    if (d->count < ADDRESSES_MAX && len <= sizeof(d->addresses[0])) {
        memcpy(&d->addresses[d->count], address, len);
        d->lens[d->count++] = (socklen_t)len;
    }
}

static void looked_up(void *arg, const struct addrinfo *found, int gai_error)
{
    struct hti_dialer *d = arg;
    char why[160];

    d->lookup = NULL;
    if (d->cancelled) {
        fail(d, HT_ECLOSED, "node is stopping");
        return;
    }
    for (; found != NULL; found = found->ai_next) {
        add_address(d, found->ai_addr, found->ai_addrlen);
    }
    if (d->count == 0) {
        snprintf(why, sizeof(why), "%.100s: %.50s", d->address.host,
                 gai_error == 0 ? "no address" : gai_strerror(gai_error));
        fail(d, HT_ERESOLVE, why);
        return;
    }
    try_next(d);
}

static bool add_literal(struct hti_dialer *d)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, d->address.host, &in.sin_addr) == 1) {
        in.sin_port = htons((uint16_t)d->address.port);
        add_address(d, &in, sizeof(in));
        return true;
    }
    if (inet_pton(AF_INET6, d->address.host, &in6.sin6_addr) == 1) {
        in6.sin6_port = htons((uint16_t)d->address.port);
        add_address(d, &in6, sizeof(in6));
        return true;
    }
    return false;
}

static void begin(struct hti_task *task)
{
    struct hti_dialer *d = DIALER_OF(task, task);
    const char *why = "";
    ht_err err;

    if (hti_timer_attach(&d->loop->timers, &d->timer, on_timer) != HT_OK) {
        fail(d, HT_ENOMEM, ht_strerror(HT_ENOMEM));
        return;
    }
    TAILQ_INSERT_TAIL(&hti_server_residents(d->server, d->loop)->dialers, d,
                      entry);
    d->listed = true;
    if (atomic_load(&d->server->closing)) {
        fail(d, HT_ECLOSED, "node is stopping");
        return;
    }
    d->deadline_ms =
        d->loop->now_ms + d->server->settings->c.connect_timeout_ms;
    err = hti_address_parse(d->target.address, &d->address, &why);
    if (err != HT_OK) {
        fail(d, err, why);
        return;
    }
    if (d->address.is_unix) {
        add_address(d, &d->address.path, sizeof(d->address.path));
        try_next(d);
        return;
    }
    if (add_literal(d)) {
        try_next(d);
        return;
    }
    err = hti_lookup_start(d->server->resolver, d->loop, d->address.host,
                           d->address.port, looked_up, d, &d->lookup);
    if (err != HT_OK) {
        fail(d, err, "cannot look up the host name now");
        return;
    }
    hti_timer_set(&d->loop->timers, &d->timer, d->deadline_ms);
}

/* ---- from the cluster --------------------------------------------------- */

/* There was no memory to dial.  It is not to be told from inside, so the round
 * tells it; one that no longer fits in the list is told when a later one is
 * begun. */
static void undialled_add(struct hti_server *server, uint64_t id)
{
    if (server->undialled_count == HTI_UNDIALLED_MAX) {
        hti_dialer_tell_undialled(server);
    }
    server->undialled[server->undialled_count++] = id;
}

void hti_dialer_tell_undialled(struct hti_server *server)
{
    while (server->undialled_count > 0) {
        uint64_t id = server->undialled[--server->undialled_count];

        hti_cluster_dial_failed(server->cluster, id, HT_ENOMEM,
                                ht_strerror(HT_ENOMEM));
    }
}

void hti_dialer_start(void *arg, uint64_t id, const struct hti_target *t)
{
    struct hti_server *server = arg;
    struct hti_dialer *d = hti_zalloc(sizeof(*d));

    if (d == NULL || !copy(t->address, &d->text) || !copy(t->name, &d->name) ||
        !copy(t->server_name, &d->server_name)) {
        if (d != NULL) {
            target_free(d);
        }
        hti_free(d);
        undialled_add(server, id);
        return;
    }
    hti_server_lodge(server);
    d->server = server;
    d->loop = hti_server_next_loop(server);
    d->fd = -1;
    d->id = id;
    d->task.run = begin;
    d->target = *t;
    d->err = HT_ENOCONN;
    d->target.address = d->text;
    d->target.name = d->name;
    d->target.server_name = d->server_name;
    if (d->target.encryption == HT_ENCRYPT_DEFAULT) {
        d->target.encryption = server->settings->c.encryption;
    }
    hti_loop_post(d->loop, &d->task);
}
