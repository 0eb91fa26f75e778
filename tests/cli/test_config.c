/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: every setting, and every kind of mistake. */
#include "tests/lib/check.h"

#include "cli/config.h"

static struct config parse_ok(const char *text)
{
    struct config config;
    char error[CONFIG_ERROR_MAX];

    config_init(&config);
    if (config_parse(&config, "t.conf", text, strlen(text), error) != HT_OK) {
        fail_msg("%s", error);
    }
    return config;
}

static void parse_fails(const char *text, const char *want)
{
    struct config config;
    char error[CONFIG_ERROR_MAX];
    ht_err err;

    config_init(&config);
    err = config_parse(&config, "t.conf", text, strlen(text), error);
    if (err == HT_OK) {
        err = config_finish(&config, error);
    }
    CHECK_ERR(err, HT_ECONFIG);
    assert_string_equal(error, want);
    config_fini(&config);
}

static void test_every_node_setting(void **state)
{
    struct config c = parse_ok("[node]\n"
                               "name = a\n"
                               "hostname=h.example\n"
                               "port = 4697\n"
                               "advertise = h.example:1\n"
                               "transitive = yes\n"
                               "threads = 2\n"
                               "pool_threads = 3\n"
                               "spin = off\n"
                               "admin_socket = /run/x.sock\n");

    (void)state;
    assert_string_equal(c.node.name, "a");
    assert_string_equal(c.node.hostname, "h.example");
    CHECK(c.node.port == 4697 && c.node.transitive);
    assert_string_equal(c.node.advertise, "h.example:1");
    CHECK(c.node.threads == 2 && c.node.pool_threads == 3);
    CHECK(c.node.spin_us == HT_INFINITE);
    assert_string_equal(c.admin_socket, "/run/x.sock");
    config_fini(&c);
}

static void test_every_security_setting(void **state)
{
    struct config c = parse_ok("[security]\n"
                               "cookie_file = c\n"
                               "cookie_env = E\n"
                               "ractor_cookie_file = r\n"
                               "cluster = k\n"
                               "weak_cookie = true\n"
                               "encryption = tls\n"
                               "peers = any\n"
                               "tls_cert_file = cert\n"
                               "tls_key_file = key\n"
                               "tls_ca_file = ca\n");

    (void)state;
    assert_string_equal(c.node.cookie_file, "c");
    assert_string_equal(c.node.cookie_env, "E");
    assert_string_equal(c.node.ractor_cookie_file, "r");
    assert_string_equal(c.node.cluster, "k");
    CHECK(c.node.weak_cookie && c.node.encryption == HT_ENCRYPT_TLS);
    CHECK(c.node.peers == HT_PEERS_ANY);
    assert_string_equal(c.node.tls_cert_file, "cert");
    assert_string_equal(c.node.tls_key_file, "key");
    assert_string_equal(c.node.tls_ca_file, "ca");
    config_fini(&c);
}

static void test_every_limit(void **state)
{
    struct config c = parse_ok("[limits]\n"
                               "connect_timeout = 1s\n"
                               "handshake_timeout = 2s\n"
                               "heartbeat = 300ms\n"
                               "silence = 4 s\n"
                               "redial_min = 50ms\n"
                               "redial_max = 1m\n"
                               "drain = 1h\n"
                               "mailbox_messages = 8\n"
                               "mailbox_bytes = 9KiB\n"
                               "outbox_bytes = 10M\n"
                               "calls = 11\n"
                               "pending = 12\n"
                               "pending_per_address = 13\n"
                               "frame_bytes = 1GiB\n"
                               "message_bytes = 15 B\n");

    (void)state;
    CHECK(c.node.connect_timeout_ms == 1000);
    CHECK(c.node.handshake_timeout_ms == 2000 && c.node.heartbeat_ms == 300);
    CHECK(c.node.silence_ms == 4000 && c.node.redial_min_ms == 50);
    CHECK(c.node.redial_max_ms == 60000 && c.node.drain_ms == 3600000);
    CHECK(c.node.mailbox_messages_max == 8);
    CHECK(c.node.mailbox_bytes_max == 9 * 1024);
    CHECK(c.node.outbox_bytes_max == 10u << 20 && c.node.calls_max == 11);
    CHECK(c.node.pending_max == 12 && c.node.pending_per_address_max == 13);
    CHECK(c.node.frame_bytes_max == 1u << 30);
    CHECK(c.node.message_bytes_max == 15);
    config_fini(&c);
}

