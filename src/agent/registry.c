#include "agent/registry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	HOUR_S = 3600,
	NUMBER_DIGITS_MIN = 8
};

static const char *const state_names[] = {"registered", "applied", "removed"};

/* ---- the file ---- */

/* STATE HASH POINT SINCE */
static int
parse_device(struct registry *r, const char *value)
{
	char state[16], hash[2 * REGISTRY_HASH_BYTES + 1], point[2 * SIGN_POINT_BYTES + 1];
	unsigned long long since_s;
	int end = 0;
	if (r->count == sizeof r->list / sizeof r->list[0] ||
		sscanf(value, "%15s %64s %130s %19llu%n", state, hash, point, &since_s, &end) !=
			4 ||
		value[end])
		return -ERR_SETTING;
	struct entry *e = &r->list[r->count];
	memset(e, 0, sizeof *e);
	e->since_s = since_s;
	while (strcmp(state_names[e->state], state) != 0)
		if (++e->state > ENTRY_REMOVED)
			return -ERR_SETTING;
	if (str_unhex(hash, e->hash, sizeof e->hash) < 0 ||
		str_unhex(point, e->point, sizeof e->point) < 0 || registry_find(r, e->hash))
		return -ERR_SETTING;
	r->count++;
	return 0;
}

static int
on_line(void *user, const char *key, const char *value)
{
	struct registry *r = user;
	if (strcmp(key, "DEVICE") == 0)
		return parse_device(r, value);
	struct entry *e = r->count ? &r->list[r->count - 1] : NULL;
	int fits = -1;
	if (e && strcmp(key, "NAME") == 0)
		fits = str_copy(e->name, sizeof e->name, value);
	else if (e && strcmp(key, "COMPUTER") == 0)
		fits = str_copy(e->computer, sizeof e->computer, value);
	else if (e && strcmp(key, "OS") == 0)
		fits = str_copy(e->os, sizeof e->os, value);
	else if (e && strcmp(key, "ADDRESS") == 0)
		fits = str_copy(e->address, sizeof e->address, value);
	else if (e && strcmp(key, "MAC") == 0 && e->mac_count < FACTS_MACS_MAX)
		fits = str_unhex(value, e->macs[e->mac_count++], sizeof e->macs[0]);
	return fits < 0 || !str_printable(value) ? -ERR_SETTING : 0;
}

static int
check(const struct registry *r)
{
	return registry_count(r, ENTRY_REGISTERED) > REGISTRY_MAX ||
			       registry_count(r, ENTRY_REMOVED) > REMOVED_MAX ||
			       registry_count(r, ENTRY_APPLIED) > APPLICATIONS_MAX
		       ? -ERR_SETTING
		       : 0;
}

int
registry_parse(const char *text, size_t len, struct registry *ret_registry)
{
	unsigned line;
	ret_registry->count = 0;
	int r = conf_lines(text, len, on_line, ret_registry, &line);
	if (r == 0)
		r = check(ret_registry);
	if (r < 0)
		ret_registry->count = 0;
	return r;
}

int
registry_open(const char *path, struct registry **ret_registry, struct conf_error *error)
{
	struct registry *registry = mem_new(sizeof *registry);
	registry->path = mem_str(path);
	int r = conf_load(path, REGISTRY_TEXT_MAX_BYTES, on_line, registry, error);
	if (r == 0)
		r = check(registry);
	if (r < 0 && r != -ENOENT) {
		registry_free(registry);
		return r;
	}
	*ret_registry = registry;
	return 0;
}

void
registry_free(struct registry *registry)
{
	if (!registry)
		return;
	free(registry->path);
	free(registry);
}

/* A value is not empty in a file of lines: what is not known has no line. */
static void
print_text(FILE *out, const char *key, const char *value)
{
	if (*value)
		fprintf(out, "%s %s\n", key, value);
}

static void
print_entry(FILE *out, const struct entry *e)
{
	char hash[2 * REGISTRY_HASH_BYTES + 1], point[2 * SIGN_POINT_BYTES + 1], mac[13];
	str_hex(hash, e->hash, sizeof e->hash);
	str_hex(point, e->point, sizeof e->point);
	fprintf(out, "DEVICE %s %s %s %llu\n", state_names[e->state], hash, point,
		(unsigned long long)e->since_s);
	print_text(out, "NAME", e->name);
	print_text(out, "COMPUTER", e->computer);
	print_text(out, "OS", e->os);
	print_text(out, "ADDRESS", e->address);
	for (size_t i = 0; i < e->mac_count; i++) {
		str_hex(mac, e->macs[i], sizeof e->macs[i]);
		fprintf(out, "MAC %s\n", mac);
	}
}

