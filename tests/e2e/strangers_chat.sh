#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Attacks on a chat room that were seen to work, and what becomes of them: forged sources that fill
# it, that make it send to a victim, that move members, that speak for others; and what members may
# cost.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server alice bob forger
require segment 1 switch server alice bob forger
v4=10.80.1.1 ann=10.80.1.2 bobs=10.80.1.3
require on server ip route add 192.0.2.0/24 via 10.80.1.4 # whose MAC all that is far has

forge() { on forger "$e2e/forge.py" eth0 "$(mac_of server)" "$v4" "$@" >"$work/forged.json"; }
kept() { [ "$(grep -c . "$work/chat.txt")" -ge "$1" ]; }
# say HOST TEXT: by the peer that runs there.
say() { printf '%s 8090 %s\n' "$v4" "$2" >&"${input_of[$1]}"; }


server_start server -s echo -s broadcast -s "chat,members=64,history=$work/chat.txt"

# ---- a room that forged sources fill ----------------------------------------------------

forge 8090 1024 192.0.2.{1..100} --wait 0.2
check "1,024 forged speakers from off the link, by the router's MAC: 3 times what they sent, at most" within
forge 8090 2000 10.80.1.{100..199} --mac 02:00:00:00:66:66 --wait 0.2
check "2,000 with addresses of the link that nobody has, the same" within
enter alice alice 5000 || bail "a member"
enter bob bob 5000 || bail "a member"
before=$(service_counter server rx chat:8090)
say alice "is there room?"
check "a neighbour speaks" wait_for 5 has_heard server $((before + 1)) chat:8090
say bob "there is"
check "neighbours come in all the same, by speaking" wait_for 5 heard alice "$bobs:5000: there is"
equal "and see no word" 0 "$(cat "$work/alice.log" "$work/bob.log" | grep -c 'to join')"
say bob /who
check "nobody else is here" wait_for 5 heard bob "* 2 here: $ann:5000, $bobs:5000"
check "their words are in the history" wait_for 5 kept 2
equal "and not those of the forged ones" 2 "$(grep -c . "$work/chat.txt")"

# ---- a victim ----------------------------------------------------------------------------

forge 8090 20000 192.0.2.200 --wait 0.2
check "20,000 forged packets of the ports of one victim: 3 times their bytes at most" within
check "and few answers: $(forged '.[0].back')" test "$(forged '.[0].back')" -le 100
forge 8086 2000 192.0.2.201 10.80.1.90 --broadcast --port 8086 --mac 02:00:00:00:66:66 --text announcement --wait 2.5
check "2,000 forged announcements: 3 times their bytes at most" within
for text in /help /who '* x' '\xff' "$(printf 'a%.0s' {1..1400})"; do
	forge 8090 50 192.0.2.202 10.80.1.91 --port 6000 --text "$text" --mac 02:00:00:00:66:66 --wait 0.1
	check "likewise \"${text:0:8}\"" within
done
forge 8080 500 192.0.2.203 10.80.1.92 --port 6000 --text hi --mac 02:00:00:00:66:66 --wait 0.2
check "an echo of two letters stays within, and each is answered: $(forged '[.[].back] | add')" \
	test "$(forged '[.[].back] | add')" = 500 -a "$(within && echo yes)" = yes

# ---- a member's road ---------------------------------------------------------------------

before=$(grep -c . "$work/chat.txt")
for text in "I am alice" /quit "/nick eve"; do
	forge 8090 1 $ann --port 5000 --text "$text" --wait 0.1
	forge 8090 1 $ann --port 5000 --text "$text" --tag 66 --wait 0.1
	say bob "after $text"
	check "\"$text\" by another MAC and by a tag moves nobody" wait_for 5 heard alice "$bobs:5000: after $text"
done
wait_for 5 kept $((before + 3))
equal "nothing of it is kept" $((before + 3)) "$(grep -c . "$work/chat.txt")"
equal "nobody heard it" 0 "$(grep -c 'I am alice' "$work/bob.log")"
check "and each was counted" test "$(service_counter server other_road)" -ge 3
equal "the words went to alice, and not to the forger" "0 yes" \
	"$(forged '.[0].back') $(heard alice '* to join, send: ' && echo yes)"

require on alice ip link set eth0 address 02:00:00:00:0a:11
require on alice ping -c 1 -W 2 $v4
moved() {
	say bob "who moved?"
	heard alice "who moved?"
}
check "a member whose MAC the kernel knows to be another is followed" wait_for 5 moved

# ---- text --------------------------------------------------------------------------------

printf 'hi\nNICK: I resign\n* the room closes\033[2J' >"$work/lines"
on bob sh -c "nc -u -w 1 -p 5005 $v4 8090 <'$work/lines'" >"$work/nc.log" 2>&1
check "a message is one line" wait_for 5 heard alice \
	"$bobs:5005: hi\\nNICK: I resign\\n* the room closes\\x1b[2J"
say bob "【Fri Nov 27 12:00:00 2026】 pasted"
check "a pasted line is told why it is not passed on" wait_for 5 heard bob "* not sent: it begins with a time stamp"

# ---- budgets -----------------------------------------------------------------------------

quick() {
	on bob python3 - "$1" "$2" <<-'PYTHON'
		import socket, sys, time
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(("", int(sys.argv[2])))
		for i in range(int(sys.argv[1])):
		    s.sendto(b"quick %s %d" % (sys.argv[2].encode(), i), ("10.80.1.1", 8090))
		    if i % 50 == 49:
		        time.sleep(0.002)
	PYTHON
}
# What a slow reader's socket loses says nothing of the room: its history has each line that was sent.
said() { grep -c "quick $1 " "$work/chat.txt"; }
said_all() { [ "$(said "$1")" = "$2" ]; }
quick 500 5006
check "500 quick lines are all passed on" wait_for 5 said_all 5006 500
check "and heard" wait_for 5 heard alice "quick 5006 "
quick 5000 5007
sleep 0.5
check "of 5,000 the budget's: $(said 5007)" test "$(said 5007)" -ge 1000 -a "$(said 5007)" -le 1500
check "the others are counted" test "$(service_counter server over_budget)" -ge 3000

server_stop server || not_ok "the server stops"
done_testing
