# udpxdp: build, run, test. `make help` says what there is.
#
#   V=1       show the commands
#   BUILD=DIR where everything goes (default: build)
#   SANITIZE= a list for -fsanitize, as in `make BUILD=build/asan SANITIZE=address,undefined`

# However it is given, within the tree it is relative: else what the compiler wrote about headers under
# one spelling would not hold under another.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(or $(BUILD),build)))
SANITIZE ?=
CC       ?= cc
CLANG    ?= clang
CLANG_FORMAT ?= clang-format
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)
# What installs and builds in one step uses all CPUs, unless make was told how many.
JOBS      = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
PREFIX   ?= /usr/local
DESTDIR  ?=
ROOT     := $(DESTDIR)$(PREFIX)
IFACE    ?=
ROOM     ?=
TIME     ?= 60
SUITE    ?= trixie
ARCH     ?= arm64

# Root by plain su has a user's PATH, in which dpkg, ip and others are not found.
export PATH := $(PATH):/usr/sbin:/sbin

VERSION  := 0.1.0
LIBS     := libxdp libbpf libpcap libmnl jansson libseccomp libcap-ng libsystemd libedit libutf8proc

# Rooms over several hosts; without it all else works, and who asks for one is told.
NATS     = $(shell pkg-config --exists libnats && echo libnats)

# pkg-config is asked only when something is compiled: `make help` works on a bare machine.
PKG_CFLAGS = $(shell pkg-config --cflags $(LIBS) $(NATS)) $(if $(NATS),-DUDPXDP_NATS)
PKG_LIBS   = $(shell pkg-config --libs $(LIBS) $(NATS)) -lck -lm

# Warnings are errors in `make check`, not to who builds with a compiler that nobody here has seen.
WERROR   ?=
WARNINGS := -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wno-unused-parameter
CFLAGS   ?= -O2 -g
# What makes a mistake harder to use; tests/e2e/hardened.sh holds it. A sanitizer takes the place of
# FORTIFY. HARDEN= and HARDEN_LD= build without.
HARDEN   ?= -fPIE -fstack-protector-strong -fstack-clash-protection \
            $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN_LD ?= -pie -Wl,-z,relro,-z,now,-z,noexecstack
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(HARDEN) $(WARNINGS) -D_GNU_SOURCE -DUDPXDP_VERSION=\"$(VERSION)\" \
             -Iinclude -Iuser -I$(BUILD)/gen -pthread -fno-strict-aliasing $(PKG_CFLAGS)
ALL_LDFLAGS = $(LDFLAGS) $(HARDEN_LD) -pthread
ifneq ($(SANITIZE),)
ALL_CFLAGS  += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
endif
BPF_CFLAGS := -target bpf -O2 -g -Wall -Wextra $(WERROR) -Iinclude \
              -I/usr/include/$(shell uname -m)-linux-gnu -ffile-prefix-map=$(CURDIR)=.

ifeq ($(V),1)
Q :=
say := @:
else
Q := @
say := @printf '  %-7s %s\n'
endif

SOURCES := $(filter-out user/main.c,$(shell find user -name "*.c"))
OBJECTS := $(SOURCES:%.c=$(BUILD)/obj/%.o)
SKELETON := $(BUILD)/gen/udpxdp.skel.h
LIBRARY := $(BUILD)/libudpxdp.a
UNIT    := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
BPFTEST := $(patsubst tests/bpf/%.c,$(BUILD)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))
THREADED := $(patsubst tests/unit/%.c,%,$(wildcard $(addprefix tests/unit/test_,\
            queue.c printer.c history.c workers.c capture.c control.c watchdog.c log.c)))
