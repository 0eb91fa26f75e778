/* SPDX-License-Identifier: Apache-2.0 */
/* Members on real nodes, links and disks. */
#include <hardtack/args.h>

#include "hardtack/raft.pb-c.h"
#include "tests/raft/fixture.h"

static struct log log_ = LOG_INIT;

static void start_node(struct member *m, const char *name)
{
    ht_config config = node_config(name, HT_ENCRYPT_NONE, &log_);

    memset(m, 0, sizeof(*m));
    snprintf(m->name, sizeof(m->name), "%s@localhost", name);
    m->node = node_start(&config);
    m->dir = temp_dir();
}

static void stop_member(struct member *m)
{
    ht_raft_free(m->raft);
    m->raft = NULL;
}

static void end(struct member *m)
{
    stop_member(m);
    ht_node_free(m->node);
    remove_dir(m->dir);
}

/* A group of one: it commits, and what it committed is there again. */
static void test_one(void **state)
{
    struct member m;
    ht_raft_config config;
    ht_raft_check check;

    (void)state;
    start_node(&m, "one");
    config = member_config(m.dir, true);
    member_start(&m, &config);
    WAIT_FOR(atomic_load(&m.machine.leads));
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(member_do(&m, "hello"), i);
    }
    assert_int_equal(member_read(&m), 100);
    stop_member(&m);
    CHECK_OK(ht_raft_verify(m.dir, &check));
    CHECK(check.entries >= 101 && check.first_index == 1);

    memset(&m.machine, 0, sizeof(m.machine));
    member_start(&m, &config);
    WAIT_FOR(atomic_load(&m.machine.leads));
    assert_int_equal(member_read(&m), 100);
    assert_int_equal(member_do(&m, "more"), 101);
    end(&m);
    log_fini(&log_);
}

/* A change that has to wait is asked for again. */
static void service(struct member *m,
                    const char *method,
                    ProtobufCMessage *in,
                    ht_err want,
                    const char *reason)
{
    uint64_t until = clock_ms() + PATIENCE_MS;
    ht_args args = HT_ARGS_INIT;
    ht_reply reply = {0};
    bool busy;
    ht_err err;

    ht_args_message(&args, in);
    CHECK_OK(args.err);
    do {
        ht_reply_fini(&reply);
        err = ht_call_wait(m->node, ht_raft_ref(m->raft), method, args.data,
                           args.len, PATIENCE_MS, &reply);
        busy = want == HT_OK && strncmp(reply.reason, "HT_EBUSY", 8) == 0;
    } while (busy && clock_ms() < until);
    if (err != want || strstr(reply.reason, reason) == NULL) {
        print_error("%s (want %s %s): %s, \"%s\"\n", method, ht_errname(want),
                    reason, ht_errname(err), reply.reason);
        fail();
    }
    ht_args_fini(&args);
    ht_reply_fini(&reply);
}

static void add(struct member *at, const char *node)
{
    Hardtack__Raft__AddRequest in = HARDTACK__RAFT__ADD_REQUEST__INIT;

    in.node = (char *)(uintptr_t)node;
    service(at, "RaftAdd", &in.base, HT_OK, "");
}

static struct member *find_leader(struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].raft != NULL && atomic_load(&members[i].machine.leads)) {
            return &members[i];
        }
    }
    return NULL;
}

static struct member *leader_of(struct member *members, size_t count)
{
    struct member *leader = NULL;

    WAIT_FOR((leader = find_leader(members, count)) != NULL);
    return leader;
}

static void start_three(struct member members[3])
{
    static const char *const names[] = {"a", "b", "c"};
    char address[64];

    for (size_t i = 0; i < 3; i++) {
        ht_raft_config config;

        start_node(&members[i], names[i]);
        for (size_t j = 0; j < i; j++) {
            CHECK_OK(ht_client_connect(
                members[i].node, node_address(members[j].node, address), NULL));
        }
        config = member_config(members[i].dir, i == 0);
        member_start(&members[i], &config);
    }
    WAIT_FOR(atomic_load(&members[0].machine.leads));
    add(&members[0], members[1].name);
    add(&members[0], members[2].name);
}

