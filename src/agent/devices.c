#include "agent/devices_table.h"

#include <assert.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

enum {
	HOUR_S = 3600
};

/* No hash of a key that anybody could find. */
const uint8_t devices_pairing[DEVICE_HASH_BYTES];

static struct device *
find(const struct devices *d, const uint8_t *hash)
{
	for (size_t i = 0; i < d->count; i++)
		if (memcmp(d->list[i].hash, hash, DEVICE_HASH_BYTES) == 0)
			return (struct device *)(uintptr_t)&d->list[i];
	return NULL;
}

/* No hash that anybody could find the name of either: all ones, and the number. */
static int
is_shared(const uint8_t *hash)
{
	for (size_t i = 0; i < DEVICE_HASH_BYTES - 1; i++)
		if (hash[i] != UINT8_MAX)
			return 0;
	return 1;
}
_Static_assert(DEVICES_SHARED == UINT8_MAX + 1, "the number is the last byte");

int
devices_shared(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	uint8_t ret_hash[static DEVICE_HASH_BYTES])
{
	uint8_t mixed[DEVICES_SALT_BYTES + DEVICE_HASH_BYTES], digest[SHA256_DIGEST_LENGTH];
	if (!devices->salted && RAND_bytes(devices->salt, DEVICES_SALT_BYTES) != 1)
		return -ERR_CRYPTO;
	devices->salted = 1;
	memcpy(mixed, devices->salt, DEVICES_SALT_BYTES);
	memcpy(mixed + DEVICES_SALT_BYTES, hash, DEVICE_HASH_BYTES);
	SHA256(mixed, sizeof mixed, digest);
	memset(ret_hash, UINT8_MAX, DEVICE_HASH_BYTES - 1);
	ret_hash[DEVICE_HASH_BYTES - 1] = digest[0];
	return 0;
}

static struct tries *
tries_of(const struct devices *d, const uint8_t *hash)
{
	struct device *device = find(d, hash);
	if (memcmp(hash, devices_pairing, DEVICE_HASH_BYTES) == 0)
		return (struct tries *)(uintptr_t)&d->pairing;
	if (is_shared(hash))
		return (struct tries *)(uintptr_t)&d->shared[hash[DEVICE_HASH_BYTES - 1]];
	return device ? &device->tries : (struct tries *)(uintptr_t)&d->strangers;
}

int
devices_known(const struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES])
{
	return find(devices, hash) != NULL;
}

int
devices_seen(const struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES])
{
	const struct device *device = find(devices, hash);
	return device && device->last_s > 0;
}

/* May a be given up for b? */
static int
goes_before(const struct device *a, const struct device *b)
{
	if (!b || (a->tries.row == 0) != (b->tries.row == 0))
		return !b || a->tries.row == 0;
	return a->last_s < b->last_s;
}

/* Who has failures keeps the place, or they would be forgotten by filling the list; only what is
 * registered now has its place for sure. */
static struct device *
make_room(struct devices *d, int registered)
{
	if (d->count < DEVICES_MAX)
		return &d->list[d->count++];
	struct device *out = NULL;
	for (size_t i = 0; i < d->count; i++)
		if (!d->list[i].kept && goes_before(&d->list[i], out))
			out = &d->list[i];
	assert(out); /* there are fewer registered devices than places */
	if (out->tries.row > 0 && !registered)
		return NULL;
	memset(out, 0, sizeof *out);
	return out;
}

static struct device *
add(struct devices *d, const uint8_t *hash, int registered, uint64_t now_s)
{
	struct device *device = make_room(d, registered);
	if (!device)
		return NULL;
	memcpy(device->hash, hash, DEVICE_HASH_BYTES);
	device->first_s = now_s;
	return device;
}

int
devices_login(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	const char *name, uint64_t now_s)
{
	struct device *device = find(devices, hash);
	if (!device) {
		devices->strangers.row = 0; /* one of them has proved himself */
		device = add(devices, hash, 0, now_s);
	}
	if (!device) {
		int r = devices_save(devices);
		return r < 0 ? r : -ERR_LIMIT;
	}
	device->last_s = now_s;
	/* a name is for people; one that does not fit is none */
	if (str_copy(device->name, sizeof device->name, name) < 0 || !str_printable(name))
		device->name[0] = '\0';
	device->tries.failures = 0;
	device->tries.until_s = 0;
	device->tries.row = 0;
	return devices_save(devices);
}

void
devices_mark_kept(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES])
{
	struct device *device = find(devices, hash);
	if (device)
		device->kept = 1;
}

int
devices_keep(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES], int keep,
	uint64_t now_s)
{
	struct device *device = find(devices, hash);
	if (!keep && device)
		*device = devices->list[--devices->count];
	if (!keep)
		return devices_save(devices);
	if (!device)
		device = add(devices, hash, 1, now_s);
	device->kept = 1;
	return devices_save(devices);
}

int
devices_enter(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES], uint64_t now_s)
{
	if (find(devices, hash))
		return 0;
	struct device *device = add(devices, hash, 0, now_s);
	if (!device)
		return -ERR_LIMIT;
	device->last_s = now_s;
	return 0;
}

