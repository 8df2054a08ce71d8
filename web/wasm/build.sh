#!/bin/sh
# Makes web/wasm/out/*.wasm: the picture decoder (src/screen with Debian's libzstd), Argon2id (the reference
# implementation, as Debian's cryptsetup carries it) and, for the tests, a zstd encoder.
# The sources come through an apt configuration of this script's own; the system's stays as it is.
set -eu
cd "$(dirname "$0")"
out=$PWD/out
src=../../src
decoder="$src/screen/decode.c $src/screen/image.c $src/screen/move.c $src/screen/watermark.c $src/base/wire.c"
headers="$src/screen/decode.h $src/screen/image.h $src/screen/picture.h $src/screen/move.h $src/screen/watermark.h $src/base/wire.h $src/base/err.h $src/base/err.def"
# shellcheck disable=SC2086
stamp=$(cat build.sh picture.c terminal.c encoder.c $decoder $headers | sha256sum)
if [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi
mkdir -p "$out"
rm -f "$out/stamp"

# Debian's mirrors as the system has them, as source repositories.
fetch() {
	apt=$out/apt
	mkdir -p "$apt/parts" "$apt/state/lists/partial" "$apt/cache/archives/partial" "$out/src"
	release=$(. /etc/os-release && echo "$VERSION_CODENAME")
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -e "$keyring" ] && signed="[signed-by=$keyring]" || signed=
	# apt's own variables, filled in by apt
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
		awk -v release="$release" -v signed="$signed" \
			'$3 == "main" && ($2 == release || index($2, release "-") == 1) && !seen[$0]++ { print "deb-src", signed, $0 }' \
			> "$apt/parts/debian.list"
	if [ ! -s "$apt/parts/debian.list" ]; then
		echo "web/wasm/build.sh: no Debian mirror for $release in the system's apt sources" >&2
		exit 1
	fi
	cat > "$apt/apt.conf" <<-END
		Dir::State "$apt/state";
		Dir::State::status "/var/lib/dpkg/status";
		Dir::Cache "$apt/cache";
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$apt/parts";
		APT::Sandbox::User "root";
		APT::Get::Only-Source "true";
	END
	(
		cd "$out/src"
		export APT_CONFIG="$apt/apt.conf"
		apt-get -q update && apt-get -q source libzstd cryptsetup
	) > "$out/fetch.log" 2>&1 || {
		tail -n 5 "$out/fetch.log" >&2
		echo "web/wasm/build.sh: the sources could not be fetched; the log is web/wasm/out/fetch.log" >&2
		exit 1
	}
	rm -rf "$apt" "$out"/src/*.tar.* "$out"/src/*.dsc
}

ls -d "$out"/src/libzstd-*/lib "$out"/src/cryptsetup-*/lib > /dev/null 2>&1 || fetch
zstd=$(ls -d "$out"/src/libzstd-*/lib)
argon2=$(ls -d "$out"/src/cryptsetup-*/lib/crypto_backend/argon2)

# wasm NAME MAX_MIB FLAGS FILES: a library module that imports nothing.
wasm() {
	name=$1 max=$(($2 * 1024 * 1024))
	shift 2
	clang --target=wasm32-wasi -mexec-model=reactor -O3 -mbulk-memory -msimd128 -flto -fvisibility=hidden \
		-DNDEBUG -Wl,--strip-all -Wl,--gc-sections -Wl,-z,stack-size=262144 "-Wl,--max-memory=$max" \
		"$@" -o "$out/$name.wasm"
}

zstd_flags="-I$zstd -DZSTD_LEGACY_SUPPORT=0 -DZSTD_DISABLE_ASM=1 -DZSTD_STRIP_ERROR_STRINGS=1 -DDEBUGLEVEL=0"
common=$(ls "$zstd"/common/*.c | grep -v -e /pool.c -e /threading.c)
# shellcheck disable=SC2086
wasm picture 512 $zstd_flags "-I$src" picture.c $decoder $common "$zstd"/decompress/*.c
# shellcheck disable=SC2086
wasm encoder 256 $zstd_flags -O1 encoder.c $common "$zstd"/compress/*.c
wasm terminal 128 "-I$argon2" -DARGON2_NO_THREADS terminal.c "$argon2"/argon2.c "$argon2"/core.c "$argon2"/ref.c \
	"$argon2"/encoding.c "$argon2"/blake2/blake2b.c
printf '%s\n' "$stamp" > "$out/stamp"