static void test_sections_with_names(void **state)
{
    struct config c = parse_ok("[node]\nname = a\n"
                               "[listen one]\n"
                               "address = 127.0.0.1\n"
                               "port = any\n"
                               "encryption = cookie, tls none\n"
                               "peers = any\n"
                               "client_cert = optional\n"
                               "[ listen  two ] ; a comment\n"
                               "address = unix:/x\n"
                               "mode = 0660\n"
                               "admin = yes\n"
                               "[peer p]\n"
                               "address = h:1\n"
                               "name = b@h\n"
                               "encryption = none\n"
                               "peers = any\n"
                               "server_name = s\n"
                               "[plugin q]\n"
                               "path = ./q.so\n"
                               "args = x y\n"
                               "[log]\nlevel = warn\nformat = json\n");
    char error[CONFIG_ERROR_MAX];

    (void)state;
    CHECK_OK(config_finish(&c, error));
    CHECK(c.node.listeners_count == 2 && c.node.peers_list_count == 1);
    CHECK(c.node.listeners[0].port == HT_PORT_ANY);
    CHECK(c.node.listeners[0].encryption ==
          (HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE) | HT_ENCRYPT_BIT(HT_ENCRYPT_TLS) |
           HT_ENCRYPT_BIT(HT_ENCRYPT_NONE)));
    CHECK(c.node.listeners[0].client_cert == HT_CLIENT_CERT_OPTIONAL);
    CHECK(c.node.listeners[1].unix_mode == 0660 && c.node.listeners[1].admin);
    assert_string_equal(c.node.peers_list[0].name, "b@h");
    assert_string_equal(c.node.peers_list[0].server_name, "s");
    CHECK(c.node.peers_list[0].encryption == HT_ENCRYPT_NONE);
    CHECK(c.plugins_count == 1);
    assert_string_equal(c.plugins[0].path, "./q.so");
    assert_string_equal(c.plugins[0].args, "x y");
    CHECK(c.node.log_level == HT_LOG_WARN);
    CHECK(c.log_format == LOG_FORMAT_JSON);
    config_fini(&c);
}

static void test_layout_is_free(void **state)
{
    struct config c = parse_ok("\xef\xbb\xbf# a comment\r\n"
                               "; another\r\n"
                               "\r\n"
                               "  [node]\r\n"
                               "\tname\t=\ta ; trailing\r\n"
                               "    port: 5\n"
                               "[security]\n"
                               "[log]");

    (void)state;
    assert_string_equal(c.node.name, "a");
    CHECK(c.node.port == 5);
    config_fini(&c);
}

static void test_unknown_things(void **state)
{
    (void)state;
    parse_fails("[nodes]\n", "t.conf:1: unknown section [nodes]");
    parse_fails("\n[listne x]\n", "t.conf:2: unknown section [listne]");
    parse_fails("[node]\nnmae = x\n",
                "t.conf:2: unknown setting \"nmae\" in [node]");
    parse_fails(
        "[node]\nencryption = tls\n",
        "t.conf:2: unknown setting \"encryption\" in [node]; it belongs "
        "in [security]");
    parse_fails("name = x\n",
                "t.conf:1: setting \"name\" comes before any [section]");
    parse_fails("[security]\ncookie = x\n",
                "t.conf:2: a cookie does not belong in a configuration file; "
                "put it into a file of its own and say [security] cookie_file");
}

static void test_duplicates(void **state)
{
    (void)state;
    parse_fails("[node]\nport = 1\nport = 2\n",
                "t.conf:3: \"port\" is given twice");
    parse_fails("[node]\nport = 1\n[log]\n[node]\nport = 1\n",
                "t.conf:5: \"port\" is given twice");
    parse_fails("[peer a]\n[peer b]\n[peer a]\n",
                "t.conf:3: [peer a] is there twice");
}