int
devices_paired(struct devices *devices)
{
	devices->pairing = (struct tries){0};
	return devices_save(devices);
}

static uint64_t
delay_s(uint32_t failures, const struct lockout_rule *rule)
{
	uint64_t delay = rule->timeout_s;
	for (uint32_t n = failures / rule->count; n > 1 && delay < LOCKOUT_DELAY_MAX_S; n--)
		delay *= 2;
	uint64_t cap =
		rule->timeout_s > LOCKOUT_DELAY_MAX_S ? rule->timeout_s : LOCKOUT_DELAY_MAX_S;
	return delay < cap ? delay : cap;
}

/* A wall clock that was set back must neither lift a lock-out nor make it last for years: what is
 * left is counted from the first look at the new time on. */
static uint64_t
left_s(struct tries *t, uint64_t now_s)
{
	if (t->until_s <= now_s)
		return 0;
	if (t->failed_s > now_s) {
		t->until_s = now_s + (t->until_s > t->failed_s ? t->until_s - t->failed_s : 0);
		t->failed_s = now_s;
	}
	return t->until_s - now_s;
}

int
devices_check(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES], uint64_t now_s,
	uint32_t *ret_retry_s)
{
	struct tries *t = tries_of(devices, hash);
	uint64_t left = left_s(t, now_s);
	if (t->row >= LOCKOUT_ROW_MAX)
		return -ERR_SHUT_OUT;
	if (left == 0)
		return 0;
	*ret_retry_s = (uint32_t)left;
	return -ERR_LOCKED_OUT;
}

int
devices_charge(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	const struct lockout_rule *rule, uint64_t now_s, struct tries *ret_before)
{
	struct tries *t = tries_of(devices, hash);
	struct tries before = *t;
	if (t->failed_s + LOCKOUT_MEMORY_S < now_s)
		t->failures = 0;
	t->failures++;
	t->row++;
	t->failed_s = now_s;
	if (t->failures % rule->count == 0)
		t->until_s = now_s + delay_s(t->failures, rule);
	int r = devices_save(devices);
	if (r < 0) {
		*t = before;
		return r;
	}
	*ret_before = before;
	return 0;
}

int
devices_refund(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	const struct tries *before)
{
	struct tries *t = tries_of(devices, hash);
	if (t->failures > 0)
		t->failures--;
	if (t->row > 0)
		t->row--;
	/* another login may have failed in between: its lock-out stays */
	if (t->failures <= before->failures)
		t->until_s = before->until_s;
	return devices_save(devices);
}

/* How long until there may be another mail. */
static uint64_t
mails_wait_s(const struct devices *d, const struct tries *t, uint32_t strangers_max, uint64_t now_s)
{
	int strangers = t == &d->strangers;
	uint64_t window_s = strangers ? STRANGERS_MAILS_S : HOUR_S;
	uint32_t max = strangers ? strangers_max : MAILS_PER_HOUR;
	if (t->mails_s + window_s <= now_s || t->mails_s > now_s || t->mails < max)
		return 0;
	return t->mails_s + window_s - now_s;
}

int
devices_mails_used(const struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	uint32_t strangers_max, uint64_t now_s)
{
	return mails_wait_s(devices, tries_of(devices, hash), strangers_max, now_s) > 0;
}

int
devices_mail(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	uint32_t strangers_max, uint64_t now_s, uint32_t *ret_retry_s)
{
	struct tries *t = tries_of(devices, hash);
	struct tries before = *t;
	uint64_t wait_s = mails_wait_s(devices, t, strangers_max, now_s);
	uint64_t window_s = t == &devices->strangers ? STRANGERS_MAILS_S : HOUR_S;
	if (wait_s > 0) {
		*ret_retry_s = (uint32_t)wait_s;
		return -ERR_LIMIT;
	}
	if (t->mails_s + window_s <= now_s || t->mails_s > now_s) {
		t->mails_s = now_s;
		t->mails = 0;
	}
	t->mails++;
	int r = devices_save(devices);
	if (r < 0)
		*t = before;
	return r;
}

int
devices_unlock(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		devices->list[i].tries = (struct tries){0};
	devices->strangers = devices->pairing = (struct tries){0};
	memset(devices->shared, 0, sizeof devices->shared);
	return devices_save(devices);
}

int
devices_last(const struct devices *devices, const char **ret_name, uint64_t *ret_s)
{
	const struct device *last = NULL;
	for (size_t i = 0; i < devices->count; i++)
		if (!last || devices->list[i].last_s > last->last_s)
			last = &devices->list[i];
	if (!last || last->last_s == 0)
		return 0;
	*ret_name = last->name;
	*ret_s = last->last_s;
	return 1;
}

size_t
devices_count(const struct devices *devices)
{
	return devices->count;
}

int
devices_strangers_shut(const struct devices *devices)
{
	return devices->strangers.row >= LOCKOUT_ROW_MAX;
}

uint32_t
devices_strangers_locked_s(struct devices *devices, uint64_t now_s)
{
	return (uint32_t)left_s(&devices->strangers, now_s);
}
