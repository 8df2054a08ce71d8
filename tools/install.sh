# Sourced by the commands at the root: installs the Debian packages that are missing, from Debian, and Node where there is
# none. Nothing happens when all are there.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$root/out
mkdir -p "$out/log"
# npm keeps its cache here, not in the home directory.
export npm_config_cache=$out/npm npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false

fail()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# quietly NAME COMMAND…: its output goes to out/log/NAME.log and is shown only when it fails.
quietly()
{
	local log=$out/log/$1.log
	shift
	"$@" > "$log" 2>&1 < /dev/null && return
	tail -n 40 "$log" >&2
	fail "failed: $* (the whole output is in $log)"
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo > /dev/null; then
		sudo --preserve-env=DEBIAN_FRONTEND "$@"
	else
		echo "needs root: $*"
		return 1
	fi
}

# What packages_listed names beside debian-packages.txt: a command may add its own list before install_all.
package_lists=("$root/packaging/debian-packages.txt")

packages_listed()
{
	sed 's/#.*//' "${package_lists[@]}" | xargs -n 1
	# A working npm is kept: Debian's does not go together with other builds of Node.
	if ! npm --version > /dev/null 2>&1; then
		echo npm
		node --version > /dev/null 2>&1 || echo nodejs
	fi
}

packages_missing()
{
	local listed
	listed=$(packages_listed)
	# shellcheck disable=SC2086
	comm -23 <(sort -u <<< "$listed") \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $listed 2> /dev/null | sed -n 's/^installed //p' | sort -u)
}

apt_install()
{
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get install -y --no-install-recommends "$@" ||
		{ as_root apt-get update && as_root apt-get install -y --no-install-recommends "$@"; }
}

# What gets installed must not start services on the machine of somebody who only wants to look.
packages_install()
(
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'as_root rm -f $policy' EXIT
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy > /dev/null
		as_root chmod 755 $policy
	fi
	apt_install "$@"
)

install_all()
{
	local missing major
	[ -r /etc/debian_version ] || fail "this is made for Debian 12"
	missing=$(packages_missing)
	if [ -n "$missing" ]; then
		echo "installing $(wc -w <<< "$missing") Debian packages" >&2
		# shellcheck disable=SC2086
		quietly apt packages_install $missing
	fi
	major=$(node --version 2> /dev/null | sed 's/^v\([0-9]*\).*/\1/')
	[ "${major:-0}" -ge 18 ] || fail "Node 18 or newer is needed, found ${major:-none}"
}