static void test_bad_sections(void **state)
{
    (void)state;
    parse_fails("[peer]\n",
                "t.conf:1: [peer] needs a name of its own: [peer NAME]");
    parse_fails("[node x]\n", "t.conf:1: [node] takes no name");
    parse_fails("[node\n", "t.conf:1: \"[\" without \"]\"");
    parse_fails("[node] x\n", "t.conf:1: something follows \"]\"");
    parse_fails("[]\n", "t.conf:1: unknown section []");
}

static void test_bad_lines(void **state)
{
    char long_line[300];

    (void)state;
    parse_fails("[node]\nname\n",
                "t.conf:2: expected a setting, \"name = value\"");
    parse_fails("[node]\nname\nnope = 3\n",
                "t.conf:2: expected a setting, \"name = value\"");
    parse_fails("[node]\nnope = 3\nname\n",
                "t.conf:2: unknown setting \"nope\" in [node]");
    memset(long_line, 'x', sizeof(long_line));
    memcpy(long_line, "[node]\nname = ", 14);
    long_line[299] = '\0';
    parse_fails(long_line, "t.conf:2: line of more than 190 characters");
}

static void test_bad_values(void **state)
{
    (void)state;
    parse_fails("[node]\nport = 0\n",
                "t.conf:2: port = \"0\": expected a port, 1 to 65535, or any");
    parse_fails(
        "[node]\nport = 65536\n",
        "t.conf:2: port = \"65536\": expected a port, 1 to 65535, or any");
    parse_fails("[node]\nname =\n", "t.conf:2: name = \"\": expected a value");
    parse_fails("[node]\nthreads = -1\n",
                "t.conf:2: threads = \"-1\": expected a number above 0");
    parse_fails("[node]\nthreads = 99999999999999999999\n",
                "t.conf:2: threads = \"99999999999999999999\": expected a "
                "number above 0");
    parse_fails("[node]\ntransitive = maybe\n",
                "t.conf:2: transitive = \"maybe\": expected yes or no");
    parse_fails("[node]\nspin = 5\n",
                "t.conf:2: spin = \"5\": expected a time such as 50us or 1ms, "
                "or off");
    parse_fails("[limits]\nheartbeat = 5\n",
                "t.conf:2: heartbeat = \"5\": expected a time with its unit, "
                "such as 500ms, 5s or 2m");
    parse_fails("[limits]\nheartbeat = 0s\n",
                "t.conf:2: heartbeat = \"0s\": expected a time with its unit, "
                "such as 500ms, 5s or 2m");
    parse_fails("[limits]\nmailbox_bytes = 4GiB\n",
                "t.conf:2: mailbox_bytes = \"4GiB\": expected a size such as "
                "65536, 64KiB or 8MiB, below 4GiB");
    parse_fails("[security]\nencryption = ssl\n",
                "t.conf:2: encryption = \"ssl\": expected cookie, tls or none");
    parse_fails("[security]\npeers = all\n",
                "t.conf:2: peers = \"all\": expected hardtack or any");
    parse_fails("[listen x]\nencryption = cookie,ssl\n",
                "t.conf:2: encryption = \"cookie,ssl\": expected one or more "
                "of cookie, tls, none");
    parse_fails(
        "[listen x]\nclient_cert = no\n",
        "t.conf:2: client_cert = \"no\": expected required or optional");
    parse_fails("[listen x]\nmode = 0999\n",
                "t.conf:2: mode = \"0999\": expected permissions in octal, "
                "such as 0600");
    parse_fails("[log]\nlevel = loud\n",
                "t.conf:2: level = \"loud\": expected debug, info, warn or "
                "error");
    parse_fails("[log]\nformat = xml\n",
                "t.conf:2: format = \"xml\": expected text or json");
}

static void test_what_only_the_whole_tells(void **state)
{
    (void)state;
    parse_fails("[log]\n",
                "the node has no name: give --name, or [node] name in the "
                "configuration file");
    parse_fails("[node]\nname=a\n[listen l]\n",
                "t.conf:3: [listen l] needs a port, or an address of "
                "unix:/PATH");
    parse_fails("[node]\nname=a\n[listen l]\naddress=unix:/x\nport=1\n",
                "t.conf:3: [listen l] has a port, and a Unix socket has none");
    parse_fails("[node]\nname=a\n[listen l]\nport=1\nadmin=yes\n",
                "t.conf:3: [listen l] admin is for Unix sockets only");
    parse_fails("[node]\nname=a\n[listen l]\nport=1\nmode=0600\n",
                "t.conf:3: [listen l] mode is for Unix sockets only");
    parse_fails("[node]\nname=a\n[peer p]\nname=b@h\n",
                "t.conf:3: [peer p] needs an address");
    parse_fails("[node]\nname=a\n[plugin q]\nargs=x\n",
                "t.conf:3: [plugin q] needs a path");
}

