#!/bin/sh
# Usage: web/build.sh ENGAWA      builds web/dist; ENGAWA is the built command line program (the texts of failures)
# Quiet, and done at once when nothing has changed.
set -eu
engawa=$(realpath "${1:?usage: web/build.sh ENGAWA}")
cd "$(dirname "$0")"

changed() { # FILE CONTENT: FILE remembers what was last made
	[ "$(cat "$1" 2>/dev/null)" != "$2" ]
}

# A long step says what it is when it fails, and nothing else.
quietly() {
	if ! "$@" > .log 2>&1; then
		cat .log >&2
		echo "web/build.sh: failed: $*" >&2
		exit 1
	fi
}

packages=$(cat package.json package-lock.json .npmrc | sha256sum)$(node --version)
if changed node_modules/.engawa "$packages"; then
	quietly npm ci --ignore-scripts
	printf '%s\n' "$packages" > node_modules/.engawa
fi
./wasm/build.sh

errors=$("$engawa" explain --json)
inputs=$(printf '%s' "$errors" | cat - generate.mjs vite.config.ts tsconfig.json build.sh package-lock.json \
	../proto/outer.proto ../proto/inner.proto ../proto/signed.proto ../src/crypto/words.def wasm/out/stamp \
	$(find shared viewer -type f | LC_ALL=C sort) | sha256sum)
if [ ! -e dist/index.html ] || changed .stamp "$inputs"; then
	rm -f .stamp
	quietly node generate.mjs "$engawa"
	quietly npx --no-install vite build
	printf '%s\n' "$inputs" > .stamp
fi