HELPERS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/e2e/*.c tests/bench/*.c))
BPF_HELPERS := $(patsubst tests/%.bpf.c,$(BUILD)/tests/%.bpf.o,$(wildcard tests/bench/*.bpf.c tests/e2e/*.bpf.c))

.PHONY: all program run test test-unit test-bpf test-replay test-e2e test-sanitize test-fuzz test-bench \
        test-malformed test-build unit-build e2e-build bench-build threaded-build check format asan tsan valgrind fuzz fuzz-build bench lab \
        install-deps install deb deb-test boot-test distro-test cross test-kernels clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: program compile_commands.json  ## build the program (the default)
program: $(BUILD)/udpxdp

run:  ## install what is missing, build, show all services in a laboratory; ROOM=1: a room over three hosts; IFACE=eth0 serves that
	$(Q)scripts/install-deps run $(if $(ROOM),nats-server)
	@echo "building $(BUILD)/udpxdp"
	$(Q)$(MAKE) --no-print-directory $(JOBS) say=@: all
	$(Q)BUILD=$(BUILD) ROOM=$(ROOM) scripts/run $(IFACE)

test:  ## install what is missing, build, run every test layer
	$(Q)scripts/install-deps test
	$(Q)$(MAKE) --no-print-directory $(JOBS) all test-build
	$(Q)BUILD=$(BUILD) tests/run check unit bpf replay e2e sanitize fuzz bench

# One layer, and no more built than it needs; sanitize, fuzz and malformed build what they run themselves.
test-unit: unit-build  ## the unit tests; half a minute
test-bpf: $(BPFTEST)  ## the filter in the kernel, on every kind of frame; seconds
test-replay: program  ## captures in, frames out; one case alone: tests/replay/run.sh NAME
test-e2e: program e2e-build  ## real clients over veth; one script alone: tests/e2e/NAME.sh
test-sanitize:  ## the unit tests under AddressSanitizer, ThreadSanitizer and valgrind; minutes
test-fuzz:  ## every fuzzer for 20 seconds
test-bench: program bench-build  ## the benchmarks themselves; seconds
test-malformed:  ## hundreds of malformed captures out of tcpdump's source package, downloaded; minutes

test-unit test-bpf test-replay test-e2e test-sanitize test-fuzz test-bench test-malformed:
	$(Q)BUILD=$(BUILD) tests/run $(@:test-%=%)

unit-build: $(UNIT)
e2e-build: $(filter $(BUILD)/tests/e2e/%,$(filter-out %.bpf,$(HELPERS)) $(BPF_HELPERS))
bench-build: $(filter $(BUILD)/tests/bench/%,$(filter-out %.bpf,$(HELPERS)) $(BPF_HELPERS))
threaded-build: $(THREADED:%=$(BUILD)/tests/unit/%)
test-build: $(UNIT) $(BPFTEST) $(filter-out %.bpf,$(HELPERS)) $(BPF_HELPERS)

check: all  ## check the rules of the tree: includes between rooms, form, names, spelling, shell scripts
	$(Q)BUILD=$(BUILD) tests/check

format:  ## format the C sources by .clang-format
	$(Q)git ls-files '*.c' '*.h' | xargs $(CLANG_FORMAT) -i

asan:  ## unit, replay and e2e tests under AddressSanitizer and UBSan
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined all test-build
	$(Q)BUILD=$(BUILD)/asan tests/run unit replay e2e

tsan valgrind: all  ## the threaded tests under ThreadSanitizer; the unit tests under valgrind
	$(Q)BUILD=$(BUILD) tests/sanitize/run $@

fuzz: all  ## fuzz every target for TIME seconds (default 60)
	$(Q)BUILD=$(BUILD) tests/fuzz/run $(TIME)

bench:  ## measure against socket servers: ratios in one run, three to four minutes
	$(Q)scripts/install-deps bench
	$(Q)$(MAKE) --no-print-directory $(JOBS) all bench-build
	$(Q)BUILD=$(BUILD) tests/bench/run

lab: all  ## a shell in the laboratory of namespaces; removed at exit
	$(Q)BUILD=$(BUILD) scripts/lab shell

install-deps:  ## install the Debian packages that any target needs
	$(Q)scripts/install-deps all

install: all  ## install to $(DESTDIR)$(PREFIX)
	$(Q)install -D -m 755 $(BUILD)/udpxdp $(ROOT)/sbin/udpxdp
	$(Q)install -D -m 644 scripts/man/udpxdp.8 $(ROOT)/share/man/man8/udpxdp.8
	$(Q)install -D -m 644 scripts/completion/udpxdp.bash $(ROOT)/share/bash-completion/completions/udpxdp
	$(Q)install -D -m 644 scripts/systemd/udpxdp@.service $(ROOT)/lib/systemd/system/udpxdp@.service
	$(Q)sed -i 's|/usr/sbin/|$(PREFIX)/sbin/|' $(ROOT)/lib/systemd/system/udpxdp@.service
	$(Q)install -d -m 755 $(DESTDIR)/etc/udpxdp
	$(Q)install -D -m 644 -t $(ROOT)/share/doc/udpxdp README.md LICENSE
	$(Q)install -D -m 644 scripts/systemd/example.conf $(ROOT)/share/doc/udpxdp/examples/udpxdp.conf
	$(Q)install -d -m 755 $(ROOT)/lib/udpxdp
	$(Q)install -D -m 644 -t $(ROOT)/include/udpxdp $(PUBLIC_HEADERS)
	$(Q)install -d -m 755 $(ROOT)/share/pkgconfig
	$(Q)sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' scripts/udpxdp.pc >$(ROOT)/share/pkgconfig/udpxdp.pc
	$(Q)chmod 644 $(ROOT)/share/pkgconfig/udpxdp.pc
	$(Q)install -D -m 644 scripts/man/udpxdp-service.3 $(ROOT)/share/man/man3/udpxdp-service.3
	$(Q)install -D -m 644 -t $(ROOT)/share/doc/udpxdp/examples/service $(wildcard scripts/service/*)

deb:  ## build Debian packages, of the program and for services of one's own, in build/deb
	$(Q)scripts/install-deps run dpkg-dev
	$(Q)BUILD=$(BUILD) scripts/deb

deb-test:  ## install the package in a fresh Debian, run it there, purge it; minutes
	$(Q)scripts/install-deps test debootstrap
	$(Q)$(MAKE) --no-print-directory deb
	$(Q)BUILD=$(BUILD) scripts/deb-test

boot-test:  ## boot a Debian with the package in QEMU, have systemd run the service; minutes
	$(Q)scripts/install-deps test debootstrap qemu-system-x86 e2fsprogs
	$(Q)$(MAKE) --no-print-directory deb
	$(Q)BUILD=$(BUILD) scripts/boot-test

test-kernels:  ## boot Debian's kernels in QEMU, run the filter's tests and serve in each; at most 15 minutes
	$(Q)scripts/install-deps test qemu-system-x86 busybox-static cpio kmod xz-utils
	$(Q)$(MAKE) --no-print-directory all test-build
	$(Q)BUILD=$(BUILD) tests/kernels/run

distro-test:  ## the two commands, run and test, in a fresh Debian: SUITE=trixie or bookworm; half an hour
	$(Q)scripts/install-deps run debootstrap git
	$(Q)BUILD=$(BUILD) scripts/distro-test $(SUITE)

cross:  ## build for another architecture, run unit and replay tests under emulation: ARCH=arm64
	$(Q)scripts/install-deps run dpkg-dev
	$(Q)BUILD=$(BUILD) scripts/cross $(ARCH)

clean:  ## remove everything that was built
	$(Q)rm -rf $(BUILD) compile_commands.json

help:  ## this text
	@awk -F':.*## ' '/^[a-z][a-z0-9 -]*:.*## /{printf "  %-38s %s\n", $$1, $$2}' Makefile

# ---- the program ----

# Shared objects of services see the functions of the public headers, and no others.
PUBLIC_HEADERS := $(addprefix include/udpxdp/,service.h host.h datagram.h room.h types.h)
PUBLIC := $(BUILD)/gen/public.symbols
$(PUBLIC): $(PUBLIC_HEADERS)
	$(Q)mkdir -p $(@D)
	$(Q){ echo '{'; grep -ohE '\budpxdp_[a-z0-9_]+\(' $^ | sort -u | tr '(' ';'; echo '};'; } >$@

$(BUILD)/udpxdp: $(BUILD)/obj/user/main.o $(LIBRARY) $(PUBLIC)
	$(say) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--dynamic-list=$(PUBLIC) -o $@ $(filter-out %.symbols,$^) $(PKG_LIBS)

$(LIBRARY): $(OBJECTS)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile | $(SKELETON)
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# ---- the filter, and the skeleton that embeds it ----

$(BUILD)/gen/udpxdp.bpf.o: bpf/udpxdp.bpf.c
	$(say) BPF $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(SKELETON): $(BUILD)/gen/udpxdp.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name udpxdp_bpf >$@

# ---- tests ----

$(BUILD)/tests/unit/% $(BUILD)/tests/bpf/% $(BUILD)/tests/e2e/% $(BUILD)/tests/bench/%: $(LIBRARY)

# What the tests of the filter share.
BPF_HARNESS := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/bpf/test_%,$(wildcard tests/bpf/*.c)))
$(BPFTEST) $(BUILD)/tests/bench/frame_cost: $(BPF_HARNESS)

# Targets for libFuzzer, of which tests/fuzz/run says how they have to be built.
FUZZ := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SHARED := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/fuzz/fuzz_%,$(wildcard tests/fuzz/*.c)))
fuzz-build: $(FUZZ)
$(FUZZ): $(FUZZ_SHARED) $(BPF_HARNESS)
$(FUZZ): ALL_LDFLAGS += -fsanitize=fuzzer
$(FUZZ_SHARED): ALL_CFLAGS += -Itests

$(BUILD)/tests/%: tests/%.c $(LIBRARY)
	$(say) TEST $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(filter %.o,$^) $(LIBRARY) $(PKG_LIBS) -lcmocka

$(BUILD)/tests/%.bpf.o: tests/%.bpf.c
	$(say) BPF $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

# The skeleton changes what is compiled with it: objects that include it depend on it through
# their .d file, and the order-only rule above makes it exist before the first compile.

CHECKED := user/main.c $(SOURCES) $(filter-out %.bpf.c,$(wildcard tests/*/*.c))
compile_commands.json: Makefile $(CHECKED)
	$(Q){ printf '['; sep=; for f in $(CHECKED); do \
	  printf '%s\n{"directory":"%s","file":"%s","command":"%s"}' "$$sep" "$(CURDIR)" "$$f" \
	    '$(CC) $(subst ",\",$(subst \,\\,$(ALL_CFLAGS))) -Itests -c '"$$f"; sep=,; done; printf '\n]\n'; } >$@

-include $(OBJECTS:.o=.d) $(BPF_HARNESS:.o=.d) $(FUZZ_SHARED:.o=.d) $(BUILD)/obj/user/main.d $(BUILD)/gen/udpxdp.bpf.d
-include $(wildcard $(BUILD)/tests/*/*.d)
