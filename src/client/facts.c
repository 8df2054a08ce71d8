#include "client/facts.h"
#include "base/build.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/session.h"
#include "crypto/seal.h"
#include "crypto/sign.h"
#include "net/mac.h"

enum {
	OS_RELEASE_MAX_BYTES = 8192,
	WINDOW_MIB = 32
};

/* Cuts at a character, for the other side refuses half ones. */
static void
copy_text(char *out, size_t size, const char *s)
{
	size_t len = strlen(s);
	if (len >= size) {
		len = size - 1;
		while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
			len--;
	}
	out[0] = '\0';
	if (str_utf8(s, len)) {
		memcpy(out, s, len);
		out[len] = '\0';
	}
}

void
facts_os(char *release, char *out, size_t size)
{
	static const char key[] = "PRETTY_NAME=\"";
	char *value = strstr(release, key);
	if (!value)
		return;
	value += sizeof key - 1;
	value[strcspn(value, "\"\n")] = '\0';
	copy_text(out, size, value);
}

static void
collect_os(engawa_Facts *facts)
{
	struct utsname name;
	char *text;
	size_t len;
	if (uname(&name) == 0)
		copy_text(facts->os, sizeof facts->os, name.sysname);
	if (conf_read_file("/etc/os-release", OS_RELEASE_MAX_BYTES, &text, &len) < 0)
		return;
	facts_os(text, facts->os, sizeof facts->os);
	free(text);
}

static void
collect_macs(engawa_Facts *facts)
{
	uint8_t macs[sizeof facts->mac / sizeof facts->mac[0]][MAC_BYTES];
	size_t count = mac_permanent(macs, sizeof macs / sizeof macs[0]);
	for (; facts->mac_count < count; facts->mac_count++) {
		facts->mac[facts->mac_count].size = MAC_BYTES;
		memcpy(facts->mac[facts->mac_count].bytes, macs[facts->mac_count], MAC_BYTES);
	}
}

void
facts_collect(uint32_t width_px, uint32_t height_px, engawa_Facts *ret_facts)
{
	char name[HOST_NAME_MAX + 1] = "";
	const char *locale = setlocale(LC_MESSAGES, NULL);
	*ret_facts = (engawa_Facts){
		.kind = engawa_ClientKind_CLIENT_APP,
		.build = BUILD,
		.window_mib = WINDOW_MIB,
		.film = true,
		.monitors_count = 1,
		.monitors = {{.width_px = width_px, .height_px = height_px, .scale_percent = 100}},
	};
	if (gethostname(name, sizeof name - 1) == 0)
		copy_text(ret_facts->computer_name, sizeof ret_facts->computer_name, name);
	strcpy(ret_facts->locale, err_lang(locale) == ERR_LANG_JA ? "ja" : "en");
	collect_os(ret_facts);
	collect_macs(ret_facts);
}

int
device_key_path(char *ret_path, size_t size)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	if (config && *config)
		return str_print(ret_path, size, "%s/engawa/device.key", config);
	if (!home || !*home)
		return -ENOENT;
	return str_print(ret_path, size, "%s/.config/engawa/device.key", home);
}

/* Like mkdir -p, for this user only. */
static int
make_directory(const char *path)
{
	char part[PATH_MAX];
	if (str_copy(part, sizeof part, path) < 0)
		return -ENAMETOOLONG;
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

int
device_key_load(const char *path, struct noise_keypair *ret_device)
{
	struct noise_keypair fresh;
	int r = seal_key_load(path, ret_device->secret, ret_device->public);
	if (r != -ENOENT)
		return r;
	r = make_directory(path);
	if (r == 0)
		r = noise_keypair_generate(&fresh);
	if (r < 0)
		return r;
	r = seal_key_save(fresh.secret, path);
	mem_wipe(&fresh, sizeof fresh);
	/* another of our programs may have been first */
	return r < 0 && r != -EEXIST ? r
				     : seal_key_load(path, ret_device->secret, ret_device->public);
}

int
device_proof_load(const char *path, struct evp_pkey_st **ret_key)
{
	char proof[PATH_MAX];
	uint8_t point[SIGN_POINT_BYTES];
	struct evp_pkey_st *key;
	int r = str_print(proof, sizeof proof, "%s.proof", path);
	if (r == 0)
		r = sign_key_load(proof, &key);
	if (r == -ENOENT) {
		key = sign_key_generate();
		r = key ? sign_key_save(key, proof) : -ERR_CRYPTO;
		sign_key_free(key);
		if (r == 0 || r == -EEXIST)
			r = sign_key_load(proof, &key);
	}
	if (r < 0)
		return r;
	if (sign_key_point(key, point) < 0) {
		sign_key_free(key);
		return -ERR_CRYPTO;
	}
	*ret_key = key;
	return 0;
}
