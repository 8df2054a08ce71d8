/* agent/backup: what was sealed opens with its passphrase and with nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/backup.h"
#include "base/err.h"

#define PASSPHRASE "縁側で瓦を数える夏の夕方"

static const struct backup_header cheap = {.memory_kib = 8192, .passes = 1};
static uint8_t *sealed;
static size_t sealed_len;

static int
setup(void **state)
{
	static struct backup b;
	(void)state;
	strcpy(b.organisation, "engawa-shi");
	strcpy(b.terminal_id, "ABCDEFGHJKMNPQRS");
	assert_int_equal(backup_add(&b, "settings", "MAIL a@b.example\n", 17), 0);
	assert_int_equal(backup_add(&b, "empty", "", 0), 0);
	assert_int_equal(backup_seal(&b, &cheap, PASSPHRASE, &sealed, &sealed_len), 0);
	backup_fini(&b);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(sealed);
	return 0;
}

static void
test_round(void **state)
{
	static struct backup b;
	(void)state;
	assert_int_equal(backup_open(sealed, sealed_len, PASSPHRASE, &b), 0);
	assert_string_equal(b.organisation, "engawa-shi");
	assert_string_equal(b.terminal_id, "ABCDEFGHJKMNPQRS");
	assert_int_equal(b.count, 2);
	assert_int_equal(b.identity, 0);
	assert_string_equal(b.files[0].name, "settings");
	assert_memory_equal(b.files[0].data, "MAIL a@b.example\n", 17);
	assert_int_equal(b.files[1].len, 0);
	backup_fini(&b);
	assert_null(memmem(sealed, sealed_len, "a@b.example", 11));
	assert_null(memmem(sealed, sealed_len, "settings", 8));
}

/* A backup that was found: guessed passphrases, every part cut off, every byte changed. */
static void
test_attack_backup_changed(void **state)
{
	static struct backup b;
	uint8_t *copy = malloc(sealed_len);
	(void)state;
	assert_non_null(copy);
	assert_int_equal(backup_open(sealed, sealed_len, PASSPHRASE "x", &b), -ERR_BACKUP_WRONG);
	assert_int_equal(backup_open(sealed, sealed_len, "", &b), -ERR_BACKUP_WRONG);
	for (size_t len = 0; len < sealed_len; len++) {
		int r = backup_open(sealed, len, PASSPHRASE, &b);
		assert_true(r == -ERR_BACKUP_BAD || r == -ERR_BACKUP_WRONG);
	}
	for (size_t i = 0; i < sealed_len; i++) {
		if (i >= 10 && i < 18)
			continue; /* the cost: below */
		memcpy(copy, sealed, sealed_len);
		copy[i] ^= 0x40;
		int r = backup_open(copy, sealed_len, PASSPHRASE, &b);
		assert_true(r == -ERR_BACKUP_BAD || r == -ERR_BACKUP_WRONG ||
			    (r == -ERR_BACKUP_NEWER && (i == 8 || i == 9)));
	}
	free(copy);
}

/* A file that names a cost which would take all memory, or for ever, or none: refused before. */
static void
test_attack_backup_cost(void **state)
{
	static const uint32_t costs[][2] = {{UINT32_MAX, 1}, {2 << 20, 1}, {8192, UINT32_MAX},
		{8192, 11}, {8192, 0}, {0, 1}, {8191, 1}};
	struct backup_header header;
	uint8_t *copy = malloc(sealed_len);
	(void)state;
	assert_non_null(copy);
	memcpy(copy, sealed, sealed_len);
	for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
		for (int j = 0; j < 8; j++)
			copy[10 + j] = (uint8_t)(costs[i][j / 4] >> (24 - j % 4 * 8));
		assert_int_equal(backup_header_read(copy, sealed_len, &header), -ERR_BACKUP_BAD);
	}
	copy[8] = 0;
	copy[9] = 2;
	assert_int_equal(backup_header_read(copy, sealed_len, &header), -ERR_BACKUP_NEWER);
	free(copy);
}

/* Names that would leave the state directory, or come twice. */
static void
test_attack_backup_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "../x", "a/b", "/etc/passwd", ".list",
		"Settings", "a b", "x\x01", "名前"};
	static struct backup b;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t data[64];
		size_t len = strlen(bad[i]), n = 0;
		memcpy(data, "\0\1o\0\1t\0", 7);
		n = 7;
		data[n++] = 0;
		data[n++] = (uint8_t)len;
		memcpy(data + n, bad[i], len);
		n += len;
		memcpy(data + n, "\0\0\0\1z", 5);
		n += 5;
		assert_int_equal(backup_entries_read(data, n, &b), -ERR_BACKUP_BAD);
		assert_int_equal(backup_add(&b, bad[i], "z", 1), -ERR_BACKUP_BAD);
	}
	static const char twice[] = "\0\1o\0\1t\0\0\1a\0\0\0\1z\0\1a\0\0\0\1z";
	assert_int_equal(
		backup_entries_read((const uint8_t *)twice, sizeof twice - 1, &b), -ERR_BACKUP_BAD);
}

static void
test_passphrase_short(void **state)
{
	static struct backup b;
	uint8_t *data;
	size_t len;
	(void)state;
	assert_int_equal(
		backup_seal(&b, &cheap, "elevenchars", &data, &len), -ERR_PASSPHRASE_SHORT);
	/* twelve characters of three bytes are not thirty-six, and eleven are not twelve */
	assert_int_equal(backup_seal(&b, &cheap, "縁側縁側縁側縁側縁側縁", &data, &len),
		-ERR_PASSPHRASE_SHORT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_attack_backup_changed),
		cmocka_unit_test(test_attack_backup_cost),
		cmocka_unit_test(test_attack_backup_names),
		cmocka_unit_test(test_passphrase_short),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
