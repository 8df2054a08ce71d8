/* gate/said: what a worker that starts may believe of what the others say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/ipc.h"
#include "gate/said.h"

static const uint8_t keys[] = "keys", other[] = "evil";
static const struct tell_deny suspended = {{1}, ERR_SUSPENDED}, retired = {{2}, ERR_AGENT_RETIRED};
static struct said said;

static int
setup(void **state)
{
	(void)state;
	memset(&said, 0, sizeof said);
	said.seats = 2;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	said_fini(&said);
	return 0;
}

static void
welcome(size_t seat, const uint8_t *text)
{
	said_welcome(&said, seat, text, 4);
}

static void
deny(size_t seat, const struct tell_deny *d, int allow)
{
	said_deny(&said, seat, (const uint8_t *)d, sizeof *d, allow);
}

/* The keys that a process is told, "" for none, and how many denials. */
static size_t
told(char ret_keys[8])
{
	int pair[2], n;
	uint8_t payload[SAID_WELCOME_MAX_BYTES];
	uint16_t type;
	size_t denials = 0;
	assert_int_equal(ipc_pair(pair), 0);
	struct process process = {.pid = 0, .channel = pair[0]};
	assert_int_equal(said_tell(&said, &process), 0);
	close(pair[0]);
	strcpy(ret_keys, "");
	while ((n = ipc_recv(pair[1], &type, payload, sizeof payload, NULL)) >= 0) {
		if (type == TELL_WELCOME) {
			assert_int_equal(n, 4);
			memcpy(ret_keys, payload, 4);
			ret_keys[4] = '\0';
		}
		denials += type == TELL_DENY;
	}
	close(pair[1]);
	return denials;
}

static void
expect(const char *want, size_t denials)
{
	char got[8];
	assert_int_equal(told(got), denials);
	assert_string_equal(got, want);
}

static void
test_handed_on(void **state)
{
	(void)state;
	expect("", 0);
	welcome(0, keys);
	deny(0, &suspended, 0);
	welcome(1, keys);
	expect("keys", 1);
	deny(1, &suspended, 0);
	deny(1, &retired, 0);
	expect("keys", 2);
	deny(0, &suspended, 1);
	deny(1, &suspended, 1);
	expect("keys", 1);
	/* new keys: once all have heard them */
	welcome(0, other);
	expect("", 1);
	welcome(1, other);
	expect("evil", 0);
}

static void
test_former_gate(void **state)
{
	(void)state;
	welcome(SAID_FORMER, keys);
	deny(SAID_FORMER, &suspended, 0);
	expect("keys", 1);
	welcome(0, other); /* one alone does not outdo it */
	expect("", 1);
	deny(0, &retired, 0);
	welcome(1, other); /* it is the controller's newest word */
	expect("evil", 1);
}

/* What is tried: a worker that was taken over tells the parent other ticket keys, that the denied
 * are allowed, that nobody was denied, and denials without end. What comes of it: no process
 * believes more than the others say; in doubt one that starts waits for the controller. */
static void
test_attack_one_worker_for_all(void **state)
{
	const struct tell_deny junk = {{7}, ERR_SUSPENDED};
	(void)state;
	welcome(0, keys);
	deny(0, &suspended, 0);
	welcome(1, keys);
	deny(1, &suspended, 0);
	deny(1, &suspended, 1);
	expect("keys", 1);
	welcome(1, keys); /* "nobody is denied" */
	expect("keys", 1);
	welcome(1, other);
	expect("", 1);
	said_welcome(&said, 1, (const uint8_t *)"", 0);
	expect("keys", 1);
	said_deny(&said, 1, (const uint8_t *)&suspended, sizeof suspended - 1, 1);
	expect("keys", 1);
	/* a list that is not whole is no list to let anybody in by */
	free(said.denied);
	said.denied = calloc(SAID_DENIED_MAX, sizeof *said.denied);
	said.denied_count = SAID_DENIED_MAX;
	deny(1, &junk, 0);
	assert_true(said.overflow);
	assert_int_equal(said.denied_count, SAID_DENIED_MAX);
	said.denied_count = 0;
	expect("", 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_handed_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_former_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_one_worker_for_all, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