static int
save(const struct registry *r)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < r->count; i++)
		print_entry(out, &r->list[i]);
	int result = fclose(out) == 0 ? conf_write_file(r->path, text, len, 0600) : -ENOMEM;
	free(text);
	return result;
}

/* The change, or what was there before it. */
static int
commit(struct registry *r, struct registry *before)
{
	int result = save(r);
	if (result < 0)
		*r = *before;
	free(before);
	return result;
}

static struct registry *
copy(const struct registry *r)
{
	struct registry *before = mem_new(sizeof *before);
	*before = *r;
	return before;
}

/* ---- entries ---- */

const struct entry *
registry_find(const struct registry *r, const uint8_t hash[static REGISTRY_HASH_BYTES])
{
	for (size_t i = 0; i < r->count; i++)
		if (memcmp(r->list[i].hash, hash, REGISTRY_HASH_BYTES) == 0)
			return &r->list[i];
	return NULL;
}

size_t
registry_count(const struct registry *r, enum entry_state state)
{
	size_t n = 0;
	for (size_t i = 0; i < r->count; i++)
		n += r->list[i].state == state;
	return n;
}

static void
take(char *out, size_t size, const char *text)
{
	if (!str_printable(text) || str_copy(out, size, text) < 0)
		out[0] = '\0';
	/* a file of lines keeps no blanks at the ends */
	while (*out == ' ')
		memmove(out, out + 1, strlen(out));
	for (size_t len = strlen(out); len > 0 && out[len - 1] == ' ';)
		out[--len] = '\0';
}

void
registry_take(struct entry *ret_entry, const struct facts *facts,
	const uint8_t hash[static REGISTRY_HASH_BYTES], const char *address, uint64_t now_s)
{
	struct entry e = {.since_s = now_s, .mac_count = facts->mac_count};
	memcpy(e.hash, hash, sizeof e.hash);
	memcpy(e.point, facts->device_key, sizeof e.point);
	take(e.name, sizeof e.name, facts->apply);
	take(e.computer, sizeof e.computer, facts->computer_name);
	take(e.os, sizeof e.os, facts->os);
	take(e.address, sizeof e.address, address);
	memcpy(e.macs, facts->macs, sizeof e.macs);
	*ret_entry = e;
}

static void
drop(struct registry *r, const struct entry *entry)
{
	size_t at = (size_t)(entry - r->list);
	memmove(&r->list[at], &r->list[at + 1], (r->count - at - 1) * sizeof r->list[0]);
	r->count--;
}

/* What makes room: the oldest in this state, or from this address only. */
static const struct entry *
oldest(const struct registry *r, enum entry_state state, const char *address)
{
	const struct entry *found = NULL;
	for (size_t i = 0; i < r->count; i++) {
		const struct entry *e = &r->list[i];
		if (e->state == state && (!address || strcmp(e->address, address) == 0) &&
			(!found || e->since_s < found->since_s))
			found = e;
	}
	return found;
}

int
registry_add(struct registry *r, const struct entry *entry)
{
	struct registry *before = copy(r);
	const struct entry *old = registry_find(r, entry->hash);
	if (old)
		drop(r, old);
	if (registry_count(r, ENTRY_REGISTERED) >= REGISTRY_MAX) {
		*r = *before;
		free(before);
		return -ERR_LIMIT;
	}
	struct entry *e = &r->list[r->count++];
	*e = *entry;
	e->state = ENTRY_REGISTERED;
	return commit(r, before);
}

static size_t
from_address(const struct registry *r, const char *address)
{
	size_t n = 0;
	for (size_t i = 0; i < r->count; i++)
		n += r->list[i].state == ENTRY_APPLIED && strcmp(r->list[i].address, address) == 0;
	return n;
}