static void test_nul_and_size(void **state)
{
    static char big[CONFIG_BYTES_MAX + 1];
    struct config config;
    char error[CONFIG_ERROR_MAX];

    (void)state;
    config_init(&config);
    CHECK_ERR(config_parse(&config, "t", "[node]\nna\0me=x\n", 15, error),
              HT_ECONFIG);
    assert_string_equal(error, "t:2: a NUL byte");
    memset(big, '\n', sizeof(big));
    CHECK_ERR(config_parse(&config, "t", big, sizeof(big), error), HT_ECONFIG);
    assert_string_equal(error, "t: larger than 1 MiB");
    CHECK_ERR(config_load(&config, "/nonexistent/x", error), HT_ENOENT);
    assert_string_equal(error,
                        "cannot read the configuration file /nonexistent/x: No "
                        "such file or directory");
    config_fini(&config);
}

static void test_options_win(void **state)
{
    struct config c = parse_ok("[node]\nname = a\nport = 1\n");
    char error[CONFIG_ERROR_MAX];

    (void)state;
    CHECK_OK(config_set(&c, "node", "port", "any", error));
    CHECK(c.node.port == HT_PORT_ANY);
    CHECK_ERR(config_set(&c, "node", "port", "x", error), HT_ECONFIG);
    config_fini(&c);
}

static void count_difference(void *arg, const char *section, const char *name)
{
    char *text = arg;
    size_t len = strlen(text);

    snprintf(text + len, 200 - len, "%s.%s ", section, name);
}

static void test_differences(void **state)
{
    struct config a =
        parse_ok("[node]\nname = a\nport = 1\n[listen l]\nport=1\n"
                 "[peer p]\naddress = x:1\n[log]\nlevel=info\n");
    struct config b =
        parse_ok("[node]\nname = a\nport = 2\n[listen m]\nport=2\n"
                 "[peer q]\naddress = x:1\n[log]\nlevel=warn\n");
    char text[200] = "";

    (void)state;
    config_differences(&a, &b, count_difference, text);
    assert_string_equal(text, "node.port log.level listen. ");
    CHECK(config_peer_equal(&a.peers[0], &b.peers[0]));
    text[0] = '\0';
    config_differences(&a, &a, count_difference, text);
    assert_string_equal(text, "");
    config_fini(&a);
    config_fini(&b);
}

/* config/hardtack.conf, as it is and with its settings taken out of their
 * comments, is a good configuration: it cannot fall behind the program. */
