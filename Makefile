# phial: one Makefile. `make help` says what it does.
#
# Variables: BUILD (output folder), V=1 (show commands), WERROR=1, SANITIZE=1, PREFIX,
# DESTDIR and the folders below, PHIAL_NO_INSTALL=1 (never call apt-get), SUITE (a part of
# a suite's name, for check), SECONDS (for fuzz). CFLAGS and LDFLAGS of the user come last.

VERSION    := 0.1.0
BUILD      ?= build
# One spelling of it, since dependency files name their objects by it.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
LIBDIR     ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec/phial
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
UNITDIR    ?= $(PREFIX)/lib/systemd/system
USERUNITDIR ?= $(PREFIX)/lib/systemd/user
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
# Podman and CRI-O read no other folder without being told to.
HOOKSDIR   ?= /usr/share/containers/oci/hooks.d
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config
MUSL_GCC   ?= musl-gcc
FUZZ_CC    ?= clang
JOBS       ?= $(shell nproc)
SECONDS    ?= 60
CHECK      ?= build/check
export PHIAL_NO_INSTALL
ifneq ($(V),1)
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)'
endif

# The rooms of src/ that return (docs/architecture.md); the doors that print.
ROOMS     := base crypt sealed json store audit keyring policy oci mount wire inject host
LIB_ROOMS := base crypt sealed
DOORS     := cli agent hook
PROGRAMS  := $(BUILD)/phial $(BUILD)/phiald $(BUILD)/phial-hook $(BUILD)/phial-init \
	$(BUILD)/phial-runtime
LIBRARIES := $(BUILD)/libphial.a $(BUILD)/libphial.so.0

# --- flags -------------------------------------------------------------------
probe = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo '$(1)')

WARN := -Wall -Wextra -pedantic -Wformat=2 -Wshadow -Wconversion -Wsign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wwrite-strings -Wundef \
	-Wswitch-enum -Wnull-dereference -Wimplicit-fallthrough
ifeq ($(WERROR),1)
WARN += -Werror
endif
BASE_FLAGS := -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -O2 -g -fPIC -fvisibility=hidden \
	-fno-common -fno-delete-null-pointer-checks -ffunction-sections -fdata-sections \
	-DPHIAL_VERSION='"$(VERSION)"' $(WARN)
# What --version says. Only these two objects know it, so that a commit rebuilds no more.
COMMIT := $(shell git -c safe.directory='$(CURDIR)' describe --always --dirty --abbrev=12 \
	2>/dev/null || echo unknown)
VERSION_OBJECTS := $(BUILD)/obj/src/cli/version.o $(BUILD)/obj/src/agent/main.o
$(VERSION_OBJECTS): VERSION_FLAGS = -DPHIAL_COMMIT='"$(COMMIT)"' \
	-DPHIAL_BUILD_FLAGS='"$(filter -O% -f% -D_FORTIFY%,$(ALL_CFLAGS))"'
HARDEN := -fstack-protector-strong -fstack-clash-protection $(call probe,-fcf-protection=full) \
	$(call probe,-mbranch-protection=standard)
LINK := -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed,--gc-sections
ifeq ($(SANITIZE),1)
ALL_CFLAGS := $(BASE_FLAGS) -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all $(CFLAGS)
ALL_LDFLAGS := -fsanitize=address,undefined $(LDFLAGS)
else
ALL_CFLAGS := $(BASE_FLAGS) $(HARDEN) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 \
	$(call probe,-ftrivial-auto-var-init=zero) $(call probe,-fzero-call-used-regs=used-gpr) \
	$(CFLAGS)
ALL_LDFLAGS := $(LINK) $(LDFLAGS)
endif

LIBS_LIB   := -lsodium
LIBS_CLI   := -lsodium -lcjson -lkeyutils
LIBS_AGENT := -lsodium -lcjson -lkeyutils -lseccomp
LIBS_TEST  := -lcmocka -lsodium -lcjson -lkeyutils -lseccomp

