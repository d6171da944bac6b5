#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a service manager hears: ready, stopping, and the watchdog fed while every worker turns. One
# thread alone is stopped the way a debugger does it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require wire server:eth0 client:eth0 rx=2 tx=2
require address server eth0 10.82.0.1/24
require address client eth0 10.82.0.2/24

# The service manager's end: a line for each message, with the second when it came; STARVED when
# none has come for three.
cat >"$work/manager.py" <<'END'
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)  # systemd's is, too
s.settimeout(3)
while True:
    try:
        lines = s.recv(4096).decode().splitlines()
    except socket.timeout:
        lines = ["STARVED"]
    for line in lines:
        print("%.3f %s" % (time.monotonic(), line), flush=True)
END
# Stops one thread, says so, and lets it go when standard input ends.
cat >"$work/stop_thread.py" <<'END'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
def ptrace(request):
    if libc.ptrace(request, thread, None, None):
        raise OSError(ctypes.get_errno(), "ptrace %#x" % request)
thread = int(sys.argv[1])
ptrace(0x4206)                   # PTRACE_SEIZE
ptrace(0x4207)                   # PTRACE_INTERRUPT
os.waitpid(thread, 0x40000000)   # __WALL
print("stopped", flush=True)
sys.stdin.read()
ptrace(17)                       # PTRACE_DETACH
END

said=$work/said
/usr/bin/python3 "$work/manager.py" "$work/notify" >>"$said" 2>&1 &
wait_for 5 test -S "$work/notify" || bail "a service manager listens" "$(cat "$said")"
fed() { grep -c ' WATCHDOG=1$' "$said"; }
fed_more() { [ "$(fed)" -ge "$1" ]; }
starved() { tail -n 1 "$said" | grep -q ' STARVED$'; }
stopped() { [[ $(ps -o state= -p "$1") == T* ]]; }

export NOTIFY_SOCKET=$work/notify WATCHDOG_USEC=5000000
server_start server
main=${server_pid[server]}
wait_for 2 grep -q ' READY=1$' "$said"
equal "it says once that it is ready" 1 "$(grep -c ' READY=1$' "$said")"
equal "both queues are served" 2 "$(ready_value server queues)"
check "the watchdog is fed while nothing comes" wait_for 8 fed_more 3

# The feeding under traffic, and how often.
: >"$said"
on client timeout 4 "$udpxdp" bench 10.82.0.1 --time 3 --rate 2000 --quiet >/dev/null
check "and under traffic" fed_more 2

thread=$(grep -lx worker/1 /proc/"$main"/task/*/comm | cut -d/ -f5)
[ -n "$thread" ] || bail "worker 1 has a thread" "$(cat /proc/"$main"/task/*/comm)"
require mkfifo "$work/hold"
/usr/bin/python3 "$work/stop_thread.py" "$thread" <"$work/hold" >"$work/stopped" 2>&1 &
holder=$!
exec 9>"$work/hold"
rm "$work/hold"
wait_for 5 grep -q stopped "$work/stopped" || bail "one thread stops" "$(cat "$work/stopped")"
: >"$said"
check "a worker that is stuck starves it" wait_for 10 starved
check "after one feeding for what it did before, at most" test "$(fed)" -le 1
is_stuck() { grep -q 'worker 1 is stuck' "$(server_err server)"; }
wait_for 5 is_stuck
equal "which is said once, with its number" 1 "$(grep -c \
	'^udpxdp: worker 1 is stuck: it has not polled for 3 s; withholding the watchdog keep-alive$' \
	"$(server_err server)")"
check "the other threads still run" alive "$main"

: >"$said"
exec 9>&-
finish "$holder" 5
check "it is fed again when the worker goes on" wait_for 5 fed_more 2

kill -STOP "$main"
require wait_for 5 stopped "$main"
: >"$said"
check "a process that is stopped starves it" wait_for 10 starved
equal "at once" 0 "$(fed)"
kill -CONT "$main"
check "and feeds it again when it goes on" wait_for 5 fed_more 1

server_stop server
equal "exit status" 0 $?
matches "it says that it stops" ' STOPPING=1$' "$(cat "$said")"

: >"$said"
unset WATCHDOG_USEC
server_start server
require wait_for 5 grep -q ' READY=1$' "$said"
wait_for 10 starved
equal "nobody is fed who did not ask" "0 1" "$(fed) $(grep -c ' READY=1$' "$said")"

done_testing
