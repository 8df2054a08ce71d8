/*
 * What the guard has changed at the office PC, on disk before it is changed: lines of text in a
 * file that the monitor opened. An empty file: nothing has to be put back. A last line without its
 * end was never acted upon.
 *
 *   server TOKEN                 the X server (its root window has the same token)
 *   gamma CRTC SIZE RAMPS        red, green, blue: SIZE numbers of four hex digits each
 *   device ID MASTER NAME        taken off that master; the name in hex
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	JOURNAL_TOKEN_BYTES = 16,
	JOURNAL_GAMMA_MAX = 4096, /* steps of one ramp */
	JOURNAL_CRTCS_MAX = 32,
	JOURNAL_DEVICES_MAX = 128,
	JOURNAL_NAME_SIZE = 128,
	JOURNAL_MAX_BYTES = 2 << 20,
};

struct journal_gamma {
	uint32_t crtc;
	uint16_t size;
	uint16_t *ramps; /* 3 * size */
};

struct journal_device {
	uint16_t id, master;
	char name[JOURNAL_NAME_SIZE];
};

struct journal {
	int fd;
	int used; /* it has a token */
	uint8_t token[JOURNAL_TOKEN_BYTES];
	struct journal_gamma gammas[JOURNAL_CRTCS_MAX];
	size_t gamma_count;
	struct journal_device devices[JOURNAL_DEVICES_MAX];
	size_t device_count;
};

/* 0 or -ERR_STATE_DAMAGED; fd is not touched. */
int journal_parse(struct journal *journal, const char *text, size_t len);
void journal_fini(struct journal *journal);

/* From the descriptor. 0, -errno, -ERR_STATE_DAMAGED. */
int journal_load(struct journal *journal, int fd);
/* Each returns when it is on the disk: 0 or -errno. */
int journal_begin(struct journal *journal, const uint8_t token[static JOURNAL_TOKEN_BYTES]);
/* ramps is copied. -ENOSPC also when there are too many. */
int journal_add_gamma(struct journal *journal, uint32_t crtc, uint16_t size, const uint16_t *ramps);
int journal_add_device(struct journal *journal, const struct journal_device *device);
int journal_clear(struct journal *journal);

/* NULL: not in it. */
const struct journal_gamma *journal_gamma_of(const struct journal *journal, uint32_t crtc);
const struct journal_device *journal_device_of(const struct journal *journal, uint16_t id);
