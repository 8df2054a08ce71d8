/* The files that the agent writes while it runs, each with a change to it, for test_transaction.c.
 * All go through conf_write_file. */
#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/devices.h"
#include "agent/factors.h"
#include "agent/lastgood.h"
#include "agent/local_lock.h"
#include "agent/local_login.h"
#include "agent/local_macs.h"
#include "agent/passkeys.h"
#include "agent/registry.h"
#include "agent/settings.h"
#include "agent/users.h"
#include "agent/webauthn.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"

#define HASH_OLD "$pepper$argon2id$v=19$m=65536,t=3,p=1$b2xkb2xkb2xk$b2xk"
#define HASH_NEW "$pepper$argon2id$v=19$m=65536,t=3,p=1$bmV3bmV3bmV3$bmV3"

static char directory[64], path[96];
static struct agent agent;

/* ---- the files: each can be written in an old and a new form, and told apart by reading ---- */

struct kind {
	const char *name;
	int (*put)(int new); /* 0 or negative */
	int (*get)(void);    /* 1 new, 0 old, negative: damaged */
};

static int
put_settings(int new)
{
	struct settings s = {"", "", ""};
	strcpy(s.mail, new ? "new@city.example" : "old@city.example");
	strcpy(s.password, new ? HASH_NEW : HASH_OLD);
	strcpy(s.lock, new ? HASH_NEW : HASH_OLD);
	return settings_save(path, &s);
}

static int
get_settings(void)
{
	struct settings s;
	int r = settings_load(path, &s, NULL);
	if (r < 0)
		return r;
	int new = strcmp(s.mail, "new@city.example") == 0;
	return strcmp(s.password, new ? HASH_NEW : HASH_OLD) == 0 &&
			       strcmp(s.lock, new ? HASH_NEW : HASH_OLD) == 0
		       ? new
		       : -1;
}

static int
put_users(int new)
{
	static struct users users;
	users = (struct users){.count = new ? 200 : 1};
	for (size_t i = 0; i < users.count; i++) {
		snprintf(users.list[i].name, sizeof users.list[i].name, "person%zu", i);
		strcpy(users.list[i].verifier, HASH_OLD);
	}
	return users_save(path, &users);
}

static int
get_users(void)
{
	static struct users users;
	int r = users_load(path, &users, NULL);
	return r < 0 ? r : users.count == 200 ? 1 : users.count == 1 ? 0 : -1;
}

/* Both kinds of change to what is there, so that memory is seen to stay as the disk is. */
static struct devices *devices;
static const uint8_t device[DEVICE_HASH_BYTES] = {7};

static int
put_devices(int new)
{
	if (new)
		return devices_login(devices, device, "PC-1", 1000);
	devices_free(devices);
	unlink(path);
	assert_int_equal(devices_open(path, &devices, NULL), 0);
	return devices_unlock(devices);
}

static int
get_devices(void)
{
	struct devices *found;
	int r = devices_open(path, &found, NULL);
	if (r < 0)
		return r;
	r = devices_known(found, device);
	devices_free(found);
	return r;
}

static struct factors *factors;

static int
put_factors(int new)
{
	char codes[RECOVERY_COUNT][RECOVERY_TEXT_SIZE];
	if (new)
		return factors_recovery_make(factors, codes);
	factors_free(factors);
	unlink(path);
	assert_int_equal(factors_open(path, &factors, NULL), 0);
	return factors_recovery_remove(factors);
}

static int
get_factors(void)
{
	struct factors *found;
	int r = factors_open(path, &found, NULL);
	if (r < 0)
		return r;
	r = factors_recovery_left(found) == RECOVERY_COUNT;
	factors_free(found);
	return r;
}

static int
put_registry(int new)
{
	struct entry entry = {.since_s = 1000, .name = "old", .mac_count = 1};
	if (new) {
		entry.hash[0] = 1;
		strcpy(entry.name, "家のノート");
		return registry_add(agent.registry, &entry);
	}
	registry_free(agent.registry);
	unlink(path);
	assert_int_equal(registry_open(path, &agent.registry, NULL), 0);
	return registry_add(agent.registry, &entry);
}

static int
get_registry(void)
{
	static const uint8_t old[REGISTRY_HASH_BYTES], new[REGISTRY_HASH_BYTES] = {1};
	struct registry *found;
	int r = registry_open(path, &found, NULL);
	if (r < 0)
		return r;
	r = !registry_find(found, old) ? -1 : registry_find(found, new) != NULL;
	registry_free(found);
	return r;
}

/* The key comes and its code goes in one write. */
static struct passkey key = {.algorithm = WEBAUTHN_EDDSA,
	.credential_len = 1,
	.credential = {7},
	.label = "鍵",
	.public_key_len = 32,
	.public_key = {9}};

