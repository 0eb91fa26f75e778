# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets.  To override: CC, CFLAGS, BUILD, SAN, WERROR=1,
# PREFIX, DESTDIR, V=1.

VERSION := 0.1.0
SOVER   := 0

CC      ?= cc
BUILD   ?= build/debug
CFLAGS  ?= -O2 -g
SAN     ?=
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
Q       := $(if $(V),,@)

DEPS     := libevent_core libevent_pthreads libssl libcrypto libsodium libprotobuf-c
CLI_DEPS := jansson inih
# Intel's Multi-Buffer library, where there is one: see node/tls_aes.h.
IPSEC_MB := $(shell $(CC) -fsyntax-only -include intel-ipsec-mb.h -xc /dev/null 2>/dev/null && echo yes)
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wundef -Wvla -Wswitch-enum -Wformat=2 \
        -Wpointer-arith -Wcast-align -Wwrite-strings $(if $(WERROR),-Werror)
CPPFLAGS_ALL = -D_GNU_SOURCE -DHT_VERSION='"$(VERSION)"' -Iinclude -I. \
        -isystem $(BUILD) -isystem build/deps/include $(if $(IPSEC_MB),-DHTI_WITH_IPSEC_MB) $(shell pkg-config --cflags $(DEPS) $(CLI_DEPS) 2>/dev/null)
BASE  = -std=c17 -fPIC -fvisibility=hidden -pthread -MMD -MP $(CPPFLAGS_ALL) \
        $(SAN) $(CFLAGS)
LIBS  = $(shell pkg-config --libs $(DEPS) 2>/dev/null) $(if $(IPSEC_MB),-lIPSec_MB) -pthread -lm
CLI_LIBS = $(shell pkg-config --libs $(CLI_DEPS) 2>/dev/null) -ldl

# The layers, lowest first.
LAYERS := base actor proto typed session cluster node

