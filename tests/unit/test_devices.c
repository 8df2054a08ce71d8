/* agent/devices: failures and mails are counted per device, survive a restart, and delays grow up
 * to their cap. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/devices.h"
#include "base/conf.h"
#include "base/err.h"

static char directory[] = "/tmp/engawa-test-devices.XXXXXX", path[64];
static struct devices *d;
static const uint8_t stranger[32] = {1}, owner[32] = {3};
static const struct lockout_rule rule = {3, 60};
static const uint64_t T0 = 1800000000;

static int
setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/engawa-test-devices.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/devices", directory);
	assert_int_equal(devices_open(path, &d, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	devices_free(d);
	unlink(path);
	rmdir(directory);
	return 0;
}

static void
restart(void)
{
	devices_free(d);
	assert_int_equal(devices_open(path, &d, NULL), 0);
}

static uint32_t
locked(const uint8_t *hash, uint64_t now_s)
{
	uint32_t retry_s = 0;
	int r = devices_check(d, hash, now_s, &retry_s);
	assert_true(r == 0 ? retry_s == 0 : r == -ERR_LOCKED_OUT && retry_s > 0);
	return retry_s;
}

static void
failures(const uint8_t *hash, uint64_t now_s, int times)
{
	struct tries before;
	for (int i = 0; i < times; i++)
		assert_int_equal(devices_charge(d, hash, &rule, now_s, &before), 0);
}

static void
test_growing_delay(void **state)
{
	(void)state;
	uint64_t now = T0;
	uint32_t want = 60;
	failures(stranger, now, 2);
	assert_int_equal(locked(stranger, now), 0);
	for (int i = 0; i < 10; i++) {
		failures(stranger, now, i == 0 ? 1 : 3);
		assert_int_equal(locked(stranger, now), want);
		assert_int_equal(locked(stranger, now + want - 1), 1);
		assert_int_equal(locked(stranger, now + want), 0);
		now += want;
		want = want * 2 < LOCKOUT_DELAY_MAX_S ? want * 2 : LOCKOUT_DELAY_MAX_S;
	}
	/* a day of peace */
	failures(stranger, now + LOCKOUT_MEMORY_S + 1, 2);
	assert_int_equal(locked(stranger, now + LOCKOUT_MEMORY_S + 1), 0);
}

