/* Below the option tables: the reader of lines, and files that are read and written whole. */
#include "base/conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define TEMPORARY ".new-"

enum {
	LINE_MAX_BYTES = 8192
}; /* a base64 certificate fits with room */

/* One line without its end. Splits at the first run of blanks; 0 for blank and comment lines too.
 */
static int
take_line(const char *line, size_t len, conf_line_fn *fn, void *user)
{
	char text[LINE_MAX_BYTES];
	if (len >= sizeof text)
		return -ERR_SETTING;
	memcpy(text, line, len);
	text[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\t')
			text[i] = ' ';
	if (strlen(text) != len || !str_printable(text))
		return -ERR_SETTING;
	while (len > 0 && text[len - 1] == ' ')
		text[--len] = '\0';
	char *key = text + strspn(text, " ");
	if (!*key || *key == '#')
		return 0;
	char *value = key + strcspn(key, " ");
	if (*value)
		*value++ = '\0';
	return fn(user, key, value + strspn(value, " "));
}

int
conf_lines(const char *text, size_t len, conf_line_fn *fn, void *user, unsigned *ret_line)
{
	unsigned number = 0;
	int r = 0;
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	while (len > 0 && r == 0) {
		const char *end = memchr(text, '\n', len);
		size_t whole = end ? (size_t)(end - text) + 1 : len;
		size_t part = end ? whole - 1 : whole;
		if (part > 0 && text[part - 1] == '\r')
			part--;
		number++;
		r = take_line(text, part, fn, user);
		text += whole;
		len -= whole;
	}
	*ret_line = number;
	return r;
}

static int
read_fd(int fd, size_t max, char **ret_text, size_t *ret_len)
{
	size_t len = 0;
	int r = 0;
	char *text = mem_array(max + 1, 1);
	if (!text)
		return -ENOMEM;
	while (r == 0) {
		ssize_t n = read(fd, text + len, max + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		len += (size_t)n;
		if (len > max)
			r = -EFBIG;
	}
	if (r < 0) {
		mem_wipe_free(text, max + 1);
		return r;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* A secret that others can read is none any more: say so instead of using it. */
static int
check_private(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && !(st.st_mode & (S_IRWXG | S_IRWXO)) ? 0 : -EPERM;
}

int
conf_read_file(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = read_fd(fd, max, ret_text, ret_len);
	close(fd);
	return r;
}

int
conf_read_secret(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int r = check_private(fd);
	if (r == 0)
		r = read_fd(fd, max, ret_text, ret_len);
	close(fd);
	return r;
}

int
conf_read_secret_line(const char *path, char *ret_text, size_t size)
{
	char *text;
	size_t len;
	int r = conf_read_secret(path, size + 1, &text, &len); /* size - 1, CR and LF */
	if (r < 0)
		return r;
	size_t line = strcspn(text, "\r\n");
	if (line >= size)
		r = -EFBIG;
	else if (line < len && text[line] == '\0')
		r = -ERR_SETTING;
	if (r == 0) {
		memcpy(ret_text, text, line);
		ret_text[line] = '\0';
	}
	mem_wipe_free(text, len);
	return r;
}

static int
write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int
sync_directory(const char *path)
{
	char copy[PATH_MAX];
	if (str_copy(copy, sizeof copy, path) < 0)
		return -ENAMETOOLONG;
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* link() is the one call that puts a finished file in place and fails when there is one already. */
static int
put_in_place(const char *temporary, const char *path, int replace)
{
	if (replace)
		return rename(temporary, path) < 0 ? -errno : 0;
	if (link(temporary, path) < 0)
		return -errno;
	return unlink(temporary) < 0 ? -errno : 0;
}

static int
write_file(const char *path, const void *data, size_t len, unsigned mode, int replace)
{
	char temporary[PATH_MAX];
	int r = str_print(temporary, sizeof temporary, "%s" TEMPORARY "XXXXXX", path);
	if (r < 0)
		return r;
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, mode) < 0 ? -errno : 0;
	if (r == 0)
		r = write_all(fd, data, len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0)
		r = put_in_place(temporary, path, replace);
	if (r < 0) {
		unlink(temporary);
		return r;
	}
	return sync_directory(path);
}

int
conf_write_file(const char *path, const void *data, size_t len, unsigned mode)
{
	return write_file(path, data, len, mode, 1);
}

int
conf_write_new(const char *path, const void *data, size_t len, unsigned mode)
{
	return write_file(path, data, len, mode, 0);
}

static int
is_temporary(const char *name)
{
	const char *end = strstr(name, TEMPORARY);
	return end && strlen(end) == strlen(TEMPORARY "XXXXXX");
}

int
conf_sweep(const char *directory)
{
	DIR *dir = opendir(directory);
	int r = 0;
	if (!dir)
		return -errno;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (is_temporary(entry->d_name) && unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			r = -errno;
	closedir(dir);
	return r;
}

int
conf_load(
	const char *path, size_t max, conf_line_fn *on_line, void *user, struct conf_error *error)
{
	char *text;
	size_t len;
	unsigned line;
	int r = conf_read_file(path, max, &text, &len);
	if (r < 0)
		return r;
	r = conf_lines(text, len, on_line, user, &line);
	mem_wipe_free(text, len);
	if (r < 0 && error)
		snprintf(error->text, sizeof error->text, "%.200s:%u: %.40s", path, line,
			err_text(r, ERR_LANG_EN));
	return r;
}
