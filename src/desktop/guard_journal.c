#include "desktop/guard_journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	WORDS_MAX = 4
};

/* Cut at single blanks, at most WORDS_MAX; the line is changed. */
static size_t
split(char *line, char *words[static WORDS_MAX])
{
	size_t count = 0;
	for (char *p = line; p && count < WORDS_MAX; count++) {
		words[count] = p;
		p = strchr(p, ' ');
		if (p)
			*p++ = '\0';
		if (p && count == WORDS_MAX - 1)
			return 0;
	}
	return count;
}

static int
number(const char *text, int64_t max, int64_t *ret)
{
	return str_int(text, 0, max, ret);
}

static int
take_ramps(const char *hex, uint16_t *out, size_t count)
{
	uint8_t *bytes = (uint8_t *)out;
	if (str_unhex(hex, out, count * sizeof *out) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		out[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
	return 0;
}

static int
take_gamma(struct journal *j, char *const words[static WORDS_MAX])
{
	int64_t crtc, size;
	if (j->gamma_count == JOURNAL_CRTCS_MAX || number(words[1], UINT32_MAX, &crtc) < 0 ||
		number(words[2], JOURNAL_GAMMA_MAX, &size) < 0 || size == 0)
		return -1;
	uint16_t *ramps = mem_array((size_t)size * 3, sizeof *ramps);
	if (!ramps)
		return -1;
	if (take_ramps(words[3], ramps, (size_t)size * 3) < 0) {
		free(ramps);
		return -1;
	}
	j->gammas[j->gamma_count++] = (struct journal_gamma){(uint32_t)crtc, (uint16_t)size, ramps};
	return 0;
}

static int
take_device(struct journal *j, char *const words[static WORDS_MAX])
{
	struct journal_device *d = &j->devices[j->device_count];
	int64_t id, master;
	size_t len = strlen(words[3]);
	if (j->device_count == JOURNAL_DEVICES_MAX || number(words[1], UINT16_MAX, &id) < 0 ||
		number(words[2], UINT16_MAX, &master) < 0 || len % 2 || len / 2 >= sizeof d->name)
		return -1;
	*d = (struct journal_device){.id = (uint16_t)id, .master = (uint16_t)master};
	if (str_unhex(words[3], d->name, len / 2) < 0 || strlen(d->name) != len / 2)
		return -1;
	j->device_count++;
	return 0;
}

static int
take_line(struct journal *j, char *line)
{
	char *words[WORDS_MAX];
	size_t count = split(line, words);
	if (count == 2 && !j->used && strcmp(words[0], "server") == 0 &&
		strlen(words[1]) == (size_t)2 * JOURNAL_TOKEN_BYTES) {
		j->used = 1;
		return str_unhex(words[1], j->token, sizeof j->token);
	}
	if (count != WORDS_MAX || !j->used)
		return -1;
	if (strcmp(words[0], "gamma") == 0)
		return take_gamma(j, words);
	return strcmp(words[0], "device") == 0 ? take_device(j, words) : -1;
}

int
journal_parse(struct journal *journal, const char *text, size_t len)
{
	if (len > JOURNAL_MAX_BYTES || memchr(text, '\0', len))
		return -ERR_STATE_DAMAGED;
	const char *end;
	for (const char *p = text; (end = memchr(p, '\n', len - (size_t)(p - text))); p = end + 1) {
		size_t n = (size_t)(end - p);
		char *line = mem_new(n + 1);
		memcpy(line, p, n);
		line[n] = '\0';
		int r = take_line(journal, line);
		free(line);
		if (r < 0)
			return -ERR_STATE_DAMAGED;
	}
	return 0;
}

static void
forget(struct journal *j)
{
	for (size_t i = 0; i < j->gamma_count; i++)
		free(j->gammas[i].ramps);
	j->gamma_count = j->device_count = 0;
	j->used = 0;
}

void
journal_fini(struct journal *journal)
{
	if (journal)
		forget(journal);
}

int
journal_load(struct journal *journal, int fd)
{
	struct stat st;
	*journal = (struct journal){.fd = fd};
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > JOURNAL_MAX_BYTES)
		return -ERR_STATE_DAMAGED;
	char *text = mem_new((size_t)st.st_size + 1);
	ssize_t n = pread(fd, text, (size_t)st.st_size, 0);
	int r = n < 0 ? -errno : journal_parse(journal, text, (size_t)n);
	free(text);
	return r;
}

/* At the end; whole and on the disk, or an error. */
static int
append(struct journal *j, const char *text, size_t len)
{
	off_t at = lseek(j->fd, 0, SEEK_END);
	ssize_t n = at < 0 ? -1 : pwrite(j->fd, text, len, at);
	if (n < 0)
		return -errno;
	if ((size_t)n < len)
		return -ENOSPC;
	return fsync(j->fd) < 0 ? -errno : 0;
}

int
journal_begin(struct journal *journal, const uint8_t token[static JOURNAL_TOKEN_BYTES])
{
	char line[sizeof "server \n" + 2 * JOURNAL_TOKEN_BYTES] = "server ";
	int r = journal_clear(journal);
	if (r < 0)
		return r;
	str_hex(line + 7, token, JOURNAL_TOKEN_BYTES);
	strcat(line, "\n");
	r = append(journal, line, strlen(line));
	if (r < 0)
		return r;
	memcpy(journal->token, token, JOURNAL_TOKEN_BYTES);
	journal->used = 1;
	return 0;
}

int
journal_add_gamma(struct journal *j, uint32_t crtc, uint16_t size, const uint16_t *ramps)
{
	size_t count = (size_t)size * 3, cap = 64 + count * 4;
	if (j->gamma_count == JOURNAL_CRTCS_MAX || size == 0 || size > JOURNAL_GAMMA_MAX)
		return -ENOSPC;
	char *line = mem_new(cap);
	int n = snprintf(line, cap, "gamma %u %u ", crtc, size);
	for (size_t i = 0; i < count; i++)
		n += snprintf(line + n, cap - (size_t)n, "%04x", ramps[i]);
	n += snprintf(line + n, cap - (size_t)n, "\n");
	int r = append(j, line, (size_t)n);
	free(line);
	if (r < 0)
		return r;
	uint16_t *copy = mem_new(count * sizeof *copy);
	memcpy(copy, ramps, count * sizeof *copy);
	j->gammas[j->gamma_count++] = (struct journal_gamma){crtc, size, copy};
	return 0;
}

int
journal_add_device(struct journal *j, const struct journal_device *device)
{
	char line[64 + 2 * JOURNAL_NAME_SIZE];
	if (j->device_count == JOURNAL_DEVICES_MAX)
		return -ENOSPC;
	int n = snprintf(line, sizeof line, "device %u %u ", device->id, device->master);
	str_hex(line + n, device->name, strlen(device->name));
	strcat(line, "\n");
	int r = append(j, line, strlen(line));
	if (r == 0)
		j->devices[j->device_count++] = *device;
	return r;
}

int
journal_clear(struct journal *journal)
{
	forget(journal);
	return ftruncate(journal->fd, 0) < 0 || fsync(journal->fd) < 0 ? -errno : 0;
}

const struct journal_gamma *
journal_gamma_of(const struct journal *journal, uint32_t crtc)
{
	for (size_t i = 0; i < journal->gamma_count; i++)
		if (journal->gammas[i].crtc == crtc)
			return &journal->gammas[i];
	return NULL;
}

const struct journal_device *
journal_device_of(const struct journal *journal, uint16_t id)
{
	for (size_t i = 0; i < journal->device_count; i++)
		if (journal->devices[i].id == id)
			return &journal->devices[i];
	return NULL;
}
