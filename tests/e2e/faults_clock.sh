#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What becomes of a server when the clock is set back by a day, and forward again, while it serves;
# and of a capture whose time runs backwards.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 file=$work/step
export TZ=UTC

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 $v4/24
require address client eth0 10.80.9.2/24

# ---- live ---------------------------------------------------------------------------------

# The machine's own clock is everybody's, so the server alone reads another: as many seconds off as
# the file says. What it reads from the monotonic clock stays as it is.
require cc -shared -fPIC -O2 -o "$work/clock.so" -x c - <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile long long *step;

__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("CLOCK_STEP"), O_RDONLY);

	step = mmap(NULL, sizeof(*step), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int result = (int)syscall(SYS_clock_gettime, clock, t);

	if (clock == CLOCK_REALTIME && step != MAP_FAILED)
		t->tv_sec += *step;
	return result;
}
END
printf '\0\0\0\0\0\0\0\0' >"$file"
cat >"$work/stepped" <<-END
	#!/bin/sh
	export ASAN_OPTIONS="\${ASAN_OPTIONS:-}:verify_asan_link_order=0"
	CLOCK_STEP=$file LD_PRELOAD=$work/clock.so exec "$udpxdp" "\$@"
END
chmod 755 "$work/stepped"

cat >"$work/talk.py" <<'END'
import datetime, socket, struct, sys, time

address, file = sys.argv[1:]
DAY = 86400


def peer():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(2)
    return sock


def step(seconds):
    with open(file, "r+b") as f:
        f.write(struct.pack("=q", seconds))


def ask(sock, port, text):
    sock.sendto(text.encode(), (address, port))
    try:
        return sock.recv(2048).decode()
    except socket.timeout:
        return "nothing"


def days_off():
    """How many days an echo's stamp is away from now."""
    answer = ask(peer(), 8080, "x")
    stamp = datetime.datetime.strptime(answer.split("\u3011")[0], "\u3010%a %b %d %H:%M:%S %Y")
    return round((stamp - datetime.datetime.utcnow()).total_seconds() / DAY)


def said(text, speaker, listener):
    speaker.sendto(text.encode(), (address, 8090))
    try:
        return listener.recv(2048).decode().endswith(": " + text)
    except socket.timeout:
        return False


a, b, silent = peer(), peer(), peer()
for member in a, b, silent:
    ask(member, 8090, "/who")
print("before:", days_off(), said("before", a, b))
step(600)
print("ten minutes on:", said("later", a, b), said("so it seems", b, a))
step(-DAY)
print("back:", days_off(), said("yesterday", a, b), said("so it is", b, a))
deadline = time.monotonic() + 6
while time.monotonic() < deadline:
    time.sleep(0.5)
    a.sendto(b"/who", (address, 8090))
    count = a.recv(2048).decode().split()[1]
    if count == "1":
        break
print("silent for longer than it may, a member leaves:", count)
print("echoes:", sum(ask(a, 8080, "%d" % n).endswith("%d" % n) for n in range(500)))
step(0)
ask(b, 8090, "/who")
ask(a, 8090, "/who")
print("forward:", days_off(), said("today", a, b))
END

udpxdp=$work/stepped server_start server --quiet -s echo -s "chat,idle=3,history=$work/chat.txt" -w "$work/all.pcap"
on client /usr/bin/python3 "$work/talk.py" $v4 "$file" >"$work/talk.out" 2>"$work/talk.log" ||
	not_ok "the conversation" "$(cat "$work/talk.log")"
said() { sed -n "s/^$1: //p" "$work/talk.out"; }
equal "before: today, and members hear each other" "0 True" "$(said before)"
equal "ten minutes forward at once: nobody is expelled by that" "True True" "$(said "ten minutes on")"
equal "a day back: the stamps are yesterday's, and members hear each other" "-1 True True" "$(said back)"
equal "who falls silent then still leaves when it should" 1 "$(said "silent for longer than it may, a member leaves")"
equal "all of 500 echoes are answered" 500 "$(said echoes)"
equal "and forward again" "0 True" "$(said forward)"
echo hello | on server "$udpxdp" chat --control "$(control server)" 10.80.9.2 7777 >"$work/console.log" 2>&1
equal "a console works" 0 $?
server_stop server
equal "it ends well" 0 $?
equal "nothing was complained of" "" "$(grep -vE '^udpxdp: (ready|no zerocopy)' "$(server_err server)")"
equal "every line is in the history, in the order it was said" "before later so it seems yesterday so it is today hello" \
	"$(sed 's/.*数据://' "$work/chat.txt" | grep -v '^/' | xargs)"
check "the capture holds what came after the step" test \
	"$(tshark -r "$work/all.pcap" -Y 'udp.dstport == 8080' 2>>"$work/tshark.log" | wc -l)" -ge 503

# ---- replayed -----------------------------------------------------------------------------

/usr/bin/python3 - "$work/back.pcap" >"$work/scapy.log" 2>&1 <<'END' || bail "a capture" "$(cat "$work/scapy.log")"
import sys
from scapy.all import Ether, IP, UDP, PcapWriter

writer = PcapWriter(sys.argv[1], linktype=1)
for number in range(200):
    member = number % 2
    frame = (Ether(src="02:00:00:00:00:0%d" % (member + 2), dst="02:00:00:00:00:01") /
             IP(src="10.80.9.%d" % (member + 2), dst="10.80.9.1") /
             UDP(sport=5000, dport=8080 if number < 100 else 8090) / (b"number %d." % number))
    frame.time = 1700000000 - number * 1000  # further back than a member may be silent
    writer.write(frame)
writer.close()
END
status=0
"$udpxdp" replay -r "$work/back.pcap" -w "$work/answers.pcap" --local $v4/24 --quiet -s echo \
	-s chat,history=off >"$work/replay.log" 2>&1 || status=$?
equal "a capture whose time runs backwards: status 0" 0 "$status"

# sent FILTER: how many frames of it went out.
sent() {
	tshark -r "$work/answers.pcap" -Y "$1" 2>>"$work/tshark.log" | wc -l
}
equal "all requests are answered" 100 "$(sent 'udp.srcport == 8080 && frame contains "number"')"
equal "with the time of the request" 2 \
	"$(sent 'frame contains "Tue Nov 14 22:13:20 2023" || frame contains "Mon Nov 13 18:43:20 2023"')"
equal "all that is said is relayed" 99 "$(sent 'udp.srcport == 8090 && frame contains "number"')"

done_testing
