#include "controller/site.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	FILES_MAX = 4096,
	BYTES_MAX = 64 << 20,
	DEPTH_MAX = 8,
	PATH_SIZE = 512
};

struct site {
	struct site_file *files; /* by path */
	size_t count, bytes;
};

static const struct {
	const char *ending, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".mjs", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".json", "application/json"},
	{".webmanifest", "application/manifest+json"},
	{".wasm", "application/wasm"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".webp", "image/webp"},
	{".ico", "image/x-icon"},
	{".woff2", "font/woff2"},
	{".txt", "text/plain; charset=utf-8"},
};

static const char *
type_of(const char *path)
{
	const char *dot = strrchr(path, '.');
	for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++)
		if (strcmp(dot, types[i].ending) == 0)
			return types[i].type;
	return NULL;
}

static char *
etag_of(const void *data, size_t len)
{
	enum {
		ETAG_BYTES = 16
	};
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char *etag = mem_new(2 * ETAG_BYTES + sizeof "\"\"");
	SHA256(data, len, hash);
	etag[0] = '"';
	str_hex(etag + 1, hash, ETAG_BYTES);
	etag[2 * ETAG_BYTES + 1] = '"';
	return etag;
}

static int
read_whole(int fd, size_t len, uint8_t **ret_data)
{
	uint8_t *data = mem_array(len + 1, 1);
	size_t have = 0;
	ssize_t n = 1;
	if (!data)
		return -ENOMEM;
	while (have < len && n > 0) {
		n = read(fd, data + have, len - have);
		have += n > 0 ? (size_t)n : 0;
	}
	if (have < len) {
		int r = n < 0 ? -errno : -EIO;
		free(data);
		return r;
	}
	*ret_data = data;
	return 0;
}

static int
add_file(struct site *site, int directory, const char *name, const char *path)
{
	struct stat st;
	uint8_t *data = NULL;
	const char *type = type_of(path);
	if (!type)
		return 0;
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? 0 : -errno;
	int r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0 && !S_ISREG(st.st_mode)) {
		close(fd);
		return 0;
	}
	if (r == 0 && (site->count >= FILES_MAX || (size_t)st.st_size > BYTES_MAX - site->bytes))
		r = -EFBIG;
	if (r == 0)
		r = read_whole(fd, (size_t)st.st_size, &data);
	close(fd);
	if (r < 0)
		return r;
	struct site_file *file = &site->files[site->count++];
	site->bytes += (size_t)st.st_size;
	*file = (struct site_file){mem_str(path), type, etag_of(data, (size_t)st.st_size), data,
		(size_t)st.st_size, strncmp(path, "/assets/", 8) == 0};
	return 0;
}

static int add_directory(
	struct site *site, int parent, const char *name, const char *path, int depth);

static int
add_entry(struct site *site, int directory, const struct dirent *e, const char *path, int depth)
{
	char inner[PATH_SIZE];
	struct stat st;
	if (e->d_name[0] == '.')
		return 0;
	int r = str_print(inner, sizeof inner, "%s/%s", path, e->d_name);
	if (r == 0 && fstatat(directory, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return add_directory(site, directory, e->d_name, inner, depth + 1);
	return S_ISREG(st.st_mode) ? add_file(site, directory, e->d_name, inner) : 0;
}

static int
add_directory(struct site *site, int parent, const char *name, const char *path, int depth)
{
	if (depth > DEPTH_MAX)
		return -ELOOP;
	int fd =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth ? O_NOFOLLOW : 0));
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory)
		return -errno;
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(directory));)
		r = add_entry(site, fd, e, path, depth);
	closedir(directory);
	return r;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct site_file *)a)->path, ((const struct site_file *)b)->path);
}

int
site_load(const char *directory, struct site **ret_site)
{
	struct site *site = mem_new(sizeof *site);
	site->files = mem_new(FILES_MAX * sizeof *site->files);
	int r = add_directory(site, AT_FDCWD, directory, "", 0);
	if (r < 0) {
		site_free(site);
		return r;
	}
	qsort(site->files, site->count, sizeof *site->files, by_path);
	*ret_site = site;
	return 0;
}

void
site_free(struct site *site)
{
	if (!site)
		return;
	for (size_t i = 0; i < site->count; i++) {
		free((void *)(uintptr_t)site->files[i].path);
		free((void *)(uintptr_t)site->files[i].etag);
		free((void *)(uintptr_t)site->files[i].data);
	}
	free(site->files);
	free(site);
}

const struct site_file *
site_find(const struct site *site, const char *path)
{
	const struct site_file key = {.path = strcmp(path, "/") == 0 ? "/index.html" : path};
	return site ? bsearch(&key, site->files, site->count, sizeof key, by_path) : NULL;
}

size_t
site_count(const struct site *site)
{
	return site ? site->count : 0;
}