static int
put_passkeys(int new)
{
	char code[PAPER_TEXT_SIZE];
	if (new)
		return passkeys_add(agent.passkeys, &key, 1000);
	passkeys_free(agent.passkeys);
	unlink(path);
	assert_int_equal(passkeys_open(path, &agent.passkeys, NULL), 0);
	return passkeys_begin(agent.passkeys, "", key.label, 1000, code);
}

static int
get_passkeys(void)
{
	struct passkeys *found;
	int r = passkeys_open(path, &found, NULL);
	if (r < 0)
		return r;
	int open = passkeys_is_open(found, 1000);
	r = passkeys_find(found, key.credential, key.credential_len) != NULL;
	passkeys_free(found);
	return r != open ? r : -1;
}

/* What agent.sock answers for a full disk. */
static int
plain(int r)
{
	return r == -ERR_DISK_FULL ? -ENOSPC : r;
}

static int
put_addresses(int new)
{
	char out[64];
	if (new)
		return plain(local_login(
			&agent, MSG_ADDRESSES, "allow 192.0.2.0/24 1", out, sizeof out));
	iplist_fini(&agent.addresses);
	return local_login(&agent, MSG_ADDRESSES, "deny 198.51.100.0/24", out, sizeof out);
}

static int
get_addresses(void)
{
	struct iplist list;
	struct conf_error error;
	char *text;
	size_t len;
	int r = conf_read_file(path, IPLIST_FILE_MAX_BYTES, &text, &len);
	if (r < 0)
		return r;
	r = iplist_parse(text, len, &list, &error);
	free(text);
	if (r < 0)
		return r;
	r = iplist_check(&list, "198.51.100.1") == -ERR_ADDRESS_DENIED && list.count <= 2
		    ? list.count == 2
		    : -1;
	iplist_fini(&list);
	return r;
}

static int
put_macs(int new)
{
	char out[64];
	if (new)
		return plain(local_macs(&agent, "add 00-11-22-33-44-66 new", out, sizeof out));
	local_macs_close(&agent);
	agent.macs_text = mem_str("");
	return local_macs(&agent, "add 00-11-22-33-44-55 # 古い", out, sizeof out);
}

static int
get_macs(void)
{
	static const uint8_t old[] = {0, 0x11, 0x22, 0x33, 0x44, 0x55},
			     new[] = {0, 0x11, 0x22, 0x33, 0x44, 0x66};
	struct agent found = {.options.state_directory = directory};
	struct conf_error error;
	char name[128];
	int r = local_macs_open(&found, name, sizeof name, &error);
	if (r == 0)
		r = maclist_has(&found.macs, old) ? maclist_has(&found.macs, new) : -1;
	local_macs_close(&found);
	return r;
}

/* Failures at the settings password. */
static int
put_local(int new)
{
	struct tries before;
	if (new)
		return local_lock_charge(&agent, 1000, &before);
	devices_free(agent.local_tries);
	unlink(path);
	assert_int_equal(devices_open(path, &agent.local_tries, NULL), 0);
	return local_lock_charge(&agent, 1000, &before);
}

/* The most of anybody, after "ROW "; 0: not readable. */
static unsigned
failures_in_a_row(void)
{
	char *text;
	size_t len;
	unsigned most = 0, row;
	if (conf_read_file(path, 1 << 16, &text, &len) < 0)
		return 0;
	for (const char *at = text; (at = strstr(at, "ROW ")); at++)
		if (sscanf(at, "ROW %u", &row) == 1 && row > most)
			most = row;
	free(text);
	return most;
}

static int
get_local(void)
{
	struct devices *found;
	int r = devices_open(path, &found, NULL);
	if (r < 0)
		return r;
	devices_free(found);
	unsigned row = failures_in_a_row();
	return row == 2 ? 1 : row == 1 ? 0 : -1;
}

/* Until when certificates were known to be good: the old time, or the new one. */
static int
put_certificates(int new)
{
	return lastgood_set(path, device, new ? 2000 : 1000);
}

static int
get_certificates(void)
{
	uint64_t at_s = lastgood_find(path, device);
	return at_s == 2000 ? 1 : at_s == 1000 ? 0 : -1;
}

static void
kinds_free(void)
{
	devices_free(devices);
	factors_free(factors);
	registry_free(agent.registry);
	passkeys_free(agent.passkeys);
	iplist_fini(&agent.addresses);
	local_macs_close(&agent);
	devices_free(agent.local_tries);
	devices = agent.local_tries = NULL;
	factors = NULL;
	agent.registry = NULL;
	agent.passkeys = NULL;
}

static const struct kind kinds[] = {
	{"settings", put_settings, get_settings},
	{"users", put_users, get_users},
	{"devices", put_devices, get_devices},
	{"factors", put_factors, get_factors},
	{"registry", put_registry, get_registry},
	{"passkeys", put_passkeys, get_passkeys},
	{"addresses", put_addresses, get_addresses},
	{"macs", put_macs, get_macs},
	{"local", put_local, get_local},
	{"certificates", put_certificates, get_certificates},
};
