/* Sockets that accept, and sockets to the controller: what only the parent may open. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	LISTENER_TEXT_SIZE = 64
};

/*
 * One socket per worker on address ("192.0.2.1:443", "[::]:443"; port 0 = any), which share its
 * connections (SO_REUSEPORT). ret_text: where they listen. 0; -ERR_SETTING for what is no address;
 * -errno; then nothing is open.
 */
int listener_open(
	const char *address, int *ret_fds, size_t count, char ret_text[static LISTENER_TEXT_SIZE]);

/* Where it listens. */
void listener_text(int fd, char ret_text[static LISTENER_TEXT_SIZE]);

/* Connected, non-blocking, to directory/name. Descriptor or -errno. */
int listener_dial(const char *directory, const char *name);