static void test_the_sample(void **state)
{
    const char *path = "config/hardtack.conf";
    static char text[1 << 16];
    static char bare[1 << 16];
    struct config config;
    char error[CONFIG_ERROR_MAX];
    FILE *file = fopen(path, "re");
    size_t len;
    char *to = bare;

    (void)state;
    if (file == NULL) {
        skip(); /* not run from the top of the tree */
    }
    len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    (void)fclose(file);
    config_init(&config);
    if (config_parse(&config, path, text, len, error) != HT_OK) {
        fail_msg("%s", error);
    }
    config_fini(&config);
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        bool setting = strncmp(line, "#name", 5) == 0 || line[0] != '#' ||
                       (line[1] >= 'a' && line[1] <= 'z') || line[1] == '[';

        if (setting) {
            char *from = line + (line[0] == '#');
            size_t n =
                (size_t)((end != NULL ? end + 1 : line + strlen(line)) - from);
            memcpy(to, from, n);
            to += n;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    config_init(&config);
    if (config_parse(&config, path, bare, (size_t)(to - bare), error) !=
            HT_OK ||
        config_finish(&config, error) != HT_OK) {
        fail_msg("%s", error);
    }
    CHECK(config_every_setting_given(&config));
    config_fini(&config);
}

/* ---- the gateway --------------------------------------------------------- */

static struct config finished(const char *text)
{
    struct config c = parse_ok(text);
    char error[CONFIG_ERROR_MAX] = "";

    if (config_finish(&c, error) != HT_OK) {
        fail_msg("%s", error);
    }
    return c;
}

static void test_a_gateway_and_who_may_reach_what(void **state)
{
    struct config c = finished("[node]\nname = a\n"
                               "[gateway]\n"
                               "port = 8080\n"
                               "public = calculator ,send group:jobs,\n"
                               "origins = https://x.example\n"
                               "grace = 5s\n"
                               "pages = /srv/pages\n"
                               "message_bytes = 8KiB\n"
                               "dashboard = local\n"
                               "[allow ops]\n"
                               "claim = role=ops\n"
                               "targets = hardtack.admin, group:*\n"
                               "[allow users]\n"
                               "claim = *\n"
                               "targets = chat\n");

    (void)state;
    CHECK(c.gateway.port == 8080 && c.gateway.grace_ms == 5000);
    CHECK(c.gateway.message_bytes_max == 8192);
    CHECK(c.gateway.dashboard == HT_DASHBOARD_LOCAL);
    CHECK(c.gateway.public_targets_count == 2);
    assert_string_equal(c.gateway.public_targets[0], "calculator");
    assert_string_equal(c.gateway.public_targets[1], "send group:jobs");
    CHECK(c.gateway.origins_count == 1);
    assert_string_equal(c.gateway.origins[0], "https://x.example");
    assert_string_equal(c.gateway.pages, "/srv/pages");
    CHECK(c.gateway.rules_count == 3);
    assert_string_equal(c.gateway.rules[1].claim, "role=ops");
    assert_string_equal(c.gateway.rules[1].target, "group:*");
    assert_string_equal(c.gateway.rules[2].claim, "*");
    assert_string_equal(c.gateway.rules[2].target, "chat");
    config_fini(&c);
    c = finished("[node]\nname = a\n");
    CHECK(c.gateway.port == 0 && c.gateway.rules_count == 0);
    config_fini(&c);
}

static void finish_fails(const char *text, const char *want)
{
    struct config c = parse_ok(text);
    char error[CONFIG_ERROR_MAX] = "";

    CHECK_ERR(config_finish(&c, error), HT_ECONFIG);
    if (strstr(error, want) == NULL) {
        fail_msg("\"%s\", expected \"%s\"", error, want);
    }
    config_fini(&c);
}

static void test_a_gateway_that_is_half_there(void **state)
{
    (void)state;
    finish_fails("[node]\nname = a\n[gateway]\npublic = x\n",
                 "the gateway needs a port");
    finish_fails("[node]\nname = a\n[allow x]\nclaim = *\ntargets = y\n",
                 "the gateway needs a port");
    finish_fails("[node]\nname = a\n[gateway]\nport = 1\n[allow x]\n"
                 "targets = y\n",
                 "[allow x] needs a claim and targets");
    parse_fails("[allow]\n",
                "t.conf:1: [allow] needs a name of its own: [allow NAME]");
    parse_fails("[gateway x]\n", "t.conf:1: [gateway] takes no name");
}

CHECK_MAIN(cmocka_unit_test(test_a_gateway_and_who_may_reach_what),
           cmocka_unit_test(test_a_gateway_that_is_half_there),
           cmocka_unit_test(test_every_node_setting),
           cmocka_unit_test(test_every_security_setting),
           cmocka_unit_test(test_every_limit),
           cmocka_unit_test(test_sections_with_names),
           cmocka_unit_test(test_layout_is_free),
           cmocka_unit_test(test_unknown_things),
           cmocka_unit_test(test_duplicates),
           cmocka_unit_test(test_bad_sections),
           cmocka_unit_test(test_bad_lines),
           cmocka_unit_test(test_bad_values),
           cmocka_unit_test(test_what_only_the_whole_tells),
           cmocka_unit_test(test_nul_and_size),
           cmocka_unit_test(test_options_win),
           cmocka_unit_test(test_differences),
           cmocka_unit_test(test_the_sample))
