#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A service out of the tree: built and tested with what is installed alone, served over AF_XDP and over
# sockets of the kernel, replayed; what is refused, and how.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
source=$(realpath "$e2e/../..")
prefix=$work/root/opt/udpxdp
fixture=$source/tests/fixtures/replay/plain_ipv4.pcap

for tool in pkg-config cc bpftool jq; do
	command -v $tool >/dev/null || bail "there is $tool" "scripts/install-deps test brings it"
done

# ---- what is installed ---------------------------------------------------------------------

require env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory -C "$source" \
	BUILD="$BUILD" PREFIX="$prefix" install
udpxdp=$prefix/sbin/udpxdp
export PKG_CONFIG_PATH=$prefix/share/pkgconfig
cp -r "$prefix/share/doc/udpxdp/examples/service" "$work/own"
cd "$work/own" || exit 1
check "the example is built and passes its test" env -u MAKEFLAGS -u MAKELEVEL make UDPXDP="$udpxdp" test
cp golden.pcap before.pcap
sed -i 's/- 32/- 31/; s/? 32 : 0/? 31 : 0/' upper.c
env -u MAKEFLAGS -u MAKELEVEL make UDPXDP="$udpxdp" test >"$work/output" 2>&1
status=$?
matches "a fault in it does not" "frame 1" "$(cat "$work/output")"
equal "and make says so" 2 "$status"
cp "$prefix/share/doc/udpxdp/examples/service/upper.c" .
require env -u MAKEFLAGS -u MAKELEVEL make UDPXDP="$udpxdp" test
for header in "$prefix"/include/udpxdp/*.h; do
	echo "#include <udpxdp/${header##*/}>" | cc -std=gnu17 -Wall -Werror -fsyntax-only -I"$prefix/include" -xc - ||
		echo "${header##*/}"
done >"$work/output" 2>&1
equal "each header stands alone" "" "$(cat "$work/output")"
equal "the names in them begin with udpxdp_" "" \
	"$(python3 "$e2e/foreign_names.py" "$prefix"/include/udpxdp/*.h || echo "failed")"
cat >leaky.h <<'END'
#define A_MACRO 1
struct a_struct { int member; };
enum an_enum { A_CONSTANT = 3, ANOTHER };
typedef struct a_struct a_type;
extern const int a_variable[A_MACRO];
static inline int a_function(int parameter) { struct a_struct local = {parameter}; return local.member; }
int udpxdp_fine(struct a_struct *of);
END
equal "others would be found" "ANOTHER A_CONSTANT A_MACRO a_function a_struct a_type a_variable an_enum" \
	"$(python3 "$e2e/foreign_names.py" leaky.h | sort | xargs)"
rm leaky.h
python3 - "$prefix"/include/udpxdp/*.h >"$work/public" <<'END'
import re, sys
text = "".join(re.sub(r"/\*.*?\*/", "", open(f).read(), flags=re.S) for f in sys.argv[1:])
print("\n".join(sorted(set(re.findall(r"^\w[\w *]*\b(udpxdp_\w+)\([^(){};]*\);", text, re.M)))))
END
equal "the program shows what the headers say, and nothing else" "$(cat "$work/public")" \
	"$(nm -D --defined-only "$udpxdp" | awk '$3 !~ /@|^_IO_stdin_used$/ { print $3 }' | sort)"
matches "help has its option" "max=512 .*longest" "$("$udpxdp" help ./upper.so | xargs)"
matches "and its reason" "too_long .*longer" "$("$udpxdp" help ./upper.so | xargs)"

