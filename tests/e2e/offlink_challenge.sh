#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A stranger at the door of the chat: who speaks from off the subnet proves its address first.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client router far
require segment 1 switch server client
require wire router:eth0 switch:port9
require on switch ip link set port9 master br0
require wire router:eth1 far:eth0
require address router eth0 10.80.1.9/24 fd00:80:1::9/64
require address router eth1 10.80.2.1/24 fd00:80:2::1/64
require address far eth0 10.80.2.2/24 fd00:80:2::2/64
require routes router
require on far ip route add default via 10.80.2.1
require on far ip route add default via fd00:80:2::1
require on server ip route add 10.80.2.0/24 via 10.80.1.9
require on server ip route add fd00:80:2::/64 via fd00:80:1::9

# talk HOST ADDR LITERAL...: from one socket, each text in turn; WORD stands for what was asked for.
# Prints the answers.
talk() {
	on "$1" python3 - "${@:2}" <<-'PYTHON'
		import re, socket, sys
		family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		sock = socket.socket(family, socket.SOCK_DGRAM)
		sock.settimeout(0.4)
		word = ""
		for text in sys.argv[2:]:
		    sock.sendto(text.replace("WORD", word).encode(), (sys.argv[1], 8090))
		    try:
		        while True:
		            answer = sock.recv(2048).decode()
		            print(answer.rstrip("\n"))
		            asked = re.match(r"\* to join, send: (\w+)", answer)
		            word = asked[1] if asked else word
		    except socket.timeout:
		        pass
	PYTHON
}
heard() { grep -q -- "$1" "$work/member.log"; }

server_start server -s echo -s "chat,history=$work/chat.txt"
spawn "$work/member.log" client sh -c '{ echo hello; sleep 100; } | socat - UDP4:10.80.1.1:8090,sourceport=5555'
joined() { [ "$(service_counter server rx chat:8090)" -ge 1 ]; }
check "who is on the subnet joins by speaking" wait_for 5 joined
equal "and is not challenged" 0 "$(service_counter server unconfirmed)"
for address in 10.80.1.1 fd00:80:1::1; do
	talk far $address "I am from far away" >"$work/talk.log"
	matches "$address: who is not has to repeat a word" '^\* to join, send: [a-z2-9]{8}$' "$(cat "$work/talk.log")"
	talk far $address "hello" "wrongone" "still not me" >"$work/talk.log"
	equal "$address: a wrong word does not do" 3 "$(grep -c '^\* to join' "$work/talk.log")"
	talk far $address "let me in" "WORD" "now from $address" "/who" >"$work/talk.log"
	matches "$address: the word does" '^\* welcome: [23] here$' "$(cat "$work/talk.log")"
	check "$address: then it is heard" wait_for 3 heard "now from $address"
	check "$address: till then nobody heard it" test "$(grep -c 'far away' "$work/member.log")" = 0
done
check "what was said before never was" test "$(grep -cE 'far away|still not|let me in' "$work/member.log")" = 0
equal "each refusal is counted" 10 "$(service_counter server unconfirmed)"
word=$(talk far 10.80.1.1 "let me in" | sed 's/.*: //')
talk far 10.80.1.1 "$word" "with the word of another" >"$work/talk.log"
equal "a word is good for one address and port alone" 2 "$(grep -c '^\* to join' "$work/talk.log")"
spawn "$work/invited.log" far socat -u UDP4-RECV:6006 -
invited=$pid
bound() { on far ss -Huln sport = :6006 | grep -q .; }
wait_for 5 bound || bail "a socket that waits"
echo "do come in" | on server "$udpxdp" chat --control "$(control server)" 10.80.2.2 6006 --wait 0 >"$work/console.log" 2>&1
check "whom a console speaks to hears it" wait_for 5 grep -q "do come in" "$work/invited.log"
kill "$invited"
finish "$invited" 5
echo -n "thank you" | on far timeout 5 socat -t 0.5 - UDP4:10.80.1.1:8090,sourceport=6006 >"$work/talk.log"
check "and is welcome without a word" wait_for 3 heard "thank you"
server_stop server || not_ok "it stops well"
server_start server -s "chat,history=off,challenge=off"
equal "challenge=off asks for none" "* 1 here: 10.80.2.2:" "$(talk far 10.80.1.1 "hello" "/who" | sed 's/[0-9]*$//')"

done_testing