PROTOS   := proto/hardtack_wire.proto proto/admin/admin.proto include/hardtack/hardtack.proto
PB_LIB   := $(BUILD)/proto/hardtack_wire.pb-c.c $(BUILD)/proto/admin/admin.pb-c.c $(BUILD)/hardtack/hardtack.pb-c.c
PB_EX    := $(patsubst %.proto,$(BUILD)/%.pb-c.c,$(wildcard examples/*/*.proto bench/*.proto tests/*/*.proto))
PB_GW    := $(BUILD)/proto/gateway.pb-c.c $(BUILD)/proto/dashboard.pb-c.c $(BUILD)/hardtack/client.pb-c.c
PB_KV    := $(BUILD)/hardtack/kv.pb-c.c $(BUILD)/kv/command.pb-c.c $(BUILD)/kv/ask.pb-c.c
PB_RAFT  := $(BUILD)/hardtack/raft.pb-c.c
PB_ALL   := $(PB_LIB) $(PB_EX) $(PB_GW) $(PB_KV) $(PB_RAFT)
LIB_SRCS := $(foreach d,$(LAYERS),$(wildcard $(d)/*.c))
LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/%.o) $(PB_LIB:.c=.o)
LIB_A    := $(BUILD)/libhardtack.a
LIB_SO   := $(BUILD)/libhardtack.so.$(VERSION)

# JSON by a service's description, the picture of a cluster: for the program and
# the gateway.
JSON_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard json/*.c survey/*.c))

# The gateway is a library of its own.  Its shared object has its own copies of
# what libhardtack does not export.
GW_DEPS := jansson zlib
GW_LIBS  = $(shell pkg-config --libs $(GW_DEPS) 2>/dev/null) -lwslay -lhttp_parser
GW_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard gateway/*.c)) $(JSON_OBJS) $(PB_GW:.c=.o)
GW_MORE := $(patsubst %,$(BUILD)/%.o,base/mem base/table base/utf8 proto/arena proto/pb proto/admin/admin.pb-c)
GW_A    := $(BUILD)/libhardtack-gateway.a
GW_SO   := $(BUILD)/libhardtack-gateway.so.$(VERSION)

# So is replicated state.  libraft is one object inside of it.
RAFT_DEPS := zlib jansson
RAFT_LIBS  = $(shell pkg-config --libs $(RAFT_DEPS) 2>/dev/null)
RAFT_LIB  := build/deps/lib/libraft.o
RAFT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard raft/*.c kv/*.c)) $(PB_RAFT:.c=.o) $(PB_KV:.c=.o) \
             $(BUILD)/hardtack/client.pb-c.o $(BUILD)/json/base64.o
RAFT_MORE := $(patsubst %,$(BUILD)/%.o,base/mem base/table base/utf8 proto/arena proto/pb)
RAFT_A    := $(BUILD)/libhardtack-raft.a
RAFT_SO   := $(BUILD)/libhardtack-raft.so.$(VERSION)

CLI_SRCS := $(wildcard cli/*.c)
CLI_OBJS := $(CLI_SRCS:%.c=$(BUILD)/%.o) $(JSON_OBJS) $(PB_KV:.c=.o)
CLI_BIN  := $(BUILD)/bin/hardtack

# The chat is one plugin of many files, and its programs.
CHAT_PARTS := $(filter-out %_plugin.c examples/chat/chat-%.c,$(wildcard examples/chat/*.c))
CHAT_OBJS  := $(CHAT_PARTS:%.c=$(BUILD)/%.o)
CHAT_BINS  := $(patsubst %.c,$(BUILD)/%,$(wildcard examples/chat/chat-*.c))
CHAT_TERM  := $(BUILD)/examples/chat/chat-term

# One program a file in examples/*/; shared objects are *_plugin.c.
EX_SRCS    := $(filter-out %_plugin.c $(CHAT_PARTS),$(wildcard examples/*/*.c))
EX_BINS    := $(EX_SRCS:%.c=$(BUILD)/%)
PLUGINS    := $(patsubst %.c,$(BUILD)/%.so,$(wildcard examples/*/*_plugin.c tests/system/*_plugin.c))
BENCH_BINS := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/*.c))

TEST_LIB  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/lib/*.c))
TEST_SRCS := $(wildcard tests/*/test_*.c)
TESTS     := $(TEST_SRCS:%.c=$(BUILD)/%)
CXX_TESTS := $(patsubst %.cc,$(BUILD)/%,$(wildcard tests/*/test_*.cc))
SH_TESTS  := $(patsubst %.sh,$(BUILD)/%,$(wildcard tests/*/test_*.sh))
TOOLS     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/interop/cpeer.c tests/system/peer_*.c))
FUZZERS   := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FILES      = $(shell git ls-files '*.[ch]' '*.cc')

all: $(LIB_A) $(LIB_SO) $(GW_A) $(GW_SO) $(RAFT_A) $(RAFT_SO) $(CLI_BIN) $(EX_BINS) $(CHAT_TERM) $(PLUGINS) ## build library, program and examples
	@:

tests: all $(TESTS) $(CXX_TESTS) $(SH_TESTS) $(TOOLS) ## build the tests
	@:

test: setup ## install what is needed, build, run the tests
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) tests
	$(Q)scripts/run-tests $(BUILD) $(patsubst $(BUILD)/%,%,$(TESTS) $(CXX_TESTS) $(SH_TESTS))

demo: setup ## install what is needed, build, show three nodes at work
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)$(CLI_BIN) demo

demo-kv: setup ## the same: a replicated store, its leader killed and cut off
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)$(CLI_BIN) demo kv

chat: setup ## the chat server on three nodes, and its address
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)examples/chat/run --build $(BUILD)

check: lint ## everything that a change must pass, short of the long suites
	$(Q)$(MAKE) --no-print-directory test WERROR=1
	$(Q)$(MAKE) --no-print-directory symbols
	$(Q)$(MAKE) --no-print-directory asan tsan

setup:
	$(Q)scripts/setup

asan: ## the tests under address, leak and undefined sanitizers
	$(Q)$(MAKE) --no-print-directory test BUILD=build/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" SAN="-fsanitize=address,undefined -fno-sanitize-recover=all"

