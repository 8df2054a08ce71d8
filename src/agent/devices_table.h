/* What devices.c counts in and devices_file.c writes down; nobody else includes it. */
#pragma once
#include "agent/devices.h"

enum {
	DEVICES_SALT_BYTES = 16
};

struct device {
	uint8_t hash[DEVICE_HASH_BYTES];
	uint64_t first_s, last_s;
	char name[128];
	struct tries tries;
	int kept; /* not in the file: the registry has it */
};

struct devices {
	char *path;
	size_t count;
	struct device list[DEVICES_MAX];
	struct tries strangers, pairing, shared[DEVICES_SHARED];
	uint8_t salt[DEVICES_SALT_BYTES]; /* of shared */
	int salted;
	struct tries *above; /* while the file is read */
};

/* As a whole. 0 or -errno. */
int devices_save(const struct devices *d);
