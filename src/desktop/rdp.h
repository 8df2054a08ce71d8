/*
 * One connection to xrdp through libfreerdp: picture, cursor and input, nothing else. No channel is
 * asked for, none of libfreerdp-client's plug-ins is even linked; what arrives on one ends the
 * connection. Drawing orders are not offered: xrdp sends bitmaps.
 */
#pragma once
#include <freerdp/freerdp.h>
#include <stddef.h>
#include <stdint.h>

#include "desktop/source.h"

struct rdp_pin; /* the one certificate that is taken */

struct rdp {
	freerdp *instance; /* NULL: not connected */
	const struct rdp_pin *pin;
	uint32_t keyboard; /* layout, as Windows numbers them */
	struct source_shape asked;
	struct damage *damage; /* where changes go; NULL: they are not looked at */
	unsigned news;         /* enum source_news */
	struct source_cursor cursor;
	int certificate_refused, channel_refused;
};

/* PEM file with the certificate first. 0, -errno, -ERR_CERTIFICATE when there is none in it. */
int rdp_pin_read(const char *path, struct rdp_pin **ret_pin);
void rdp_pin_free(struct rdp_pin *pin);

/* Once, while files can still be read. */
void rdp_prepare(void);

/* 1 when the box around them is within the limits. */
int rdp_monitors_fit(const struct source_monitor *monitors, size_t count);

/* Connects over fd, which it takes; monitors as source_arrange has them. Takes as long as xrdp
 * does: the caller has an alarm. 0 or -ERR_RDP_…. */
int rdp_connect(struct rdp *rdp, int fd, const struct source_monitor *monitors, size_t count);
void rdp_disconnect(struct rdp *rdp);

/* What libfreerdp waits for. */
size_t rdp_poll(struct rdp *rdp, struct pollfd *ret_fds);
/* Takes what came. 0 or -ERR_RDP_…. */
int rdp_read(struct rdp *rdp, struct damage *damage);

/* The whole picture as it is now. */
struct image rdp_picture(const struct rdp *rdp);
/* Its monitors. */
struct source_shape rdp_shape(const struct rdp *rdp);

/* The cursor's callbacks, for rdp_connect. */
void rdp_cursor_register(rdpContext *context);
struct rdp *rdp_of(rdpContext *context);