static void
test_restart(void **state)
{
	(void)state;
	struct stat st;
	failures(stranger, T0, 3);
	assert_int_equal(devices_login(d, owner, "自宅のPC 2", T0), 0);
	failures(owner, T0, 2);
	restart();
	assert_int_equal(locked(stranger, T0 + 10), 50);
	assert_true(devices_known(d, owner));
	failures(owner, T0, 1);
	assert_int_equal(locked(owner, T0), 60);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* What is tried: thirty failures of strangers, and logins of the owner in between. What comes of
 * it: the owner is not locked out, and the strangers get no new try by it. */
static void
test_attack_strangers_and_owner_apart(void **state)
{
	(void)state;
	assert_int_equal(devices_login(d, owner, "owner", T0), 0);
	failures(stranger, T0, 30);
	assert_int_equal(locked(owner, T0), 0);
	/* and a login of the owner gives no stranger a new try */
	uint32_t before = locked(stranger, T0);
	assert_int_equal(devices_login(d, owner, "owner", T0), 0);
	assert_int_equal(locked(stranger, T0), before);
}

static void
test_refund(void **state)
{
	(void)state;
	struct tries before;
	failures(stranger, T0, 2);
	assert_int_equal(devices_charge(d, stranger, &rule, T0, &before), 0);
	assert_int_equal(locked(stranger, T0), 60);
	assert_int_equal(devices_refund(d, stranger, &before), 0);
	assert_int_equal(locked(stranger, T0), 0);
	failures(stranger, T0, 1);
	assert_int_equal(locked(stranger, T0), 60);
}

/* A hundred failures in a row, however slowly, are the end until somebody at the office PC says
 * otherwise; days of waiting and a restart change nothing, and known devices are not concerned. */
static void
test_attack_patient(void **state)
{
	(void)state;
	uint32_t retry_s = 0;
	uint64_t now = T0;
	assert_int_equal(devices_login(d, owner, "owner", T0), 0);
	for (int i = 0; i < LOCKOUT_ROW_MAX; i++) {
		assert_int_equal(devices_check(d, stranger, now, &retry_s), 0);
		failures(stranger, now, 1);
		now += 3 * LOCKOUT_MEMORY_S;
	}
	restart();
	assert_int_equal(devices_check(d, stranger, now, &retry_s), -ERR_SHUT_OUT);
	assert_true(devices_strangers_shut(d));
	assert_int_equal(devices_check(d, owner, now, &retry_s), 0);
	assert_int_equal(devices_login(d, owner, "owner", now), 0);
	assert_int_equal(devices_check(d, stranger, now, &retry_s), -ERR_SHUT_OUT);
	assert_int_equal(devices_unlock(d), 0);
	assert_int_equal(devices_check(d, stranger, now, &retry_s), 0);
}

/* Typing errors of years do not add up: a whole login begins the row anew. */
static void
test_row_ends_with_a_login(void **state)
{
	(void)state;
	uint32_t retry_s;
	struct tries before;
	failures(owner, T0, LOCKOUT_ROW_MAX - 1);
	assert_int_equal(devices_charge(d, owner, &rule, T0, &before), 0);
	assert_int_equal(devices_check(d, owner, T0, &retry_s), -ERR_SHUT_OUT);
	assert_int_equal(devices_refund(d, owner, &before), 0);
	assert_int_equal(devices_login(d, owner, "owner", T0), 0);
	failures(stranger, T0 + LOCKOUT_DELAY_MAX_S, 1);
	assert_int_equal(devices_check(d, stranger, T0 + LOCKOUT_DELAY_MAX_S, &retry_s), 0);
	failures(owner, T0, LOCKOUT_ROW_MAX - 1);
	restart();
	failures(owner, T0, 1);
	assert_int_equal(devices_check(d, owner, T0, &retry_s), -ERR_SHUT_OUT);
}

/* A clock that is set back does not make a minute last for years, and does not end it either. */
static void
test_clock_set_back(void **state)
{
	(void)state;
	failures(stranger, T0, 3);
	assert_int_equal(locked(stranger, T0 - 10000000), 60);
	assert_int_equal(locked(stranger, T0 - 10000000 + 50), 10);
	assert_int_equal(locked(stranger, T0 - 10000000 + 60), 0);
}

static void
test_mails(void **state)
{
	(void)state;
	uint32_t retry_s;
	assert_int_equal(devices_login(d, owner, "owner", T0), 0);
	for (int i = 0; i < MAILS_PER_HOUR; i++)
		assert_int_equal(devices_mail(d, owner, 2, T0 + 60, &retry_s), 0);
	for (int i = 0; i < 2; i++) {
		assert_false(devices_mails_used(d, stranger, 2, T0 + 60));
		assert_int_equal(devices_mail(d, stranger, 2, T0 + 60, &retry_s), 0);
	}
	restart();
	assert_int_equal(devices_mail(d, owner, 2, T0 + 120, &retry_s), -ERR_LIMIT);
	assert_int_equal(retry_s, 3540);
	assert_int_equal(devices_mail(d, stranger, 2, T0 + 120, &retry_s), -ERR_LIMIT);
	assert_int_equal(retry_s, 540);
	assert_true(devices_mails_used(d, stranger, 2, T0 + 120));
	assert_int_equal(devices_mail(d, stranger, 3, T0 + 120, &retry_s), 0); /* a notice */
	assert_int_equal(devices_mail(d, devices_pairing, 2, T0 + 120, &retry_s), 0);
	assert_int_equal(devices_mail(d, stranger, 2, T0 + 660, &retry_s), 0);
	assert_int_equal(devices_mail(d, owner, 2, T0 + 3660, &retry_s), 0);
}

/* What cannot be recorded does not happen: the disk is full (here: the directory is gone). */
static void
test_cannot_record(void **state)
{
	(void)state;
	struct tries before;
	uint32_t retry_s;
	unlink(path);
	rmdir(directory);
	assert_true(devices_charge(d, stranger, &rule, T0, &before) < 0);
	assert_true(devices_mail(d, stranger, 2, T0, &retry_s) < 0);
	assert_true(devices_login(d, owner, "owner", T0) < 0);
}

static void
test_damaged(void **state)
{
	(void)state;
	static const char *const bad[] = {"STRANGERS 1 2 3 4\n", "STRANGERS 1 2 3 4 5 6\n",
		"STRANGERS a 2 3 4 5\n", "DEVICE 00 1 2\n", "WHO 1\n", "STRANGERS -1 2 3 4 5\n",
		"SALT 00\n", "SHARED 256 1 2 3 4 5\n", "SHARED 1 1 2 3 4\n", "ROW -1\n",
		"ROW 4294967296\n", "STRANGERS 99999999999999999999999 2 3 4 5\n",
		"DEVICE 0000000000000000000000000000000000000000000000000000000000000000 1 2 3 4 5 6 x y\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct devices *other = NULL;
		assert_int_equal(conf_write_file(path, bad[i], strlen(bad[i]), 0600), 0);
		assert_int_equal(devices_open(path, &other, NULL), -ERR_SETTING);
		assert_null(other);
	}
}

static void
test_many(void **state)
{
	(void)state;
	uint8_t hash[32] = {9};
	assert_int_equal(devices_login(d, owner, "owner", T0), 0);
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		hash[1] = (uint8_t)i;
		assert_int_equal(devices_login(d, hash, "", T0 + 1 + i), 0);
	}
	assert_int_equal(devices_count(d), DEVICES_MAX);
	assert_false(devices_known(d, owner)); /* not seen for longest */
	restart();
	assert_true(devices_known(d, hash));
	assert_int_equal(devices_unlock(d), 0);
}