tsan: ## the tests under the thread sanitizer
	$(Q)$(MAKE) --no-print-directory test BUILD=build/tsan CFLAGS="-O1 -g" SAN="-fsanitize=thread"

fuzz: ## a fixed number of runs of every fuzzer
	$(Q)scripts/fuzz

interop: ## against real ractor_cluster nodes (needs cargo)
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(BUILD)/tests/interop/cpeer
	$(Q)tests/interop/build-peers || [ $$? -eq 77 ]
	$(Q)tests/interop/run.py --build $(BUILD)

bench: ## measure, beside the raw ceiling of the same run
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(BENCH_BINS)
	$(Q)bench/run --build $(BUILD)
	$(Q)bench/run-kv --build $(BUILD)

format: ## rewrite the sources in place
	$(Q)clang-format -i $(FILES)

lint: ## formatting and static analysis
	$(Q)scripts/lint

symbols: $(LIB_SO) $(LIB_A) $(GW_SO) $(GW_A) $(RAFT_SO) $(RAFT_A) ## only ht_ symbols are exported
	$(Q)! nm -D --defined-only $(LIB_SO) $(GW_SO) $(RAFT_SO) | awk 'NF == 3 && $$2 != "A" {print $$3}' | sed 's/@.*//' | grep -v '^ht_'
	$(Q)! nm -g --defined-only $(LIB_A) | awk 'NF == 3 {print $$3}' | grep -v -e '^hti\?_' -e '^hardtack__'
	$(Q)! nm -g --defined-only $(GW_A) | awk 'NF == 3 {print $$3}' | grep -v -e '^hti\?_' -e '^gw_' -e '^hardtack__'
	$(Q)! nm -g --defined-only $(RAFT_A) | awk 'NF == 3 {print $$3}' | grep -v -e '^hti\?_' -e '^hardtack__' -e '^raft_'
	$(Q)! nm -D --undefined-only $(GW_SO) $(RAFT_SO) | awk '{print $$2}' | grep -e '^hti_' -e '^gw_' -e '^raft_'

install: all ## into DESTDIR/PREFIX
	$(Q)PREFIX=$(PREFIX) LIBDIR=$(LIBDIR) VERSION=$(VERSION) SOVER=$(SOVER) BUILD=$(BUILD) IPSEC_MB=$(IPSEC_MB) scripts/install

clean: ## remove build/
	$(Q)rm -rf build

help: ## this list
	$(Q)sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

# ---- rules -------------------------------------------------------------------

