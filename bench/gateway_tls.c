/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_tls.c - what an idle WebSocket over TLS costs a node, beside what
 * OpenSSL alone takes for a connection.
 *
 *   gateway_tls CLIENTS CERTIFICATE KEY   bytes_client: resident, of the node
 *                                         openssl_bytes: of one SSL object and
 *                                         all that it holds, after a handshake
 *
 * The clients are another process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hardtack.h>
#include <hardtack/gateway.h>

#define COOKIE "5f1d0c7f3b0f4e0ca1f0b6d2f4f6b0c8a9e3d7c1"

static void die(const char *what)
{
    fprintf(stderr, "gateway_tls: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- OpenSSL alone ------------------------------------------------------- */

/* What the server's side of a connection holds, while it is counted. */
static bool counting;
static long held;

struct block {
    size_t size;
    size_t counted;
};

static void *count_malloc(size_t size, const char *file, int line)
{
    struct block *block = malloc(sizeof(*block) + size);

    (void)file;
    (void)line;
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.size = size, .counted = counting};
    held += counting ? (long)size : 0;
    return block + 1;
}

static void count_free(void *at, const char *file, int line)
{
    struct block *block = (struct block *)at - 1;

    (void)file;
    (void)line;
    if (at != NULL) {
        held -= block->counted ? (long)block->size : 0;
        free(block);
    }
}

static void *count_realloc(void *at, size_t size, const char *file, int line)
{
    void *grown = count_malloc(size, file, line);

    if (grown != NULL && at != NULL) {
        size_t old = ((struct block *)at - 1)->size;

        memcpy(grown, at, old < size ? old : size);
        count_free(at, file, line);
    }
    return grown;
}

static void step(SSL *ssl, bool counted)
{
    char byte;

    counting = counted;
    if (SSL_do_handshake(ssl) == 1) {
        (void)SSL_read(ssl, &byte, 1);
    }
    counting = false;
}

static SSL_CTX *server_context(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL ||
        SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "gateway_tls: %s, %s: no certificate\n", certificate,
                key);
        exit(1);
    }
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

/* The second handshake is counted: the first fills what all share. */
static long openssl_bytes(const char *certificate, const char *key)
{
    SSL_CTX *here = server_context(certificate, key);
    SSL_CTX *there = SSL_CTX_new(TLS_client_method());

    for (int i = 0; i < 2; i++) {
        BIO *a = NULL, *b = NULL;
        SSL *client = SSL_new(there), *server;

        counting = true;
        server = SSL_new(here);
        counting = false;
        if (client == NULL || server == NULL ||
            BIO_new_bio_pair(&a, 65536, &b, 65536) != 1) {
            die("SSL_new");
        }
        SSL_set_bio(server, a, a);
        SSL_set_bio(client, b, b);
        SSL_set_accept_state(server);
        SSL_set_connect_state(client);
        for (int turn = 0; turn < 4; turn++) {
            step(client, false);
            step(server, true);
        }
        if (!SSL_is_init_finished(server)) {
            die("handshake");
        }
        if (i == 1) {
            break; /* held is what this one has */
        }
        SSL_free(server);
        SSL_free(client);
        held = 0;
    }
    return held;
}

/* ---- the clients --------------------------------------------------------- */

static void read_until(SSL *ssl, const char *what)
{
    char text[2048];
    size_t len = 0;

    while (memmem(text, len, what, strlen(what)) == NULL) {
        int n = SSL_read(ssl, text + len, (int)(sizeof(text) - len));

        if (n <= 0) {
            die("a client was closed");
        }
        len += (size_t)n;
    }
}

static void connect_one(SSL_CTX *context, int port)
{
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    static const char hello[] = "\x81\x90\0\0\0\0{\"type\":\"hello\"}";
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(context);

    if (fd < 0 || ssl == NULL ||
        connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
        SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1 ||
        SSL_write(ssl, request, sizeof(request) - 1) <= 0) {
        die("connect");
    }
    read_until(ssl, "\r\n\r\n");
    if (SSL_write(ssl, hello, sizeof(hello) - 1) <= 0) {
        die("hello");
    }
    read_until(ssl, "\"welcome\"");
}

/* Tells when all are connected, and keeps them until it is told. */
static void run_clients(size_t count, int port_fd, int ready_fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int port = 0;
    char byte = 0;

    if (read(port_fd, &port, sizeof(port)) != sizeof(port)) {
        exit(0);
    }
    for (size_t i = 0; i < count; i++) {
        connect_one(context, port);
    }
    if (write(ready_fd, &byte, 1) != 1 || read(port_fd, &byte, 1) < 0) {
        exit(1);
    }
    _exit(0);
}

/* ---- the node ------------------------------------------------------------ */

static long resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1) {
        die("statm");
    }
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void must(ht_err err, const char *what)
{
    if (err != HT_OK) {
        fprintf(stderr, "gateway_tls: %s: %s %s %s\n", what, ht_strerror(err),
                ht_start_error(), ht_gateway_start_error());
        exit(1);
    }
}

static long node_bytes(size_t count,
                       const char *certificate,
                       const char *key,
                       int port_fd,
                       int ready_fd)
{
    ht_config config = {.name = "bench",
                        .hostname = "localhost",
                        .cookie = COOKIE,
                        .fast_kdf = true,
                        .threads = 1};
    ht_gateway_config web = {.address = "127.0.0.1",
                             .port = HT_PORT_ANY,
                             .certificate = certificate,
                             .private_key = key,
                             .connections_per_address_max = 1u << 20};
    ht_gateway *gateway = NULL;
    ht_node *node = NULL;
    long before, after;
    char byte;
    int port;

    must(ht_node_start(&config, &node), "node");
    must(ht_gateway_start(node, &web, &gateway), "gateway");
    before = resident();
    port = ht_gateway_port(gateway);
    if (write(port_fd, &port, sizeof(port)) != sizeof(port) ||
        read(ready_fd, &byte, 1) != 1) {
        fprintf(stderr, "gateway_tls: the clients gave up\n");
        exit(1);
    }
    after = resident();
    if (write(port_fd, "", 1) != 1) {
        die("write");
    }
    ht_gateway_free(gateway);
    ht_node_free(node);
    return (after - before) / (long)count;
}

int main(int argc, char **argv)
{
    size_t count = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
    int down[2], up[2];
    struct rlimit limit;
    pid_t pid;

    if (argc == 4 && strcmp(argv[1], "alone") == 0) {
        CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
        printf("openssl_bytes=%ld\n", openssl_bytes(argv[2], argv[3]));
        return 0;
    }
    if (count == 0) {
        fprintf(stderr, "usage: gateway_tls CLIENTS CERTIFICATE KEY\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (pipe(down) < 0 || pipe(up) < 0) {
        die("pipe");
    }
    pid = fork();
    if (pid == 0) {
        close(down[1]);
        close(up[0]);
        run_clients(count, down[0], up[1]);
    }
    close(up[1]);
    printf("bytes_client=%ld ",
           node_bytes(count, argv[2], argv[3], down[1], up[0]));
    (void)fflush(stdout);
    (void)waitpid(pid, NULL, 0);
    /* In a process of its own: the functions that count stay for good. */
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", argv[0], "alone", argv[2], argv[3], NULL);
        _exit(1);
    }
    (void)waitpid(pid, NULL, 0);
    return 0;
}
