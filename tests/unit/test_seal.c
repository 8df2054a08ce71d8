/* crypto/seal: the box of a mail code. */
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

#include "base/conf.h"
#include "base/err.h"
#include "crypto/noise.h"
#include "crypto/seal.h"

static const char text[] = "12345678";
enum {
	LEN = sizeof text,
	BOX = LEN + SEAL_OVERHEAD_BYTES
};

static void
test_box(void **state)
{
	(void)state;
	struct noise_keypair owner, other;
	uint8_t session[16] = {1}, box[BOX], again[BOX], out[LEN];
	assert_int_equal(noise_keypair_generate(&owner), 0);
	assert_int_equal(noise_keypair_generate(&other), 0);
	assert_int_equal(seal_make(owner.public, session, 16, text, LEN, box), 0);
	assert_int_equal(seal_open(owner.secret, session, 16, box, BOX, out), 0);
	assert_memory_equal(out, text, LEN);
	assert_int_equal(seal_make(owner.public, session, 16, text, LEN, again), 0);
	assert_memory_not_equal(box, again, 32);
	assert_memory_not_equal(box + 32, again + 32, LEN);
	assert_int_equal(seal_open(other.secret, session, 16, box, BOX, out), -ERR_CRYPTO);
	session[0] = 2; /* a gate that moves a code to another session */
	assert_int_equal(seal_open(owner.secret, session, 16, box, BOX, out), -ERR_CRYPTO);
	session[0] = 1;
	for (size_t at = 0; at < BOX; at++) {
		box[at] ^= 1;
		assert_int_equal(seal_open(owner.secret, session, 16, box, BOX, out), -ERR_CRYPTO);
		box[at] ^= 1;
	}
	for (size_t cut = 0; cut < BOX; cut++)
		assert_int_equal(seal_open(owner.secret, session, 16, box, cut, out), -ERR_CRYPTO);
	memset(box, 0, 32); /* an ephemeral key of low order: everybody would know the secret */
	assert_int_equal(seal_open(owner.secret, session, 16, box, BOX, out), -ERR_CRYPTO);
	assert_int_equal(seal_make(box, session, 16, text, LEN, again), -ERR_CRYPTO);
	assert_int_equal(seal_make(owner.public, session, 16, "", 0, box), 0);
	assert_int_equal(seal_open(owner.secret, session, 16, box, SEAL_OVERHEAD_BYTES, out), 0);
}

static void
test_key_file(void **state)
{
	(void)state;
	char directory[] = "/tmp/engawa-seal-XXXXXX", path[64];
	struct noise_keypair pair;
	uint8_t secret[32], public[32];
	assert_int_equal(noise_keypair_generate(&pair), 0);
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/mail.key", directory);
	assert_int_equal(seal_key_save(pair.secret, path), 0);
	assert_int_equal(seal_key_save(pair.secret, path), -EEXIST);
	assert_int_equal(seal_key_load(path, secret, public), 0);
	assert_memory_equal(secret, pair.secret, 32);
	assert_memory_equal(public, pair.public, 32);
	assert_int_equal(chmod(path, 0604), 0);
	assert_int_equal(seal_key_load(path, secret, public), -EPERM);
	assert_int_equal(conf_write_file(path, "00ff\n", 5, 0600), 0);
	assert_int_equal(seal_key_load(path, secret, public), -ERR_CRYPTO);
	assert_int_equal(conf_write_file(path, "", 0, 0600), 0);
	assert_int_equal(seal_key_load(path, secret, public), -ERR_CRYPTO);
	unlink(path);
	assert_int_equal(seal_key_load(path, secret, public), -ENOENT);
	rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_box),
		cmocka_unit_test(test_key_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