$(LIB_A): $(LIB_OBJS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(LIB_SO): $(LIB_OBJS) node/libhardtack.map
	$(Q)$(CC) -shared $(SAN) $(LDFLAGS) -Wl,-soname,libhardtack.so.$(SOVER) \
		-Wl,--version-script=node/libhardtack.map -o $@ $(LIB_OBJS) $(LIBS)
	$(Q)ln -sf $(@F) $(BUILD)/libhardtack.so.$(SOVER)
	$(Q)ln -sf $(@F) $(BUILD)/libhardtack.so

$(GW_A): $(GW_OBJS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(GW_SO): $(GW_OBJS) $(GW_MORE) $(LIB_SO) node/libhardtack.map
	$(Q)$(CC) -shared $(SAN) $(LDFLAGS) -Wl,-soname,libhardtack-gateway.so.$(SOVER) \
		-Wl,--version-script=node/libhardtack.map -o $@ $(GW_OBJS) $(GW_MORE) $(LIB_SO) $(GW_LIBS) $(LIBS)
	$(Q)ln -sf $(@F) $(BUILD)/libhardtack-gateway.so.$(SOVER)
	$(Q)ln -sf $(@F) $(BUILD)/libhardtack-gateway.so

$(RAFT_LIB):
	$(Q)scripts/setup-raft

$(RAFT_A): $(RAFT_OBJS) $(RAFT_LIB)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(RAFT_SO): $(RAFT_OBJS) $(RAFT_LIB) $(RAFT_MORE) $(LIB_SO) node/libhardtack.map
	$(Q)$(CC) -shared $(SAN) $(LDFLAGS) -Wl,-soname,libhardtack-raft.so.$(SOVER) \
		-Wl,--version-script=node/libhardtack.map -o $@ $(RAFT_OBJS) $(RAFT_LIB) $(RAFT_MORE) $(LIB_SO) $(RAFT_LIBS) $(LIBS)
	$(Q)ln -sf $(@F) $(BUILD)/libhardtack-raft.so.$(SOVER)
	$(Q)ln -sf $(@F) $(BUILD)/libhardtack-raft.so

# The program exports the library to its plugins.
$(CLI_BIN): $(CLI_OBJS) $(GW_A) $(RAFT_A) $(LIB_A)
	$(Q)mkdir -p $(@D) && $(CC) $(SAN) $(LDFLAGS) -rdynamic -Wl,--dynamic-list=node/libhardtack.list \
		-o $@ $(filter %.o,$^) $(GW_A) $(RAFT_A) -Wl,--whole-archive $(LIB_A) -Wl,--no-whole-archive $(CLI_LIBS) $(GW_LIBS) $(LIBS)

.SECONDEXPANSION:
# The objects of a folder's .proto files, and of its sources that are no tests.
folder_protos  = $(patsubst %.proto,$(BUILD)/%.pb-c.o,$(wildcard $(1)*.proto))
folder_sources = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(1)test_%,$(wildcard $(1)*.c)))
# An example links every .proto of its folder.
$(filter-out $(CHAT_BINS),$(EX_BINS)): $(BUILD)/%: $(BUILD)/%.o $$(call folder_protos,$$(dir $$*)) $(LIB_A)
	$(Q)$(CC) $(SAN) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter $(RAFT_A),$^) $(LIB_A) $(if $(filter $(RAFT_A),$^),$(RAFT_LIBS)) $(LIBS)

$(filter $(BUILD)/examples/kv/%,$(EX_BINS)): $(RAFT_A)

$(BUILD)/examples/rust-peer/call_rust: $(BUILD)/examples/calculator/calculator.pb-c.o

$(BUILD)/examples/chat/chat_plugin.so: $(CHAT_OBJS)
$(BUILD)/examples/chat/chat_plugin.so: PLUGIN_LIBS = $(shell pkg-config --libs jansson libsodium)

