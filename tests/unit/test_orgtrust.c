/* What is asked, remembered and refused about organisation files. */
#include <fcntl.h>
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

#include "base/err.h"
#include "base/str.h"
#include "crypto/orgtrust.h"

static char dir[] = "/tmp/orgtrust-XXXXXX";
static char path[64], told[ORGFILE_FINGERPRINT_SIZE];
static struct orgfile org;

static int
setup(void **state)
{
	(void)state;
	org = (struct orgfile){.id = "hinata-city", .name = "日向市", .revision = 3};
	memset(org.signing_key, 7, sizeof org.signing_key);
	orgfile_fingerprint(&org, told);
	unlink(path);
	return 0;
}

static int
trust(const char *fingerprint)
{
	return org_trust(path, &org, fingerprint, ERR_LANG_EN);
}

static void
write_known(const char *text)
{
	assert_int_equal(conf_write_file(path, text, strlen(text), 0600), 0);
}

static void
test_fingerprint_as_people_write_it(void **state)
{
	(void)state;
	char text[2 * ORGFILE_FINGERPRINT_SIZE];
	assert_true(org_has_fingerprint(&org, told));
	strcpy(text, told);
	for (char *p = text; *p; p++)
		*p = *p == ' ' ? '-' : *p >= 'a' ? (char)(*p - 'a' + 'A') : *p;
	assert_true(org_has_fingerprint(&org, text));
	size_t n = 0;
	for (const char *p = told; *p; p++)
		if (*p != ' ')
			text[n++] = *p;
	text[n] = '\0';
	assert_true(org_has_fingerprint(&org, text));
	for (size_t i = 0; i < n; i++) { /* each digit counts, and all of them are needed */
		text[i] ^= 1;
		assert_false(org_has_fingerprint(&org, text));
		text[i] ^= 1;
	}
	strcpy(text + n, "0");
	assert_false(org_has_fingerprint(&org, text));
	text[n - 1] = '\0';
	assert_false(org_has_fingerprint(&org, text));
	assert_false(org_has_fingerprint(&org, ""));
}

static void
test_first_use_must_be_confirmed(void **state)
{
	(void)state;
	assert_int_equal(trust(NULL), -ERR_ORG_UNCONFIRMED); /* no terminal here */
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(trust("0000"), -ERR_ORG_FINGERPRINT);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(trust(told), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(trust(NULL), 0);
	assert_int_equal(trust(told), 0);
	assert_int_equal(trust("0000"), -ERR_ORG_FINGERPRINT);
}

/* What is tried: an organisation file that is older than the last one used, with and without its
 * fingerprint. What comes of it: refused, and the newer one stays good. */
static void
test_attack_older_file(void **state)
{
	(void)state;
	assert_int_equal(trust(told), 0);
	org.revision = 5;
	assert_int_equal(trust(NULL), 0);
	org.revision = 4; /* newer than the first, older than the last */
	assert_int_equal(trust(NULL), -ERR_ORG_OLD);
	assert_int_equal(trust(told), -ERR_ORG_OLD);
	org.revision = 5;
	assert_int_equal(trust(NULL), 0);
}

/* What is tried: a newer file signed by another key, even with the fingerprint of that one, and
 * one of another organisation. What comes of it: refused as changed. */
static void
test_attack_other_key(void **state)
{
	(void)state;
	char other[ORGFILE_FINGERPRINT_SIZE];
	assert_int_equal(trust(told), 0);
	org.signing_key[64] ^= 1;
	org.revision = 9;
	orgfile_fingerprint(&org, other);
	assert_int_equal(trust(NULL), -ERR_ORG_CHANGED);
	assert_int_equal(trust(other), -ERR_ORG_CHANGED); /* not even when it is named */
	org.signing_key[64] ^= 1;
	strcpy(org.id, "hyuga-city");
	assert_int_equal(trust(told), -ERR_ORG_CHANGED);
}

/* A damaged memory is no first use. */
static void
test_attack_damaged_memory(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "\n", "REVISION 3\n", "ORGANISATION hinata-city\n",
		"ORGANISATION hinata-city\nSIGNING_KEY AAAA\nREVISION 3\n",
		"ORGANISATION hinata-city\nORGANISATION hinata-city\nREVISION 3\n", "FOO 1\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		write_known(bad[i]);
		assert_int_equal(trust(told), -ERR_SETTING);
	}
	unlink(path);
	assert_int_equal(trust(told), 0);
	assert_int_equal(chmod(path, 0622), 0); /* others may have changed it */
	assert_true(trust(told) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fingerprint_as_people_write_it, setup),
		cmocka_unit_test_setup(test_first_use_must_be_confirmed, setup),
		cmocka_unit_test_setup(test_attack_older_file, setup),
		cmocka_unit_test_setup(test_attack_other_key, setup),
		cmocka_unit_test_setup(test_attack_damaged_memory, setup),
	};
	int null = open("/dev/null", O_RDONLY);
	if (!mkdtemp(dir) || str_print(path, sizeof path, "%s/known", dir) < 0 || null < 0 ||
		dup2(null, STDIN_FILENO) < 0)
		return 1;
	close(null);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return failed;
}
