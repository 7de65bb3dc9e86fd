# phial: one Makefile. `make` builds, `sudo make check` tests, `sudo make demo` shows.
#
# Variables: BUILD (output folder), V=1 (show commands), WERROR=1, SANITIZE=1,
# PREFIX, DESTDIR, SYSCONFDIR, PHIAL_NO_INSTALL=1 (never call apt-get). CFLAGS and
# LDFLAGS of the user come last.

VERSION    := 0.1.0
BUILD      ?= build
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
LIBDIR     ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec/phial
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
CC         ?= gcc
AR         ?= ar
PKG_CONFIG ?= pkg-config
MUSL_GCC   ?= musl-gcc
FUZZ_CC    ?= clang
ifneq ($(V),1)
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)'
endif

# The rooms of src/ that return (docs/architecture.md); the doors that print.
ROOMS     := base crypt sealed json store keyring policy oci mount wire
LIB_ROOMS := base crypt sealed
DOORS     := cli agent hook
PROGRAMS  := $(BUILD)/phial $(BUILD)/phiald $(BUILD)/phial-hook
LIBRARIES := $(BUILD)/libphial.a $(BUILD)/libphial.so.0

# --- flags -------------------------------------------------------------------
probe = $(shell $(CC) $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo '$(1)')

WARN := -Wall -Wextra -pedantic -Wformat=2 -Wshadow -Wconversion -Wsign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wwrite-strings -Wundef \
	-Wswitch-enum -Wnull-dereference -Wimplicit-fallthrough
ifeq ($(WERROR),1)
WARN += -Werror
endif
BASE_FLAGS := -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -O2 -g -fPIC -fvisibility=hidden \
	-fno-common -fno-delete-null-pointer-checks -ffunction-sections -fdata-sections \
	-DPHIAL_VERSION='"$(VERSION)"' $(WARN)
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
LIBS_CLI   := -lsodium -lcjson
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

# The hook is static-pie on musl: no libsodium, no JSON, no name service.
MUSL_ROOMS   := base mount wire
MUSL_SOURCES := $(filter-out src/base/secret.c,$(wildcard $(call room_sources,$(MUSL_ROOMS))))
MUSL_OBJECTS := $(patsubst %.c,$(BUILD)/musl/%.o,$(MUSL_SOURCES))
HOOK_OBJECTS := $(patsubst %.c,$(BUILD)/musl/%.o,$(wildcard src/hook/*.c))

UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
KERNEL_TESTS := $(patsubst tests/kernel/%.c,$(BUILD)/tests/kernel/%,$(wildcard tests/kernel/*.c))
FUZZERS      := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
# Small static programs that run inside containers, or that the tests use on the host.
PROBES       := $(patsubst tests/probes/%.c,$(BUILD)/tests/probes/%,$(wildcard tests/probes/*.c))
BENCHES      := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))

.DEFAULT_GOAL := all
.PHONY: all programs libraries tests fuzzers probes benches kernel-tests install uninstall clean \
	check check-unit check-kernel check-sanitize check-clang fuzz bench demo deps help
.SECONDARY:
.DELETE_ON_ERROR:

all: programs libraries
programs: $(PROGRAMS)
libraries: $(LIBRARIES) $(BUILD)/phial.pc
tests: $(UNIT_TESTS) $(KERNEL_TESTS) $(PROBES)
kernel-tests: $(KERNEL_TESTS)
fuzzers: $(FUZZERS)
probes: $(PROBES)
benches: $(BENCHES)

# --- compile -----------------------------------------------------------------
$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

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

$(BUILD)/phial.pc: contrib/phial.pc.in Makefile
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@VERSION@|$(VERSION)|g' $< > $@

# --- musl: the compiler wrapper knows no static-pie, so the link is spelt out ---------
MUSL_LIB = $(dir $(shell $(MUSL_GCC) -print-file-name=rcrt1.o))
MUSL_ARCH = $(shell $(CC) -print-multiarch)
MUSL_CFLAGS := $(filter-out -fPIC,$(BASE_FLAGS)) -fPIE $(HARDEN) -Os -idirafter $(BUILD)/musl/include

# Only the kernel's own headers; glibc's must not be seen.
$(BUILD)/musl/include/.ready:
	@mkdir -p $(@D)
	$(Q)ln -sfn /usr/include/linux $(@D)/linux
	$(Q)ln -sfn /usr/include/asm-generic $(@D)/asm-generic
	$(Q)ln -sfn /usr/include/$(MUSL_ARCH)/asm $(@D)/asm
	$(Q)touch $@

$(BUILD)/musl/%.o: %.c $(BUILD)/musl/include/.ready
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

# --- tests -------------------------------------------------------------------
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/librooms.a $(AGENT_OBJECTS) $(CLI_TESTED)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $(shell sed -n 's|^/\* link: \(.*\) \*/$$|\1|p' tests/unit/$*.c) \
		$< $(if $(findstring test_agent,$*),$(AGENT_OBJECTS)) \
		$(if $(findstring test_cli,$*),$(CLI_TESTED)) $(BUILD)/librooms.a $(LIBS_TEST) -o $@

$(BUILD)/tests/kernel/%: $(BUILD)/obj/tests/kernel/%.o $(BUILD)/librooms.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $< $(BUILD)/librooms.a $(LIBS_AGENT) -o $@

$(BUILD)/tests/probes/%: $(BUILD)/musl/tests/probes/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call musl_link,$<)

$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/librooms.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $< $(BUILD)/librooms.a $(LIBS_AGENT) -o $@

# Fuzzers are compiled whole with clang, rooms included, for coverage.
FUZZ_ROOMS := $(filter-out src/keyring/% src/mount/%,$(wildcard $(call room_sources,$(ROOMS))))
FUZZ_FLAGS := -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -O1 -g -fno-omit-frame-pointer \
	-DPHIAL_VERSION='"$(VERSION)"' -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_OBJECTS := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(FUZZ_ROOMS))

$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,FUZZCC,$<)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/fuzz/librooms.a: $(FUZZ_OBJECTS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/tests/fuzz/%.o $(BUILD)/fuzz/librooms.a
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined $< $(BUILD)/fuzz/librooms.a $(LIBS_CLI) -o $@

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