# --- files -------------------------------------------------------------------
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)))
room_sources = $(foreach room,$(1),src/$(room)/*.c)
ROOM_OBJECTS := $(call objects,$(call room_sources,$(ROOMS)))
LIB_OBJECTS  := $(call objects,$(call room_sources,$(LIB_ROOMS)))
CLI_OBJECTS  := $(call objects,src/cli/*.c)
# Everything of the agent but its main(), so that unit tests can link it.
AGENT_OBJECTS := $(filter-out $(BUILD)/obj/src/agent/main.o,$(call objects,src/agent/*.c))
CLI_TESTED    := $(filter-out $(BUILD)/obj/src/cli/main.o,$(CLI_OBJECTS))
RUNTIME_TESTED := $(filter-out $(BUILD)/obj/src/runtime/main.o,$(call objects,src/runtime/*.c))
INIT_TESTED   := $(filter-out $(BUILD)/obj/src/init/main.o,$(call objects,src/init/*.c))

# The hook is static-pie on musl: no libsodium, no JSON, no name service.
MUSL_ROOMS   := base mount wire inject
MUSL_SOURCES := $(filter-out src/base/secret.c,$(wildcard $(call room_sources,$(MUSL_ROOMS))))
MUSL_OBJECTS := $(patsubst %.c,$(BUILD)/musl/%.o,$(MUSL_SOURCES))
HOOK_OBJECTS := $(patsubst %.c,$(BUILD)/musl/%.o,$(wildcard src/hook/*.c))
RUNTIME_OBJECTS := $(patsubst %.c,$(BUILD)/musl/%.o,$(wildcard src/runtime/*.c))
# phial-init too, from base and wire alone (tests/style/layers.py): it runs inside containers.
INIT_OBJECTS := $(patsubst %.c,$(BUILD)/musl/%.o,$(wildcard src/init/*.c))

UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
KERNEL_TESTS := $(patsubst tests/kernel/%.c,$(BUILD)/tests/kernel/%,$(wildcard tests/kernel/*.c))
FUZZERS      := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
# Small static programs that run inside containers, or that the tests use on the host.
PROBES       := $(patsubst tests/probes/%.c,$(BUILD)/tests/probes/%,$(wildcard tests/probes/*.c))
TOOLS        := $(BUILD)/tests/tools/leak-sweep
BENCHES      := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))

.DEFAULT_GOAL := all
.PHONY: all programs libraries tests fuzzers probes benches unit-tests kernel-tests install uninstall clean \
	check check-unit check-style check-e2e check-kernel check-build check-gcc check-clang test-syntax \
	check-sanitize fuzz bench demo deps format help FORCE
.SECONDARY:
.DELETE_ON_ERROR:

all: programs libraries
programs: $(PROGRAMS)
libraries: $(LIBRARIES)
tests: $(UNIT_TESTS) $(KERNEL_TESTS) $(PROBES) $(TOOLS)
unit-tests: $(UNIT_TESTS)
kernel-tests: $(KERNEL_TESTS)
fuzzers: $(FUZZERS)
probes: $(PROBES)
benches: $(BENCHES)

help:
	@echo 'make                 build the programs and libphial, as an ordinary user'
	@echo 'sudo make deps       install what the build needs (apt-get, only what is missing)'
	@echo 'sudo make demo       show in a minute what phial does'
	@echo 'sudo make check      everything: gcc, clang, sanitizers, all tests. SUITE=name for a part'
	@echo '     make check-unit check-style check-e2e     parts of it'
	@echo 'sudo make check-kernel   only the main path on Debian 6.1 in qemu'
	@echo '     make fuzz SECONDS=60    each fuzzer for so long;  make bench   speed, as ratios'
	@echo '     make install uninstall DESTDIR= PREFIX=/usr/local'
	@echo '     make format clean'

# --- compile -----------------------------------------------------------------
# Runs once for a build folder: says what is missing before the compiler does.
$(BUILD)/.ready: contrib/deps
	@mkdir -p $(@D)
	@PHIAL_NO_INSTALL=1 contrib/deps build
	@touch $@

# Objects are made anew when compiler or flags change; -Werror changes no object.
FLAGS_NOW = $(CC) $(filter-out -Werror,$(ALL_CFLAGS)) $(ALL_LDFLAGS)
$(BUILD)/.flags: FORCE | $(BUILD)/.ready
	@echo '$(subst ','"'"',$(FLAGS_NOW))' | cmp -s - $@ || echo '$(subst ','"'"',$(FLAGS_NOW))' > $@

$(BUILD)/.commit: FORCE | $(BUILD)/.ready
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@

$(VERSION_OBJECTS): $(BUILD)/.commit

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(VERSION_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/librooms.a: $(ROOM_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libphial.a: $(LIB_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libphial.so.0: $(LIB_OBJECTS)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libphial.so.0 $(ALL_LDFLAGS) $^ $(LIBS_LIB) -o $@
	$(Q)ln -sf libphial.so.0 $(BUILD)/libphial.so

$(BUILD)/phial: $(CLI_OBJECTS) $(BUILD)/librooms.a
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $(CLI_OBJECTS) $(BUILD)/librooms.a $(LIBS_CLI) -o $@

$(BUILD)/phiald: $(BUILD)/obj/src/agent/main.o $(AGENT_OBJECTS) $(BUILD)/librooms.a
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $(BUILD)/obj/src/agent/main.o $(AGENT_OBJECTS) \
		$(BUILD)/librooms.a $(LIBS_AGENT) -o $@

# --- musl: the compiler wrapper knows no static-pie, so the link is spelt out ---------
# Debian's folder; the wrapper's -print-file-name answers with glibc's.
MUSL_ARCH := $(shell gcc -print-multiarch)
MUSL_LIB  ?= /usr/lib/$(MUSL_ARCH:-gnu=-musl)/
MUSL_CFLAGS := $(filter-out -fPIC,$(BASE_FLAGS)) -fPIE $(HARDEN) -Os -idirafter $(BUILD)/musl/include

# Only the kernel's own headers; glibc's must not be seen.
$(BUILD)/musl/include/.ready: | $(BUILD)/.ready
	@mkdir -p $(@D)
	$(Q)ln -sfn /usr/include/linux $(@D)/linux
	$(Q)ln -sfn /usr/include/asm-generic $(@D)/asm-generic
	$(Q)ln -sfn /usr/include/$(MUSL_ARCH)/asm $(@D)/asm
	$(Q)touch $@

$(BUILD)/musl/%.o: %.c $(BUILD)/.flags | $(BUILD)/musl/include/.ready
	@mkdir -p $(@D)
	$(call say,MUSL,$<)
	$(Q)$(MUSL_GCC) $(MUSL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/musl/librooms.a: $(MUSL_OBJECTS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

musl_link = gcc -static-pie -nostdlib -nostartfiles -Wl,--no-dynamic-linker,-z,text $(LINK) \
	$(MUSL_LIB)rcrt1.o $(MUSL_LIB)crti.o $(1) -L$(MUSL_LIB) -lc -lgcc $(MUSL_LIB)crtn.o -o $@

$(BUILD)/phial-hook: $(HOOK_OBJECTS) $(BUILD)/musl/librooms.a
	$(call say,LD,$@)
	$(Q)$(call musl_link,$(HOOK_OBJECTS) $(BUILD)/musl/librooms.a)

$(BUILD)/phial-init: $(INIT_OBJECTS) $(BUILD)/musl/librooms.a
	$(call say,LD,$@)
	$(Q)$(call musl_link,$(INIT_OBJECTS) $(BUILD)/musl/librooms.a)

$(BUILD)/phial-runtime: $(RUNTIME_OBJECTS) $(BUILD)/musl/librooms.a
	$(call say,LD,$@)
	$(Q)$(call musl_link,$(RUNTIME_OBJECTS) $(BUILD)/musl/librooms.a)

# --- tests -------------------------------------------------------------------
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/librooms.a $(AGENT_OBJECTS) $(CLI_TESTED) \
		$(RUNTIME_TESTED) $(INIT_TESTED)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $(shell sed -n 's|^/\* link: \(.*\) \*/$$|\1|p' tests/unit/$*.c) \
		$< $(if $(findstring test_agent,$*),$(AGENT_OBJECTS)) \
		$(if $(findstring test_cli,$*),$(CLI_TESTED)) \
		$(if $(findstring test_runtime,$*),$(RUNTIME_TESTED)) \
		$(if $(findstring test_init,$*),$(INIT_TESTED)) $(BUILD)/librooms.a $(LIBS_TEST) -o $@

$(BUILD)/tests/kernel/%: $(BUILD)/obj/tests/kernel/%.o $(BUILD)/librooms.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $< $(BUILD)/librooms.a $(LIBS_AGENT) -o $@

$(BUILD)/tests/probes/%: $(BUILD)/musl/tests/probes/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call musl_link,$<)

