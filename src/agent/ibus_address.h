/*
 * Where the IBus of a desktop listens: ibus-daemon writes it into a file of the person's, named
 * after machine and display (src/ibusshare.c of IBus 1.5). Its person writes it, so nothing in it
 * is believed.
 */
#pragma once
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The line IBUS_ADDRESS=unix:path=… or unix:abstract=… (D-Bus specification, "Server addresses").
 * 0 or -ERR_NOT_FOUND. */
int ibus_address_find(const char *file, struct sockaddr_un *ret_address, socklen_t *ret_len);

/* Connects, as the user of this process and to nobody else's program. directory: of those files;
 * number: of the display. A descriptor, -errno, or -ERR_NOT_FOUND. */
int ibus_connect(const char *directory, const char *number);