static void
make_room(struct registry *r, const char *address)
{
	const struct entry *victim = NULL;
	size_t most = 0;
	if (from_address(r, address) >= APPLICATIONS_ADDRESS_MAX) {
		drop(r, oldest(r, ENTRY_APPLIED, address));
		return;
	}
	if (registry_count(r, ENTRY_APPLIED) < APPLICATIONS_MAX)
		return;
	for (size_t i = 0; i < r->count; i++) {
		size_t n =
			r->list[i].state == ENTRY_APPLIED ? from_address(r, r->list[i].address) : 0;
		if (n > most) {
			most = n;
			victim = oldest(r, ENTRY_APPLIED, r->list[i].address);
		}
	}
	drop(r, victim);
}

static void
drop_stale(struct registry *r, uint64_t now_s)
{
	const struct entry *e;
	while ((e = oldest(r, ENTRY_APPLIED, NULL)) && e->since_s + APPLICATION_LIFE_S < now_s)
		drop(r, e);
}

int
registry_apply(struct registry *r, const struct entry *entry)
{
	const struct entry *old = registry_find(r, entry->hash);
	if (old && old->state != ENTRY_APPLIED)
		return 0;
	if (r->hour_s + HOUR_S <= entry->since_s || r->hour_s > entry->since_s) {
		r->hour_s = entry->since_s;
		r->hour_count = 0;
	}
	if (r->hour_count >= APPLICATIONS_HOUR_MAX)
		return -ERR_LIMIT;
	r->hour_count++;
	struct registry *before = copy(r);
	if (old)
		drop(r, old);
	drop_stale(r, entry->since_s);
	make_room(r, entry->address);
	struct entry *e = &r->list[r->count++];
	*e = *entry;
	e->state = ENTRY_APPLIED;
	return commit(r, before);
}

int
registry_remove(struct registry *r, const uint8_t hash[static REGISTRY_HASH_BYTES], uint64_t now_s)
{
	struct entry *e = (struct entry *)(uintptr_t)registry_find(r, hash);
	if (!e)
		return -ERR_NOT_FOUND;
	struct registry *before = copy(r);
	e->state = ENTRY_REMOVED;
	e->since_s = now_s;
	if (registry_count(r, ENTRY_REMOVED) > REMOVED_MAX)
		drop(r, oldest(r, ENTRY_REMOVED, NULL));
	return commit(r, before);
}

int
registry_reject(struct registry *r, const uint8_t hash[static REGISTRY_HASH_BYTES])
{
	const struct entry *e = registry_find(r, hash);
	if (!e)
		return -ERR_NOT_FOUND;
	struct registry *before = copy(r);
	drop(r, e);
	return commit(r, before);
}

int
registry_rename(
	struct registry *r, const uint8_t hash[static REGISTRY_HASH_BYTES], const char *name)
{
	struct entry *e = (struct entry *)(uintptr_t)registry_find(r, hash);
	if (!e)
		return -ERR_NOT_FOUND;
	struct registry *before = copy(r);
	take(e->name, sizeof e->name, name);
	return commit(r, before);
}

/* ---- numbers ---- */

void
registry_number(const uint8_t hash[static REGISTRY_HASH_BYTES],
	char ret_number[static REGISTRY_NUMBER_SIZE])
{
	snprintf(ret_number, REGISTRY_NUMBER_SIZE, "%02X%02X-%02X%02X-%02X%02X-%02X%02X", hash[0],
		hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
}

static int
matches(const struct entry *e, const char *text)
{
	char number[REGISTRY_NUMBER_SIZE];
	size_t digits = 0;
	registry_number(e->hash, number);
	if (e->name[0] && strcmp(e->name, text) == 0)
		return 1;
	for (const char *p = number; *text; text++) {
		if (*text == '-')
			continue;
		while (*p == '-')
			p++;
		if (toupper((unsigned char)*text) != *p)
			return 0;
		p++;
		digits++;
	}
	return digits >= NUMBER_DIGITS_MIN;
}

int
registry_search(const struct registry *r, enum entry_state state, const char *text,
	const struct entry **ret_entry)
{
	const struct entry *found = NULL;
	for (size_t i = 0; i < r->count; i++) {
		if (r->list[i].state != state || !matches(&r->list[i], text))
			continue;
		if (found)
			return -ERR_NOT_FOUND;
		found = &r->list[i];
	}
	if (!found)
		return -ERR_NOT_FOUND;
	*ret_entry = found;
	return 0;
}