static void test_three(void **state)
{
    struct member members[3];
    struct member *leader;
    ht_raft_config config;
    uint64_t count = 0;

    (void)state;
    start_three(members);
    for (int i = 0; i < 100; i++) {
        count = member_do(&members[0], "x");
        assert_int_equal(count, i + 1);
    }
    WAIT_FOR(atomic_load(&members[1].machine.applied) == 100 &&
             atomic_load(&members[2].machine.applied) == 100);
    CHECK(members[0].machine.hash == members[1].machine.hash);

    /* The leader is gone: another leads, with all that was done. */
    stop_member(&members[0]);
    leader = leader_of(members, 3);
    assert_int_equal(member_read(leader), 100);
    assert_int_equal(member_do(leader, "y"), 101);

    /* And it comes back. */
    memset(&members[0].machine, 0, sizeof(members[0].machine));
    config = member_config(members[0].dir, false);
    member_start(&members[0], &config);
    WAIT_FOR(atomic_load(&members[0].machine.applied) == 101);
    CHECK(member_status(leader).members_count == 3);
    for (size_t i = 0; i < 3; i++) {
        end(&members[i]);
    }
    log_fini(&log_);
}

static void node_request(struct member *at,
                         const char *method,
                         const char *node,
                         ht_err want,
                         const char *reason)
{
    Hardtack__Raft__NodeRequest in = HARDTACK__RAFT__NODE_REQUEST__INIT;

    in.node = (char *)(uintptr_t)node;
    service(at, method, &in.base, want, reason);
}

static void restart_empty(struct member *m)
{
    ht_raft_config config;

    stop_member(m);
    remove_dir(m->dir);
    m->dir = temp_dir();
    memset(&m->machine, 0, sizeof(m->machine));
    m->machine.padding = 3000000;
    config = member_config(m->dir, false);
    config.trailing_entries = 1;
    member_start(m, &config);
}

/* Asked of any member: the lead handed over, a member taken out and replaced by
 * one with an empty disk, which is sent the snapshot; a leader that leaves. */
static void test_changes(void **state)
{
    struct member members[3];
    struct member *leader;
    Hardtack__Empty empty = HARDTACK__EMPTY__INIT;
    Hardtack__Raft__AddRequest again = HARDTACK__RAFT__ADD_REQUEST__INIT;

    (void)state;
    start_three(members);
    for (size_t i = 0; i < 3; i++) {
        members[i].machine.padding = 3000000;
    }
    node_request(&members[2], "RaftTransfer", members[1].name, HT_OK, "");
    WAIT_FOR(atomic_load(&members[1].machine.leads));
    node_request(&members[0], "RaftRemove", "nobody@nowhere", HT_EFAILED,
                 "HT_ENOENT");
    again.node = members[0].name;
    service(&members[0], "RaftAdd", &again.base, HT_EFAILED, "HT_EEXIST");

    node_request(&members[0], "RaftRemove", members[2].name, HT_OK, "");
    for (int i = 0; i < 50; i++) {
        CHECK(member_do(&members[1], "z") != 0);
    }
    for (size_t i = 0; i < 2; i++) {
        WAIT_FOR(atomic_load(&members[i].machine.applied) == 50);
        service(&members[i], "RaftSnapshot", &empty.base, HT_OK, "");
        WAIT_FOR(member_status(&members[i]).snapshot_index > 50);
    }
    restart_empty(&members[2]);
    add(&members[0], members[2].name);
    WAIT_FOR(atomic_load(&members[2].machine.applied) == 50);
    CHECK(members[2].machine.hash == members[1].machine.hash);

    node_request(&members[0], "RaftRemove", members[1].name, HT_OK, "");
    WAIT_FOR(!atomic_load(&members[1].machine.leads));
    leader = leader_of(members, 3);
    CHECK(leader != &members[1]);
    assert_int_equal(member_do(leader, "z"), 51);
    for (size_t i = 0; i < 3; i++) {
        end(&members[i]);
    }
    log_fini(&log_);
}

/* A backup of a running member becomes a new group. */
static void test_backup(void **state)
{
    struct member m;
    ht_raft_config config;
    ht_raft_check check;
    Hardtack__Empty empty = HARDTACK__EMPTY__INIT;
    char *dir = temp_dir();
    char *file = temp_path(dir, "backup");
    char *other = temp_path(dir, "restored");

    (void)state;
    start_node(&m, "one");
    config = member_config(m.dir, true);
    member_start(&m, &config);
    WAIT_FOR(atomic_load(&m.machine.leads));
    for (int i = 0; i < 20; i++) {
        CHECK(member_do(&m, "saved") != 0);
    }
    CHECK_ERR(ht_raft_backup(m.dir, file), HT_ENOENT);
    service(&m, "RaftSnapshot", &empty.base, HT_OK, "");
    CHECK_OK(ht_raft_backup(m.dir, file));
    CHECK_ERR(ht_raft_backup(m.dir, file), HT_EEXIST);
    CHECK_ERR(ht_raft_verify(m.dir, &check), HT_EEXIST);
    CHECK(member_do(&m, "not saved") == 21);
    stop_member(&m);

    CHECK_ERR(ht_raft_restore_backup(file, m.dir, m.name), HT_EEXIST);
    CHECK_OK(ht_raft_restore_backup(file, other, m.name));
    CHECK_OK(ht_raft_verify(other, &check));
    CHECK(check.snapshot_index > 20 && check.entries == 0);
    memset(&m.machine, 0, sizeof(m.machine));
    config = member_config(other, false);
    member_start(&m, &config);
    WAIT_FOR(atomic_load(&m.machine.leads));
    assert_int_equal(member_read(&m), 20);
    assert_int_equal(member_do(&m, "goes on"), 21);
    stop_member(&m);
    remove_dir(other);
    (void)unlink(file);
    free(file);
    end(&m);
    remove_dir(dir);
    log_fini(&log_);
}