$(CHAT_TERM): $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/chat/term/*.c)) $(BUILD)/examples/chat/chat.pb-c.o $(BUILD)/proto/gateway.pb-c.o $(LIB_A)
	$(Q)$(CC) $(SAN) $(LDFLAGS) -o $@ $^ -lwslay -ledit $(LIBS)

$(CHAT_BINS): $(BUILD)/%: $(BUILD)/%.o $(CHAT_OBJS) $$(call folder_protos,$$(dir $$*)) $(GW_A) $(LIB_A)
	$(Q)$(CC) $(SAN) $(LDFLAGS) -o $@ $(filter %.o,$^) $(GW_A) $(LIB_A) $(GW_LIBS) $(LIBS)

# Without the library: the program that loads them exports it.
$(PLUGINS): $(BUILD)/%.so: $(BUILD)/%.o $$(call folder_protos,$$(dir $$*))
	$(Q)$(CC) -shared $(SAN) $(LDFLAGS) -o $@ $^ $(PLUGIN_LIBS)

$(BENCH_BINS): $(BUILD)/%: $(BUILD)/%.o $(filter $(BUILD)/bench/%,$(PB_EX:.c=.o)) $(LIB_A)
	$(Q)$(CC) $(SAN) $(LDFLAGS) -o $@ $(filter-out $(GW_A) $(RAFT_A) $(LIB_A),$^) $(filter $(GW_A) $(RAFT_A),$^) $(LIB_A) $(if $(filter $(GW_A),$^),$(GW_LIBS)) $(if $(filter $(RAFT_A),$^),$(RAFT_LIBS)) $(LIBS)

$(BUILD)/bench/gateway $(BUILD)/bench/gateway_tls: $(GW_A)
$(BUILD)/bench/kv: $(PB_KV:.c=.o)
$(BUILD)/bench/raftlog: $(RAFT_A)

# A test links what else its folder holds.
$(TESTS): $(BUILD)/%: $(BUILD)/%.o $(TEST_LIB) $$(call folder_sources,$$(dir $$*)) $$(call folder_protos,$$(dir $$*)) $$(call folder_protos,examples/calculator/) $(LIB_A)
	$(Q)$(CC) $(SAN) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter $(GW_A) $(RAFT_A),$^) $(LIB_A) -lcmocka $(CLI_LIBS) $(GW_LIBS) $(RAFT_LIBS) $(LIBS)

# The program's parts, without its main.
$(filter $(BUILD)/tests/cli/%,$(TESTS)): $(filter-out %/main.o,$(CLI_OBJS))

# The gateway's parts.
$(filter $(BUILD)/tests/cli/% $(BUILD)/tests/gateway/% $(BUILD)/tests/survey/%,$(TESTS)): $(GW_A)

$(filter $(BUILD)/tests/cli/% $(BUILD)/tests/raft/% $(BUILD)/tests/kv/% $(BUILD)/tests/sim/%,$(TESTS)): $(RAFT_A)

# The chat's parts.
$(filter $(BUILD)/tests/chat/%,$(TESTS)): $(CHAT_OBJS) $(BUILD)/examples/chat/chat.pb-c.o $(BUILD)/examples/chat/world.pb-c.o $(GW_A)

$(CXX_TESTS): $(BUILD)/%: %.cc $(LIB_A)
	$(Q)mkdir -p $(@D) && $(CXX) -std=c++17 -Wall -Wextra -Wpedantic $(CPPFLAGS_ALL) $(SAN) $(CFLAGS) -MMD -MP -o $@ $< $(LIB_A) $(LIBS)

$(TOOLS): $(BUILD)/%: $(BUILD)/%.o $(PB_KV:.c=.o) $(LIB_A)
	$(Q)$(CC) $(SAN) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB_A) $(CLI_LIBS) $(LIBS)

# The interoperability peer is all of its folder.
$(BUILD)/tests/interop/cpeer: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/interop/*.c)) $(BUILD)/examples/calculator/calculator.pb-c.o

$(SH_TESTS): $(BUILD)/%: %.sh
	$(Q)mkdir -p $(@D) && ln -sf $(abspath $<) $@

# Their names map to exported ones, so that no program needs its own copy.
$(BUILD)/hardtack/%.pb-c.c: include/hardtack/%.proto scripts/public-proto
	$(Q)mkdir -p $(BUILD) && protoc-c -Iinclude --c_out=$(BUILD) hardtack/$*.proto
	$(Q)scripts/public-proto $(BUILD)/hardtack/$*.pb-c.h

$(BUILD)/%.pb-c.c: %.proto
	$(Q)mkdir -p $(BUILD) && protoc-c -I. -Iinclude --c_out=$(BUILD) $<

$(BUILD)/kv/command.pb-c.o $(BUILD)/kv/ask.pb-c.o: $(BUILD)/hardtack/kv.pb-c.c

$(BUILD)/%.pb-c.h: $(BUILD)/%.pb-c.c ;

$(BUILD)/%.pb-c.o: $(BUILD)/%.pb-c.c $(BUILD)/hardtack/hardtack.pb-c.c
	$(Q)$(CC) $(BASE) -w -c $< -o $@

# Built into it.
$(BUILD)/gateway/dashboard_files.o: $(wildcard gateway/dashboard/*)

$(BUILD)/%.o: %.c | $(PB_ALL) $(RAFT_LIB)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE) $(WARN) -I$(BUILD)/$(dir $*) -c $< -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all tests test chat demo demo-kv check setup asan tsan fuzz interop bench format lint symbols install clean help
.SECONDARY:
