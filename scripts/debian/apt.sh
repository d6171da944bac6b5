# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Debian's packages of any release and architecture, from the mirror that this machine's own apt uses.
# apt is given lists and directories of its own below $apt: the machine's are not touched.

# repositories SUITE: a line "URI NAME" for each of its repositories, where this machine has its own
# release's from; nothing when apt knows none.
repositories() {
	local ours
	ours=$(. /etc/os-release && echo "$VERSION_CODENAME")
	# shellcheck disable=SC2016 # apt's variables, not the shell's
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY) $(ORIGIN)' |
		awk -v ours="$ours" -v suite="$1" '
			$3 == "main" && $4 == "Packages" && $5 == "Debian" && $2 ~ "^" ours "(-|$)" && !seen[$2]++ {
				if ($2 != ours && suite ~ /-|^(sid|experimental)$/) next # these have no others beside them
				sub("^" ours, suite, $2)
				print $1, $2
			}'
}

# write_sources SUITE...: those repositories, for private_apt.
write_sources() {
	local suite uri name keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=
	[ ! -e $keyring ] || signed="[signed-by=$keyring] "
	mkdir -p "${apt:?}/lists/partial" "$apt/archives/partial"
	for suite; do
		repositories "$suite" | while read -r uri name; do echo "deb $signed$uri $name main"; done
	done >"$apt/sources.list"
	[ -s "$apt/sources.list" ]
}

# private_apt COMMAND ARG...: apt-get or apt-cache, as if nothing were installed; in at
# most $apt_seconds, if that is set.
private_apt() {
	local command=$1
	shift
	# Suites that are no longer cared for have an expired Valid-Until; their signatures still hold.
	timeout "${apt_seconds:-0}" "$command" -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=- \
		-o "Dir::State=$apt" -o "Dir::Cache=$apt" -o Dir::State::status=/dev/null \
		-o Dir::Cache::pkgcache=pkgcache.bin -o Acquire::Check-Valid-Until=false \
		-o APT::Sandbox::User=root "$@"
}
