# Sourced after install.sh: the builds. Each does nothing when nothing changed.
# shellcheck shell=bash disable=SC2154

# meson_build DIRECTORY [OPTION…]
meson_build()
{
	local directory=$root/$1
	shift
	[ -f "$directory/build.ninja" ] || quietly "setup-$(basename "$directory")" meson setup "$@" "$directory" "$root"
	quietly "ninja-$(basename "$directory")" ninja -C "$directory"
}

# What runs: programs in build/, pages in web/dist/.
build_programs()
{
	meson_build build
	build_web
}

# What is tested unit by unit: with the address and undefined-behaviour sanitizers.
build_sanitized()
{
	meson_build build-san -Db_sanitize=address,undefined
}

build_web()
{
	quietly web "$root/web/build.sh" "$root/build/src/cli/engawa"
}
