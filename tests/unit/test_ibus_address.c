/* Addresses of IBus, as its daemon writes them and as it never would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/ibus_address.h"
#include "base/err.h"

/* path: as in sun_path, len of it without an end. */
static void
found(const char *file, const char *path, size_t len)
{
	struct sockaddr_un address;
	socklen_t got = 0;
	assert_int_equal(ibus_address_find(file, &address, &got), 0);
	/* names without a file have no end */
	assert_int_equal(got, offsetof(struct sockaddr_un, sun_path) + len + (path[0] != '\0'));
	assert_memory_equal(address.sun_path, path, len);
}

static void
refused(const char *file)
{
	struct sockaddr_un address;
	socklen_t got;
	assert_int_equal(ibus_address_find(file, &address, &got), -ERR_NOT_FOUND);
}

static void
test_addresses(void **state)
{
	(void)state;
	found("# a\nIBUS_ADDRESS=unix:abstract=/home/a/dbus-x,guid=0\nIBUS_DAEMON_PID=1\n",
		"\0/home/a/dbus-x", 15);
	found("IBUS_ADDRESS=unix:path=/run/ibus%20%e7%B8%81", "/run/ibus \xe7\xb8\x81", 13);
	found("IBUS_ADDRESS=unix:path=/a;unix:path=/b\n", "/a", 2);
	refused("");
	refused("IBUS_ADDRESS");
	refused("IBUS_ADDRESS=\n");
	refused("#IBUS_ADDRESS=unix:path=/a\n");
	refused("IBUS_ADDRESS=tcp:host=example.com,port=1\n");
	refused("IBUS_ADDRESS=unix:path=a/b\n");
	refused("IBUS_ADDRESS=unix:abstract=,guid=1\n");
	refused("IBUS_ADDRESS=unix:path=/a%0\n");
	refused("IBUS_ADDRESS=unix:path=/a%00b\n");
	refused("IBUS_ADDRESS=unix:path=/a%zz\n");
}

static void
test_lengths(void **state)
{
	char file[256] = "IBUS_ADDRESS=unix:path=/";
	struct sockaddr_un address;
	const size_t most = sizeof address.sun_path - 1, head = strlen(file) - 1;
	(void)state;
	memset(file + head + 1, 'a', most - 1);
	file[head + most] = '\0';
	found(file, file + head, most);
	strcat(file, "a");
	refused(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
