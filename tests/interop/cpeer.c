/* SPDX-License-Identifier: Apache-2.0 */
/* cpeer - the peer of the interoperability tests on Hardtack: the same program
 * as peer/ is on ractor_cluster.  README.md describes its commands and options.
 * It ends when its standard input does. */
#include <hardtack.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/interop/console.h"
#include "tests/interop/report.h"

#define DIAL_MAX         16
#define OUTBOX_BYTES_MAX (128u << 20)

struct options {
    ht_config config;
    ht_listener_config listener;
    const char *cookie;
    bool tls_mutual;
    char *dial[DIAL_MAX];
    size_t dial_count;
};

static bool set_option(struct options *o, const char *name, char *value)
{
    if (strcmp(name, "--name") == 0) {
        o->config.name = value;
    } else if (strcmp(name, "--hostname") == 0) {
        o->config.hostname = value;
    } else if (strcmp(name, "--port") == 0) {
        o->listener.port = atoi(value) ? atoi(value) : HT_PORT_ANY;
    } else if (strcmp(name, "--cookie") == 0) {
        o->cookie = value;
    } else if (strcmp(name, "--listen") == 0) {
        o->listener.address = value;
    } else if (strcmp(name, "--mode") == 0) {
        o->config.transitive = strcmp(value, "transitive") == 0;
    } else if (strcmp(name, "--dial") == 0 && o->dial_count < DIAL_MAX) {
        o->dial[o->dial_count++] = value;
    } else if (strcmp(name, "--tls-cert") == 0) {
        o->config.tls_cert_file = value;
    } else if (strcmp(name, "--tls-key") == 0) {
        o->config.tls_key_file = value;
    } else if (strcmp(name, "--tls-ca") == 0) {
        o->config.tls_ca_file = value;
    } else {
        return false;
    }
    return true;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--tls-mutual") == 0) {
            o->tls_mutual = true;
        } else if (i + 1 >= argc || !set_option(o, argv[i], argv[i + 1])) {
            fprintf(stderr, "cpeer: bad option %s\n", argv[i]);
            return false;
        } else {
            i++;
        }
    }
    return true;
}

/* What a node has to allow so that ractor peers come in. */
static void configure(struct options *o)
{
    bool tls = o->config.tls_cert_file != NULL;

    o->listener.encryption =
        HT_ENCRYPT_BIT(tls ? HT_ENCRYPT_TLS : HT_ENCRYPT_NONE);
    o->listener.peers = HT_PEERS_ANY;
    o->listener.client_cert =
        o->tls_mutual ? HT_CLIENT_CERT_REQUIRED : HT_CLIENT_CERT_OPTIONAL;
    o->config.listeners = &o->listener;
    o->config.listeners_count = 1;
    o->config.peers = HT_PEERS_ANY;
    o->config.encryption = tls ? HT_ENCRYPT_TLS : HT_ENCRYPT_NONE;
    o->config.ractor_cookie = o->cookie;
    o->config.cookie = o->cookie;
    o->config.weak_cookie = true;
    o->config.fast_kdf = true;
    o->config.threads = 2;
    o->config.pool_threads = 8; /* each dial holds one while it lasts */
    o->config.outbox_bytes_max = OUTBOX_BYTES_MAX;
}

int main(int argc, char **argv)
{
    struct options o = {
        .config = {.name = "peer", .hostname = "localhost"},
        .listener = {.port = HT_PORT_ANY},
        .cookie = "cookie",
    };
    struct console_opts console = {0};
    ht_node *node = NULL;
    ht_err err;

    if (!parse_options(argc, argv, &o)) {
        return 2;
    }
    configure(&o);
    console.dial = o.dial;
    console.dial_count = o.dial_count;
    err = ht_node_start(&o.config, &node);
    if (!err) {
        err = spawn_console(node, &console);
    }
    if (!err) {
        /* Who is told the port may dial it: the console must be watching. */
        report(json_pack("{s:s, s:s, s:i, s:s}", "ev", "listening", "kind", "c",
                         "port", ht_node_port(node), "name",
                         ht_node_name(node)));
        err = ht_node_run(node);
    }
    if (err) {
        fprintf(stderr, "cpeer: %s: %s\n", ht_strerror(err), ht_start_error());
    }
    ht_node_free(node);
    return err != HT_OK;
}
