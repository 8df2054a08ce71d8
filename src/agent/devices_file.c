/* The file of devices and their counters, both ways. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/devices_table.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	FILE_MAX_BYTES = 131072
};

static int
parse_numbers(const char **p, uint64_t *out, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *end;
		if (**p < '0' || **p > '9')
			return -ERR_SETTING;
		errno = 0;
		out[i] = strtoull(*p, &end, 10);
		if (errno || (*end != ' ' && *end != '\0'))
			return -ERR_SETTING;
		*p = *end ? end + 1 : end;
	}
	return 0;
}

static int
parse_tries(const char **p, struct tries *tries)
{
	uint64_t n[5];
	int r = parse_numbers(p, n, 5);
	if (r < 0 || n[0] > UINT32_MAX || n[3] > UINT32_MAX)
		return -ERR_SETTING;
	*tries = (struct tries){.failures = (uint32_t)n[0],
		.failed_s = n[1],
		.until_s = n[2],
		.mails = (uint32_t)n[3],
		.mails_s = n[4]};
	return 0;
}

/* ROW number: of the line above it */
static int
parse_row(struct devices *d, const char *value)
{
	int64_t row;
	int r = str_int(value, 0, UINT32_MAX, &row);
	if (r < 0 || !d->above)
		return -ERR_SETTING;
	d->above->row = (uint32_t)row;
	return 0;
}

static int
parse_class(struct devices *d, const char *value, struct tries *tries)
{
	d->above = tries;
	return parse_tries(&value, tries) < 0 || *value ? -ERR_SETTING : 0;
}

/* SHARED number tries */
static int
parse_shared(struct devices *d, const char *value)
{
	uint64_t number;
	if (parse_numbers(&value, &number, 1) < 0 || number >= DEVICES_SHARED)
		return -ERR_SETTING;
	return parse_class(d, value, &d->shared[number]);
}

static int
parse_salt(struct devices *d, const char *value)
{
	d->salted = 1;
	return str_unhex(value, d->salt, sizeof d->salt) < 0 ? -ERR_SETTING : 0;
}

/* STRANGERS tries / PAIRING tries / SALT hex / SHARED number tries / DEVICE hash first last tries
 * name */
static int
on_line(void *user, const char *key, const char *value)
{
	struct devices *d = user;
	char hash[2 * DEVICE_HASH_BYTES + 1];
	uint64_t times[2];
	if (strcmp(key, "STRANGERS") == 0)
		return parse_class(d, value, &d->strangers);
	if (strcmp(key, "PAIRING") == 0)
		return parse_class(d, value, &d->pairing);
	if (strcmp(key, "ROW") == 0)
		return parse_row(d, value);
	if (strcmp(key, "SALT") == 0)
		return parse_salt(d, value);
	if (strcmp(key, "SHARED") == 0)
		return parse_shared(d, value);
	if (strcmp(key, "DEVICE") != 0 || d->count == DEVICES_MAX || strlen(value) < sizeof hash)
		return -ERR_SETTING;
	struct device *device = &d->list[d->count];
	memcpy(hash, value, sizeof hash - 1);
	hash[sizeof hash - 1] = '\0';
	value += sizeof hash;
	if (str_unhex(hash, device->hash, sizeof device->hash) < 0 ||
		parse_numbers(&value, times, 2) < 0 || parse_tries(&value, &device->tries) < 0 ||
		str_copy(device->name, sizeof device->name, value) < 0)
		return -ERR_SETTING;
	device->first_s = times[0];
	device->last_s = times[1];
	d->above = &device->tries;
	d->count++;
	return 0;
}

int
devices_parse(const char *text, size_t len, struct devices **ret_devices)
{
	struct devices *d = mem_new(sizeof *d);
	unsigned line;
	int r = conf_lines(text, len, on_line, d, &line);
	if (r < 0) {
		devices_free(d);
		return -ERR_SETTING;
	}
	*ret_devices = d;
	return 0;
}

int
devices_open(const char *path, struct devices **ret_devices, struct conf_error *error)
{
	struct devices *d = mem_new(sizeof *d);
	d->path = mem_str(path);
	int r = conf_load(path, FILE_MAX_BYTES, on_line, d, error);
	if (r < 0 && r != -ENOENT) {
		devices_free(d);
		return r;
	}
	*ret_devices = d;
	return 0;
}

void
devices_free(struct devices *devices)
{
	if (!devices)
		return;
	free(devices->path);
	free(devices);
}

static int
print_tries(FILE *out, const struct tries *t)
{
	return fprintf(out, "%u %llu %llu %u %llu", t->failures, (unsigned long long)t->failed_s,
		(unsigned long long)t->until_s, t->mails, (unsigned long long)t->mails_s);
}

static void
print_shared(FILE *out, const struct devices *d)
{
	char salt[2 * DEVICES_SALT_BYTES + 1];
	if (!d->salted)
		return;
	str_hex(salt, d->salt, sizeof d->salt);
	fprintf(out, "SALT %s\n", salt);
	for (unsigned i = 0; i < DEVICES_SHARED; i++) {
		const struct tries *t = &d->shared[i];
		if (!t->failures && !t->row && !t->until_s)
			continue;
		fprintf(out, "SHARED %u ", i);
		print_tries(out, t);
		fprintf(out, "\nROW %u\n", t->row);
	}
}

char *
devices_text(const struct devices *d)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	fprintf(out, "STRANGERS ");
	print_tries(out, &d->strangers);
	fprintf(out, "\nROW %u\nPAIRING ", d->strangers.row);
	print_tries(out, &d->pairing);
	fprintf(out, "\nROW %u\n", d->pairing.row);
	print_shared(out, d);
	for (size_t i = 0; i < d->count; i++) {
		const struct device *device = &d->list[i];
		char hash[2 * DEVICE_HASH_BYTES + 1];
		str_hex(hash, device->hash, sizeof device->hash);
		fprintf(out, "DEVICE %s %llu %llu ", hash, (unsigned long long)device->first_s,
			(unsigned long long)device->last_s);
		print_tries(out, &device->tries);
		fprintf(out, " %s\nROW %u\n", device->name, device->tries.row);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

int
devices_save(const struct devices *d)
{
	char *text = devices_text(d);
	int r = text ? conf_write_file(d->path, text, strlen(text), 0600) : -ENOMEM;
	free(text);
	return r;
}
