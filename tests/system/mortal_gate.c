/*
 * The gate, built to die at an exact point of an upgrade: beside the program lies PROGRAM.dies with
 * a role (parent, worker), "new" or "old", and a number. Each message of an upgrade that this role
 * receives, is about to send, or has sent counts one; at that number it ends as if killed. With
 * "version 0 0" in the file it speaks a version of the hand-over that nobody knows.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ipc.h"
#include "gate/process.h"
#include "gate/tell.h"

int __real_ipc_send(int sock, uint16_t type, const void *payload, size_t len, int fd);
int __real_ipc_recv(int sock, uint16_t *ret_type, void *payload, size_t cap, int *ret_fd);
int __wrap_ipc_send(int sock, uint16_t type, const void *payload, size_t len, int fd);
int __wrap_ipc_recv(int sock, uint16_t *ret_type, void *payload, size_t cap, int *ret_fd);

static int dies_at, points, lies;

/* Before main, while files may be opened. */
__attribute__((constructor)) static void
read_fate(void)
{
	char path[4096 + 8] = "", role[16] = "", arguments[256] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 8);
	FILE *file = NULL;
	if (n > 0) {
		memcpy(path + n, ".dies", sizeof ".dies");
		file = fopen(path, "r");
	}
	if (!file)
		return;
	int number = 0;
	if (fscanf(file, "%15s %d", role, &number) != 2)
		number = 0;
	fclose(file);
	lies = strcmp(role, "version") == 0;
	file = fopen("/proc/self/cmdline", "r");
	size_t got = file ? fread(arguments, 1, sizeof arguments - 1, file) : 0;
	if (file)
		fclose(file);
	const char *second = memchr(arguments, 0, got);
	int is_child =
		second && (strcmp(second + 1, "worker") == 0 || strcmp(second + 1, "keeper") == 0);
	const char *mine = is_child ? second + 1 : "parent";
	if (strcmp(mine, role) == 0)
		dies_at = number;
}

static void
point(uint16_t type)
{
	int counts = type >= TELL_UPGRADE || type == TELL_ACK || type == TELL_COMMIT ||
		     type == TELL_BACK;
	if (counts && ++points == dies_at)
		__builtin_trap(); /* a call would be one that the sandbox forbids */
}

int
__wrap_ipc_send(int sock, uint16_t type, const void *payload, size_t len, int fd)
{
	struct tell_upgrade other = {99, 1};
	point(type);
	if (lies && type == TELL_UPGRADE)
		payload = &other;
	int r = __real_ipc_send(sock, type, payload, len, fd);
	if (r == 0)
		point(type);
	return r;
}

int
__wrap_ipc_recv(int sock, uint16_t *ret_type, void *payload, size_t cap, int *ret_fd)
{
	int n = __real_ipc_recv(sock, ret_type, payload, cap, ret_fd);
	if (n >= 0)
		point(*ret_type);
	return n;
}
