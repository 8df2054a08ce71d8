#include "agent/ibus_address.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"

enum {
	FILE_MAX_BYTES = 4096,
	MACHINE_SIZE = 33
};

/* 0 to 15, or -1. */
static int
hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* The value of a key up to the next comma, %xx resolved. Its length, 0 = none that fits. */
static size_t
unescape(const char *from, char *out, size_t size)
{
	size_t n = 0;
	while (*from && !strchr(",;\r\n", *from)) {
		int c = (unsigned char)*from++;
		if (c == '%') {
			int high = hex(from[0]), low = high < 0 ? -1 : hex(from[1]);
			if (low < 0 || high + low == 0)
				return 0;
			c = high << 4 | low;
			from += 2;
		}
		if (n + 1 >= size)
			return 0;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n;
}

int
ibus_address_find(const char *file, struct sockaddr_un *ret_address, socklen_t *ret_len)
{
	static const char key[] = "IBUS_ADDRESS=", path[] = "unix:path=",
			  abstract[] = "unix:abstract=";
	const char *line = file;
	while (line && strncmp(line, key, sizeof key - 1) != 0) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		return -ERR_NOT_FOUND;
	line += sizeof key - 1;
	int hidden = strncmp(line, abstract, sizeof abstract - 1) == 0;
	if (!hidden && strncmp(line, path, sizeof path - 1) != 0)
		return -ERR_NOT_FOUND;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	/* a name that no file has begins with a zero */
	char *name = address.sun_path + hidden;
	size_t len = unescape(line + (hidden ? sizeof abstract : sizeof path) - 1, name,
		sizeof address.sun_path - (size_t)hidden);
	if (len == 0 || (!hidden && name[0] != '/'))
		return -ERR_NOT_FOUND;
	*ret_address = address;
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	if (hidden)
		*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
	return 0;
}

/* As IBus names this computer. */
static void
machine(char out[static MACHINE_SIZE])
{
	static const char *const files[] = {"/var/lib/dbus/machine-id", "/etc/machine-id"};
	char *text;
	size_t len;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (conf_read_file(files[i], FILE_MAX_BYTES, &text, &len) < 0)
			continue;
		text[strcspn(text, " \r\n")] = '\0';
		int r = str_copy(out, MACHINE_SIZE, text);
		free(text);
		if (r == 0)
			return;
	}
	str_copy(out, MACHINE_SIZE, "machine-id");
}

/* A name without a file can be taken by anybody once its program has ended: what a person types
 * goes to the person's own programs. */
static int
is_ours(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

int
ibus_connect(const char *directory, const char *number)
{
	char path[PATH_MAX], id[MACHINE_SIZE], *text;
	struct sockaddr_un address;
	socklen_t len;
	size_t size;
	machine(id);
	int r = str_print(path, sizeof path, "%s/%s-unix-%s", directory, id, number);
	if (r == 0)
		r = conf_read_file(path, FILE_MAX_BYTES, &text, &size);
	if (r < 0)
		return r;
	r = ibus_address_find(text, &address, &len);
	free(text);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, len) < 0)
		r = -errno;
	else if (!is_ours(fd))
		r = -EPERM;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}