/* Tried: so many devices, or names, that the one whose failures count would have to make room.
 * Comes of it: it keeps its place and its count; those without failures go, and when there are none
 * nobody comes in their place but what is registered. */
static void
test_attack_pushed_out(void **state)
{
	(void)state;
	uint8_t hash[32] = {9};
	assert_int_equal(devices_login(d, owner, "owner", T0), 0);
	failures(owner, T0, 3);
	for (unsigned i = 0; i < DEVICES_MAX + 20; i++) {
		hash[1] = (uint8_t)i;
		assert_int_equal(devices_enter(d, hash, T0 + 1 + i), 0);
	}
	assert_true(devices_known(d, owner));
	assert_int_equal(locked(owner, T0), 60);
	for (unsigned i = 0; i < DEVICES_MAX + 20; i++) {
		hash[1] = (uint8_t)i;
		if (devices_known(d, hash))
			failures(hash, T0, 1);
	}
	hash[0] = 10;
	assert_int_equal(devices_enter(d, hash, T0 + 1000), -ERR_LIMIT);
	assert_int_equal(devices_login(d, hash, "", T0 + 1000), -ERR_LIMIT);
	assert_int_equal(devices_keep(d, hash, 1, T0 + 1000), 0);
	assert_true(devices_known(d, hash));
	assert_int_equal(devices_count(d), DEVICES_MAX);
}

/* Whoever shares counters with others has them after a restart too, and with a lost file anew. */
static void
test_shared(void **state)
{
	(void)state;
	uint8_t one[32], again[32], other[32], last = 0;
	unsigned different = 0;
	assert_int_equal(devices_shared(d, stranger, one), 0);
	failures(one, T0, 3);
	assert_int_equal(locked(stranger, T0), 0);
	restart();
	assert_int_equal(devices_shared(d, stranger, again), 0);
	assert_memory_equal(one, again, sizeof one);
	assert_int_equal(locked(again, T0), 60);
	for (uint8_t i = 0; i < 64; i++) {
		const uint8_t hash[32] = {7, i};
		assert_int_equal(devices_shared(d, hash, other), 0);
		different += other[31] != last;
		last = other[31];
	}
	assert_true(different > 48);
	assert_int_equal(devices_unlock(d), 0);
	assert_int_equal(locked(again, T0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_growing_delay),
		T(test_restart),
		T(test_attack_strangers_and_owner_apart),
		T(test_refund),
		T(test_attack_patient),
		T(test_row_ends_with_a_login),
		T(test_clock_set_back),
		T(test_mails),
		T(test_cannot_record),
		T(test_damaged),
		T(test_many),
		T(test_attack_pushed_out),
		T(test_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