SWEEP_OBJECTS := $(patsubst %.c,$(BUILD)/musl/%.o,$(wildcard tests/tools/leak-sweep/*.c))
$(BUILD)/tests/tools/leak-sweep: $(SWEEP_OBJECTS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call musl_link,$^)

$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/librooms.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $< $(BUILD)/librooms.a $(LIBS_AGENT) -o $@

TEST_SYNTAX := $(patsubst %.c,$(BUILD)/syntax/%.ok,$(wildcard tests/unit/*.c tests/kernel/*.c \
	tests/bench/*.c))
test-syntax: $(TEST_SYNTAX)
$(BUILD)/syntax/%.ok: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call say,SYNTAX,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -fsyntax-only $<
	@touch $@

# Fuzzers are compiled whole with clang, rooms included, for coverage.
FUZZ_ROOMS := $(filter-out src/keyring/% src/mount/%,$(wildcard $(call room_sources,$(ROOMS))))
FUZZ_FLAGS := -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -O1 -g -fno-omit-frame-pointer \
	-DPHIAL_VERSION='"$(VERSION)"' -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_OBJECTS := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(FUZZ_ROOMS))

$(BUILD)/fuzz/obj/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call say,FUZZCC,$<)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/fuzz/librooms.a: $(FUZZ_OBJECTS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/tests/fuzz/%.o $(BUILD)/fuzz/librooms.a
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined $< $(BUILD)/fuzz/librooms.a $(LIBS_CLI) -o $@

# --- check ---------------------------------------------------------------------
# Each part makes what it needs and asks tests/run for its suites. The builds live under
# CHECK, away from the one of `make`, and go back to the owner of the tree when root made them.
SUB_MAKE    = +$(Q)$(MAKE) --no-print-directory
CHECK_MAKE  = $(SUB_MAKE) -j$(JOBS)
RUN_TESTS   = $(Q)tests/run --build $(CHECK) --sanitize-build $(CHECK)/asan \
	$(if $(SUITE),--suite '$(SUITE)')
define hand_back
$(Q)! [ -d build ] || chown -R --reference=Makefile build
endef

check:
	$(Q)contrib/deps check
	$(Q)contrib/deps kernel
	$(CHECK_MAKE) check-build
	$(RUN_TESTS)
	$(hand_back)

check-build: check-gcc check-clang check-sanitize
check-gcc:
	$(SUB_MAKE) BUILD=$(CHECK) CC=gcc WERROR=1 all tests fuzzers benches
# Of tests clang's opinion is wanted and no program: it warns before it generates code.
check-clang:
	$(SUB_MAKE) BUILD=$(CHECK)/clang CC=clang WERROR=1 all test-syntax
check-sanitize:
	$(SUB_MAKE) BUILD=$(CHECK)/asan CC=gcc WERROR=1 SANITIZE=1 unit-tests

check-unit:
	$(Q)contrib/deps check
	$(CHECK_MAKE) check-gcc check-sanitize
	$(RUN_TESTS) --group unit --group asan
	$(hand_back)

check-style:
	$(Q)contrib/deps check
	$(CHECK_MAKE) check-gcc
	$(RUN_TESTS) --group style
	$(hand_back)

check-e2e:
	$(Q)contrib/deps check
	$(CHECK_MAKE) check-gcc
	$(RUN_TESTS) --group e2e --group attack --group cli
	$(hand_back)

check-kernel:
	$(Q)contrib/deps kernel
	$(CHECK_MAKE) BUILD=$(CHECK) CC=gcc WERROR=1 all tests
	$(Q)tests/run --build $(CHECK) --group qemu
	$(hand_back)

fuzz:
	$(Q)contrib/deps check
	$(CHECK_MAKE) BUILD=$(CHECK) fuzzers
	$(Q)tests/fuzz/run --build $(CHECK) --seconds $(SECONDS)
	$(hand_back)

bench:
	$(Q)contrib/deps check
	$(CHECK_MAKE) BUILD=$(CHECK) all tests benches
	$(Q)BUILD=$(CHECK) tests/bench/run
	$(hand_back)

demo:
	$(Q)contrib/deps demo
	$(CHECK_MAKE) all $(PROBES)
	$(Q)BUILD=$(BUILD) examples/demo
	$(hand_back)

deps:
	$(Q)contrib/deps build

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# --- install ---------------------------------------------------------------------
# Each line: source, folder, mode. Man pages and headers are added by pattern.
MAN_PAGES := $(wildcard docs/man/*.[1-8])
HEADERS   := $(wildcard include/phial/*.h)
substitute = sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
	-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@VERSION@|$(VERSION)|g' \
	-e 's|@SBINDIR@|$(SBINDIR)|g' -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@LIBEXECDIR@|$(LIBEXECDIR)|g'
# $(call put,MODE,SOURCE,FOLDER): one file, its folder made when it is not there
put = $(Q)install -D -m $(1) $(2) $(DESTDIR)$(3)/$(notdir $(2))
# $(call fill,SOURCE,FOLDER,NAME): one file with the folders written into it
fill = $(Q)install -d $(DESTDIR)$(2) && $(substitute) $(1) > $(DESTDIR)$(2)/$(3) && \
	chmod 644 $(DESTDIR)$(2)/$(3)

install: all
	$(call put,755,$(BUILD)/phial,$(BINDIR))
	$(call put,755,$(BUILD)/phiald,$(SBINDIR))
	$(call put,755,$(BUILD)/phial-hook,$(LIBEXECDIR))
	$(call put,755,$(BUILD)/phial-init,$(LIBEXECDIR))
	$(call put,755,$(BUILD)/phial-runtime,$(LIBEXECDIR))
	$(Q)ln -sf phial-runtime $(DESTDIR)$(LIBEXECDIR)/phial-runtime-crun
	$(call put,644,$(BUILD)/libphial.a,$(LIBDIR))
	$(call put,644,$(BUILD)/libphial.so.0,$(LIBDIR))
	$(Q)ln -sf libphial.so.0 $(DESTDIR)$(LIBDIR)/libphial.so
	$(Q)install -d $(DESTDIR)$(INCLUDEDIR)/phial && \
		install -m 644 $(HEADERS) $(DESTDIR)$(INCLUDEDIR)/phial
	$(Q)set -e; for page in $(MAN_PAGES); do \
		install -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	$(call fill,contrib/phial.pc.in,$(LIBDIR)/pkgconfig,phial.pc)
	$(call fill,contrib/systemd/phiald.service.in,$(UNITDIR),phiald.service)
	$(call fill,contrib/systemd/phiald-user.service.in,$(USERUNITDIR),phiald.service)
	$(call fill,contrib/oci-hooks.d/50-phial.json.in,$(HOOKSDIR),50-phial.json)
	$(call put,644,contrib/completions/_phial,$(DATADIR)/zsh/site-functions)
	$(call put,644,contrib/completions/phial.fish,$(DATADIR)/fish/vendor_completions.d)
	$(Q)install -D -m 644 contrib/completions/phial.bash \
		$(DESTDIR)$(DATADIR)/bash-completion/completions/phial
	$(call put,644,contrib/sysusers.d/phial.conf,$(SYSUSERSDIR))
	$(call put,644,contrib/tmpfiles.d/phial.conf,$(TMPFILESDIR))

# Removes what install put there, and folders only if they are phial's own.
uninstall:
	$(Q)rm -f $(addprefix $(DESTDIR),$(BINDIR)/phial $(SBINDIR)/phiald $(LIBEXECDIR)/phial-hook \
		$(LIBEXECDIR)/phial-init $(LIBEXECDIR)/phial-runtime $(LIBEXECDIR)/phial-runtime-crun \
		$(LIBDIR)/libphial.a $(LIBDIR)/libphial.so.0 $(LIBDIR)/libphial.so \
		$(addprefix $(INCLUDEDIR)/phial/,$(notdir $(HEADERS))) $(LIBDIR)/pkgconfig/phial.pc \
		$(foreach page,$(MAN_PAGES),$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
		$(UNITDIR)/phiald.service $(USERUNITDIR)/phiald.service $(HOOKSDIR)/50-phial.json $(SYSUSERSDIR)/phial.conf \
		$(TMPFILESDIR)/phial.conf $(DATADIR)/zsh/site-functions/_phial \
		$(DATADIR)/fish/vendor_completions.d/phial.fish \
		$(DATADIR)/bash-completion/completions/phial)
	$(Q)for folder in $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(INCLUDEDIR)/phial; do \
		! [ -d $$folder ] || rmdir --ignore-fail-on-non-empty $$folder; done

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj $(BUILD)/musl $(BUILD)/fuzz -name '*.d' 2>/dev/null)