# README's, as it stands there.
mkdir readme
cd readme || exit 1
fenced() { # LANGUAGE: what README's section has in it
	awk -v fence="\`\`\`$1" '/^## / { here = /Adding a service/ } !here { next }
		/^```/ { on = !on && !inside && $0 == fence; inside = !inside; next } on' "$source/README.md"
}
fenced c >mirror.c
cp "$fixture" in.pcap
fenced "" |
	grep -E '^(cc|udpxdp replay) ' | sed "s|^udpxdp|$udpxdp|; s|:9000||" >commands
equal "README builds and tests its service" 2 "$(wc -l <commands)"
sed -i 's/9000/8080/' mirror.c # where the capture asks
check "which works" sh -eu commands
check "and passes" "$udpxdp" replay -r in.pcap -s ./mirror.so --expect golden.pcap
equal "it answers all" 8 "$(tcpdump -nr golden.pcap 2>/dev/null | wc -l)"
cd .. || exit 1

# ---- it is served --------------------------------------------------------------------------

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 10.88.0.1/24
require address client eth0 10.88.0.2/24
say() { on client python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[2]))
s.sendto(sys.argv[1].encode(), ("10.88.0.1", 9000))
try:
    print(s.recv(9999).decode())
except TimeoutError:
    print("silence")' "$@"; }

for mode in copy sockets; do
	server_start server -Q -m $mode -s ./upper.so,max=9
	equal "$mode: it runs" upper:9000 "$(ready_value server services)"
	equal "$mode: it answers" HELLO "$(say hello 5)"
	equal "$mode: its option holds" silence "$(say "far too long" 0.3)"
	if [ $mode = copy ]; then
		stats() { on server "$udpxdp" stats -i eth0 --pin-dir "$(pin_dir server)" "$@"; }
		equal "its reason by name: JSON" 1 \
			"$(stats -j | jq '.services[] | select(.service == "upper").drops.too_long')"
		matches "text, with what it means" "upper:9000 +too_long +1 +the text is longer than max" "$(stats)"
		matches "Prometheus" 'service="upper".*reason="too_long"} 1' "$(stats --prometheus)"
		matches "bpftool" '"name": "too_long", *"count": 1,?' \
			"$(bpftool map dump pinned "$(pin_dir server)/service_counters" | tr -d '\n\t' |
				sed 's/  */ /g; s/{ /{/g')"
	fi
	matches "$mode: the server itself tells it" "upper:9000 +too_long +1 +the text is longer than max" \
		"$("$udpxdp" stats --control "$(control server)")"
	server_stop server
done
mkdir -p "$prefix/lib/udpxdp"
cp upper.so "$prefix/lib/udpxdp"
server_start server -Q -m sockets -s upper:9000-9001
equal "by name, on a range of ports" upper:9000,upper:9001 "$(ready_value server services)"
equal "it answers" HELLO "$(say hello 5)"
server_stop server

# ---- the capture ---------------------------------------------------------------------------

matches "replay names its reason" "upper:8080 .*too_long=1" \
	"$("$udpxdp" replay -Q -r "$fixture" -w o.pcap -s ./upper.so:8080,max=200 2>&1)"

# ---- what is refused -----------------------------------------------------------------------

# refused NAME REGEX SPEC: by serve and replay, with one line and status 2.
refused() {
	local name=$1 regex=$2 spec=$3 status=0 said
	said=$("$udpxdp" replay -r "$fixture" -w o.pcap -s "$spec" 2>&1) || status=$?
	equal "$name: replay" "2 1" "$status $(wc -l <<<"$said")"
	matches "$name: why" "^udpxdp: option -s: $regex; see" "$said"
	status=0
	said=$("$udpxdp" serve -m sockets -s "$spec" 2>&1) || status=$?
	equal "$name: serve" "2 1" "$status $(wc -l <<<"$said")"
}

# made NAME SCRIPT: another upper.so, changed by sed.
made() {
	sed "$2" upper.c >"$1.c"
	# shellcheck disable=SC2046
	require cc -shared -fPIC $(pkg-config --cflags udpxdp) -o "$1.so" "$1.c"
}

made version 's/UDPXDP_SERVICE_VERSION/99/'
refused "another version" "./version.so: made for version 99 of .*, and this udpxdp has 1" ./version.so
made symbol 's/udpxdp_service = /other = /'
refused "without the symbol" "./symbol.so: .*no symbol udpxdp_service" ./symbol.so
echo "no shared object" >text.so
refused "no shared object" "./text.so: not a shared object.*" ./text.so
refused "no file" "./none.so: No such file or directory" ./none.so
refused "a directory" "./: not a shared object.*" ./
refused "no slash" "unknown service 'upper2.so'; .* ./upper2.so" upper2.so
cp upper.so writable.so
chmod o+w writable.so
refused "writable by others" "./writable.so: writable by others; chmod go-w .*" ./writable.so
made undefined '/^#include/a _Bool udpxdp_no_such(struct udpxdp_ctx *, int);
	s/udpxdp_serves(ctx/udpxdp_no_such(ctx/'
refused "calls what there is not" "./undefined.so: .*undefined symbol: udpxdp_no_such" ./undefined.so
made private '/^#include/a int engine_poll(struct udpxdp_ctx *, int);
	s/udpxdp_serves(ctx/(_Bool)engine_poll(ctx/'
refused "calls what is private" "./private.so: .*undefined symbol: engine_poll" ./private.so
made name 's/"upper"/"much_too_long"/'
refused "its name is too long" "./name.so: its name is not 1 to 11 .*" ./name.so
made receive '/\.receive/d'
refused "it receives nothing" "./receive.so: it has no receive\(\)" ./receive.so
made offset 's/offsetof(struct options, max)/510/'
refused "an option outside" "./offset.so: option 'max': it ends behind .*" ./offset.so
made reason 's/{"too_long"/{"loop"/; s/= {"too_long"/= {"loop"/'
refused "a reason that all have" "./reason.so: drop reason 'loop': .*" ./reason.so
made bare '/\.start =/d; /\.state_size =/d; /\.options =/d; s/upper->options->max/9/'
check "what may be absent may be absent" "$udpxdp" replay -Q -r "$fixture" -w o.pcap -s ./bare.so:8080
refused "another option" "upper: unknown option 'size', expected max" ./upper.so,size=1
refused "a value out of range" "upper: max: .*" ./upper.so,max=0
if [ "$(id -u)" = 0 ]; then
	mkdir -m 777 open
	cp upper.so open
	refused "a directory that others may write" "./open/upper.so: others may write a directory .*" ./open/upper.so
	cp upper.so strange.so
	chown 12345 strange.so
	refused "somebody else's" "./strange.so: neither root's nor yours.*" ./strange.so
fi

done_testing
