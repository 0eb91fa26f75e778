/* SPDX-License-Identifier: Apache-2.0 */
/* start.c - a node as a daemon: from options to SIGTERM.
 *
 * Signals are blocked in every thread and taken by the main one, so that no
 * handler runs anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <hardtack/gateway.h>
#include <hardtack/kv.h>

#include "cli/cli.h"
#include "cli/config.h"
#include "cli/log.h"
#include "cli/plugins.h"
#include "cli/reload.h"
#include "cli/start_options.h"

struct daemon {
    struct start_options options;
    struct config config;
    struct logger logger;
    struct plugins plugins;
    ht_node *node;
    ht_gateway *gateway; /* NULL: none */
    ht_kv *kv;           /* NULL: no member of a store */
    char socket[300];    /* the admin socket, "" if none */
};

/* ---- the admin socket ---------------------------------------------------- */

/* Somebody accepts there. */
static bool socket_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers;

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    answers = connect(fd, (const struct sockaddr *)(const void *)&address,
                      sizeof(address)) == 0;
    (void)close(fd);
    return answers;
}

/* Where to put the admin socket; "" if nowhere.  The usual place is taken only
 * if it is free, so that a second node on a machine starts without being told
 * about the first; a place that was asked for is taken or fails. */
static void choose_socket(struct daemon *daemon)
{
    const char *asked = daemon->config.admin_socket;
    char directory[300];
    char *slash;

    daemon->socket[0] = '\0';
    if (asked != NULL) {
        if (strcmp(asked, "none") != 0) {
            (void)cli_absolute(asked, daemon->socket, sizeof(daemon->socket));
        }
        return;
    }
    (void)cli_default_socket(daemon->socket, sizeof(daemon->socket));
    snprintf(directory, sizeof(directory), "%s", daemon->socket);
    slash = strrchr(directory, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (access(directory, W_OK) != 0) {
        logger_line(&daemon->logger, HT_LOG_WARN, "HT-ADMIN-NONE",
                    "directory=%s text=\"no admin socket: the directory cannot "
                    "be written; --socket PATH names another\"",
                    directory);
        daemon->socket[0] = '\0';
    } else if (socket_answers(daemon->socket)) {
        logger_line(&daemon->logger, HT_LOG_WARN, "HT-ADMIN-NONE",
                    "path=%s text=\"no admin socket: another node has it; "
                    "--socket PATH names another\"",
                    daemon->socket);
        daemon->socket[0] = '\0';
    }
}

static ht_err add_admin_listener(struct daemon *daemon,
                                 char error[CONFIG_ERROR_MAX])
{
    struct config *config = &daemon->config;
    struct config_listener *listener;
    char address[320];

    choose_socket(daemon);
    if (daemon->socket[0] == '\0') {
        return HT_OK;
    }
    snprintf(address, sizeof(address), "unix:%s", daemon->socket);
    listener = config_add_listener(config);
    if (listener == NULL) {
        snprintf(error, CONFIG_ERROR_MAX, "too many listeners");
        return HT_ECONFIG;
    }
    listener->head.label = "admin socket";
    listener->set.address = config_string(config, address);
    listener->set.admin = true;
    return config_finish(config, error);
}

/* ---- telling that it is ready -------------------------------------------- */

/* Written beside it and renamed, so that whoever waits for it never reads half
 * of it. */
static int write_port_file(const struct daemon *daemon)
{
    const char *path = daemon->options.port_file;
    char beside[4096];
    FILE *file;
    int failed;

    if (path == NULL) {
        return EXIT_OK;
    }
    snprintf(beside, sizeof(beside), "%s.%ld", path, (long)getpid());
    file = fopen(beside, "we");
    if (file == NULL) {
        return cli_fail("cannot write the port file %s: %s", beside,
                        strerror(errno));
    }
    failed = fprintf(file, "%d\n", ht_node_port(daemon->node)) < 0;
    failed |= fclose(file) != 0;
    if (failed || rename(beside, path) != 0) {
        (void)unlink(beside);
        return cli_fail("cannot write the port file %s: %s", path,
                        strerror(errno));
    }
    return EXIT_OK;
}

static void tell_ready(struct daemon *daemon)
{
    const char *name = ht_node_name(daemon->node);
    int port = ht_node_port(daemon->node);
    int fd = daemon->options.ready_fd;
    char gateway[32] = "";

    if (daemon->gateway != NULL) {
        (void)snprintf(gateway, sizeof(gateway), " gateway=%d",
                       ht_gateway_port(daemon->gateway));
    }
    logger_line(&daemon->logger, HT_LOG_INFO, "HT-NODE-READY",
                "name=%s port=%d%s%s%s", name, port,
                daemon->socket[0] != '\0' ? " socket=" : "", daemon->socket,
                gateway);
    if (fd >= 0) {
        if (dprintf(fd, "ready name=%s port=%d%s\n", name, port, gateway) < 0) {
            logger_line(&daemon->logger, HT_LOG_WARN, "HT-NODE-READY-FD",
                        "fd=%d err=\"%s\"", fd, strerror(errno));
        }
        (void)close(fd);
    }
}

/* ---- running ------------------------------------------------------------- */

static void signals_of_interest(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
}

/* Its keys and its certificate, from the files that it started with. */
static void reload_gateway(struct daemon *daemon)
{
    ht_err err = ht_gateway_reload(daemon->gateway);
    char quoted[512];

    if (err != HT_OK) {
        logger_line(
            &daemon->logger, HT_LOG_ERROR, "HT-GATEWAY-RELOAD-FAILED",
            "err=\"%s\" text=%s", ht_strerror(err),
            logger_quote(quoted, sizeof(quoted), ht_gateway_start_error()));
    }
}

static void on_hup(struct daemon *daemon)
{
    struct config after;
    char error[CONFIG_ERROR_MAX];
    char quoted[CONFIG_ERROR_MAX + 16];
    ht_err err = start_config(&daemon->options, &after, error);

    if (err != HT_OK) {
        logger_line(&daemon->logger, HT_LOG_ERROR, "HT-NODE-RELOAD-FAILED",
                    "text=%s", logger_quote(quoted, sizeof(quoted), error));
        return;
    }
    /* The admin socket is ours, not the file's: keep it out of the comparison
     * by giving the new one the same. */
    if (daemon->socket[0] != '\0') {
        struct config_listener *listener = config_add_listener(&after);
        size_t last = daemon->config.listeners_count - 1;

        if (listener != NULL) {
            *listener = daemon->config.listeners[last];
            listener->set.address =
                config_string(&after, listener->set.address);
        }
    }
    if (daemon->gateway != NULL) {
        reload_gateway(daemon);
    }
    reload(daemon->node, &daemon->logger, &daemon->config, &after);
}

/* Until SIGTERM or SIGINT. */
static void wait_for_end(struct daemon *daemon)
{
    sigset_t set;
    int number = 0;

    signals_of_interest(&set);
    for (;;) {
        if (sigwait(&set, &number) != 0) {
            continue;
        }
        if (number != SIGHUP) {
            break;
        }
        on_hup(daemon);
    }
    logger_line(&daemon->logger, HT_LOG_INFO, "HT-NODE-STOPPING", "signal=%s",
                number == SIGINT ? "SIGINT" : "SIGTERM");
}

/* Draining blocks the main thread: the second signal is taken here. */
static void *second_signal(void *arg)
{
    struct daemon *daemon = arg;
    sigset_t set;
    int number = 0;

    signals_of_interest(&set);
    do {
        (void)sigwait(&set, &number);
    } while (number == SIGHUP);
    logger_line(&daemon->logger, HT_LOG_WARN, "HT-NODE-ABORTED",
                "text=\"a second signal: not waiting for the drain\"");
    if (daemon->options.port_file != NULL) {
        (void)unlink(daemon->options.port_file);
    }
    if (daemon->socket[0] != '\0') {
        (void)unlink(daemon->socket);
    }
    _exit(EXIT_FAILED);
}

static void drain(struct daemon *daemon)
{
    pthread_t thread;
    ht_err err;

    if (pthread_create(&thread, NULL, second_signal, daemon) == 0) {
        (void)pthread_detach(thread);
    }
    if (daemon->gateway != NULL) {
        ht_gateway_drain(daemon->gateway, 0);
    }
    /* Its members talk to each other all the time: nothing would run empty. */
    ht_kv_free(daemon->kv);
    daemon->kv = NULL;
    err = ht_node_drain(daemon->node, 0);
    logger_line(&daemon->logger, err == HT_OK ? HT_LOG_INFO : HT_LOG_WARN,
                "HT-NODE-DRAINED", "err=%s", ht_errname(err));
}

static int start_kv(struct daemon *daemon)
{
    const ht_kv_config *config = &daemon->config.kv;
    const char *words;
    ht_err err;

    if (config->directory == NULL) {
        return EXIT_OK;
    }
    err = ht_kv_start(daemon->node, config, &daemon->kv);
    if (err == HT_OK) {
        return EXIT_OK;
    }
    words = ht_raft_start_error();
    return cli_fail("the store in %s does not start: %s", config->directory,
                    words[0] != '\0' ? words : ht_strerror(err));
}

/* After the plugins: clients find the actors that they come for. */
static int start_gateway(struct daemon *daemon)
{
    const ht_gateway_config *config = &daemon->config.gateway;
    const char *words;
    ht_err err;

    if (config->port == 0) {
        return EXIT_OK;
    }
    err = ht_gateway_start(daemon->node, config, &daemon->gateway);
    if (err == HT_OK) {
        return EXIT_OK;
    }
    words = ht_gateway_start_error();
    return cli_fail("the gateway does not start: %s",
                    words[0] != '\0' ? words : ht_strerror(err));
}

static int start_node(struct daemon *daemon)
{
    char error[CONFIG_ERROR_MAX] = "";
    ht_err err = add_admin_listener(daemon, error);

    if (err != HT_OK) {
        return cli_fail("%s", error);
    }
    daemon->config.node.log = logger_write;
    daemon->config.node.log_arg = &daemon->logger;
    if (plugins_load(&daemon->plugins, &daemon->config, error) != HT_OK) {
        return cli_fail("%s", error);
    }
    {
        /* The logger filters, so that SIGHUP can change the level. */
        ht_config node = daemon->config.node;

        node.log_level = HT_LOG_DEBUG;
        err = ht_node_start(&node, &daemon->node);
    }
    if (err != HT_OK) {
        const char *words = ht_start_error();
        return cli_fail("the node does not start: %s",
                        words[0] != '\0' ? words : ht_strerror(err));
    }
    /* Before the plugins, which may use it. */
    if (start_kv(daemon) != EXIT_OK) {
        return EXIT_FAILED;
    }
    err = plugins_start(&daemon->plugins, &daemon->config, daemon->node,
                        &daemon->logger, error);
    return err == HT_OK ? start_gateway(daemon) : cli_fail("%s", error);
}

int cmd_start(int argc, char **argv)
{
    /* Static: a megabyte less on the stack, and the second signal's thread may
     * outlive this function's return. */
    static struct daemon daemon;
    char error[CONFIG_ERROR_MAX] = "";
    sigset_t set;
    ht_err err;
    int code;

    daemon.options.ready_fd = -1;
    if (argp_parse(&start_argp, argc, argv, 0, NULL, &daemon.options) != 0) {
        return EXIT_USAGE;
    }
    err = start_config(&daemon.options, &daemon.config, error);
    if (err != HT_OK) {
        return cli_fail("%s", error);
    }
    logger_init(&daemon.logger, daemon.config.node.log_level,
                daemon.config.log_format);
    signals_of_interest(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    code = start_node(&daemon);
    if (code == EXIT_OK) {
        code = write_port_file(&daemon);
    }
    if (code == EXIT_OK) {
        tell_ready(&daemon);
        wait_for_end(&daemon);
        drain(&daemon);
    }
    ht_gateway_free(daemon.gateway);
    ht_kv_free(daemon.kv);
    ht_node_free(daemon.node);
    plugins_stop(&daemon.plugins);
    if (code == EXIT_OK && daemon.options.port_file != NULL) {
        (void)unlink(daemon.options.port_file);
    }
    if (code == EXIT_OK) {
        logger_line(&daemon.logger, HT_LOG_INFO, "HT-NODE-STOPPED", "%s", "");
    }
    config_fini(&daemon.config);
    return code;
}