/* What is wrong with a start is said. */
static void test_refused(void **state)
{
    struct member m;
    ht_raft_config config;
    ht_raft *second = NULL;
    struct machine other = {0};
    char *path;
    int fd;

    (void)state;
    start_node(&m, "one");
    config = member_config(m.dir, true);
    config.group = "a b";
    CHECK_ERR(
        ht_raft_start(m.node, &config, &machine_table, &m.machine, &m.raft),
        HT_EINVAL);
    CHECK(strstr(ht_raft_start_error(), "group") != NULL);
    config = member_config(m.dir, true);
    config.election_ms = 30;
    CHECK_ERR(
        ht_raft_start(m.node, &config, &machine_table, &m.machine, &m.raft),
        HT_ECONFIG);
    CHECK(strstr(ht_raft_start_error(), "election_ms") != NULL);
    config = member_config(m.dir, true);
    member_start(&m, &config);
    CHECK_ERR(ht_raft_start(m.node, &config, &machine_table, &other, &second),
              HT_EEXIST);
    CHECK(strstr(ht_raft_start_error(), "in use") != NULL);
    WAIT_FOR(atomic_load(&m.machine.leads));
    CHECK(member_do(&m, "x") == 1 && member_do(&m, "y") == 2);
    stop_member(&m);

    path = temp_path(m.dir, "log-0000000000000001");
    fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pwrite(fd, "!", 1, 100) == 1);
    close(fd);
    free(path);
    memset(&m.machine, 0, sizeof(m.machine));
    CHECK_ERR(
        ht_raft_start(m.node, &config, &machine_table, &m.machine, &m.raft),
        HT_ECORRUPT);
    CHECK(strstr(ht_raft_start_error(), "offset") != NULL);
    m.raft = NULL;
    end(&m);
    log_fini(&log_);
}

/* What is kept for slow members is bounded by its bytes too. */
static void test_large_commands_do_not_stay(void **state)
{
    char *text = calloc(1, 16385);
    ht_raft_config config;
    struct member m;

    (void)state;
    memset(text, 'x', 16384);
    start_node(&m, "one");
    config = member_config(m.dir, true);
    config.snapshot_after_bytes = 128u << 10;
    member_start(&m, &config);
    WAIT_FOR(atomic_load(&m.machine.leads));
    for (int i = 0; i < 50; i++) {
        CHECK(member_do(&m, text) > 0);
    }
    WAIT_FOR(member_do(&m, "x") > 0 && member_status(&m).first_index > 20);
    end(&m);
    free(text);
    log_fini(&log_);
}

static ht_err apply_fails(void *machine,
                          uint64_t index,
                          uint64_t time_ms,
                          ht_bytes command,
                          ht_bytes *ret_result)
{
    (void)machine;
    (void)index;
    (void)time_ms;
    (void)command;
    (void)ret_result;
    return HT_EFAILED;
}

/* It is freed while its supervisor starts it again and again. */
static void test_freed_while_it_fails(void **state)
{
    ht_raft_machine table = machine_table;

    (void)state;
    table.apply = apply_fails;
    for (int i = 0; i < 10; i++) {
        struct member m;
        ht_raft_config config;

        start_node(&m, "one");
        config = member_config(m.dir, true);
        CHECK_OK(ht_raft_start(m.node, &config, &table, &m.machine, &m.raft));
        WAIT_FOR(atomic_load(&m.machine.leads));
        (void)!ht_cast(m.node, ht_raft_ref(m.raft), "Do", "x", 1);
        WAIT_FOR(!atomic_load(&m.machine.leads));
        end(&m);
    }
    log_fini(&log_);
}

CHECK_MAIN(cmocka_unit_test(test_one),
           cmocka_unit_test(test_three),
           cmocka_unit_test(test_large_commands_do_not_stay),
           cmocka_unit_test(test_freed_while_it_fails),
           cmocka_unit_test(test_changes),
           cmocka_unit_test(test_backup),
           cmocka_unit_test(test_refused))
