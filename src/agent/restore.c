#include "agent/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/backup.h"
#include "agent/keys.h"
#include "agent/passphrase.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define STAGE "restore.new"
#define READY "restore.ready"
#define LIST ".list"

enum {
	LIST_MAX_BYTES = BACKUP_FILES_MAX * BACKUP_NAME_SIZE
};

static const char *const identity[] = {"identity.key", "agent.key", "tls.key", "salt",
	"certificate", "organisation", "organisation.known"};
static const char *const never[] = {"policy", "policy-revision"};

static int
among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return 1;
	return 0;
}

static int
is_identity(const char *name)
{
	return among(name, identity, sizeof identity / sizeof identity[0]);
}

/* A file that a backup may have, and a restore may take away. */
static int
is_setting(int dir, const char *name)
{
	struct stat st;
	return backup_name_fit(name) && !is_identity(name) &&
	       !among(name, never, sizeof never / sizeof never[0]) && !strstr(name, ".new-") &&
	       fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* ---- into place ---- */

static int
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static int
remove_directory(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	int r = 0;
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			r = -errno;
	closedir(dir);
	return r == 0 && rmdir(path) < 0 ? -errno : r;
}

static int
in_list(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *line = list; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == '\n')
			return 1;
	}
	return 0;
}

/* What the backup does not have was not there when it was made. */
static int
drop_others(const char *directory, const char *list)
{
	DIR *dir = opendir(directory);
	int r = 0;
	if (!dir)
		return -errno;
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
		if (is_setting(dirfd(dir), entry->d_name) && !in_list(list, entry->d_name) &&
			unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			r = -errno;
	closedir(dir);
	return r;
}

static int
move_all(const char *directory, const char *ready)
{
	char from[PATH_MAX], to[PATH_MAX];
	DIR *dir = opendir(ready);
	int r = 0;
	if (!dir)
		return -errno;
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		r = str_print(from, sizeof from, "%s/%s", ready, entry->d_name);
		if (r == 0)
			r = str_print(to, sizeof to, "%s/%s", directory, entry->d_name);
		if (r == 0 && rename(from, to) < 0)
			r = -errno;
	}
	closedir(dir);
	return r;
}

int
restore_finish(const char *directory)
{
	char stage[PATH_MAX], ready[PATH_MAX], list[PATH_MAX], *text;
	size_t len;
	if (str_print(stage, sizeof stage, "%s/" STAGE, directory) < 0 ||
		str_print(ready, sizeof ready, "%s/" READY, directory) < 0 ||
		str_print(list, sizeof list, "%s/" READY "/" LIST, directory) < 0)
		return -ENAMETOOLONG;
	int r = remove_directory(stage);
	if (r < 0)
		return r;
	r = conf_read_file(list, LIST_MAX_BYTES, &text, &len);
	if (r == 0) {
		r = drop_others(directory, text);
		free(text);
		if (r == 0)
			r = move_all(directory, ready);
		if (r == 0)
			r = sync_directory(directory);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	/* nothing but the list is left, or nothing at all */
	r = remove_directory(ready);
	return r < 0 ? r : sync_directory(directory);
}

static int
write_list(const char *stage, const struct backup *b)
{
	char path[PATH_MAX], text[LIST_MAX_BYTES + 1] = "";
	size_t len = 0;
	for (size_t i = 0; i < b->count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", b->files[i].name);
	int r = str_print(path, sizeof path, "%s/" LIST, stage);
	return r < 0 ? r : conf_write_file(path, text, len, 0600);
}

static int
put_in_place(const char *directory, const struct backup *b)
{
	char stage[PATH_MAX], ready[PATH_MAX], path[PATH_MAX];
	if (str_print(stage, sizeof stage, "%s/" STAGE, directory) < 0 ||
		str_print(ready, sizeof ready, "%s/" READY, directory) < 0)
		return -ENAMETOOLONG;
	int r = mkdir(stage, 0700) < 0 ? -errno : 0;
	for (size_t i = 0; r == 0 && i < b->count; i++) {
		r = str_print(path, sizeof path, "%s/%s", stage, b->files[i].name);
		if (r == 0)
			r = conf_write_file(path, b->files[i].data, b->files[i].len, 0600);
	}
	if (r == 0)
		r = write_list(stage, b);
	if (r == 0 && rename(stage, ready) < 0)
		r = -errno;
	if (r == 0)
		r = sync_directory(directory);
	if (r < 0) {
		remove_directory(stage);
		return r;
	}
	return restore_finish(directory);
}

/* ---- backup ---- */

static int
add_file(struct backup *b, const char *directory, const char *name)
{
	char path[PATH_MAX], *text;
	size_t len;
	int r = str_print(path, sizeof path, "%s/%s", directory, name);
	if (r == 0)
		r = conf_read_file(path, BACKUP_FILE_MAX_BYTES, &text, &len);
	if (r < 0)
		return r;
	r = backup_add(b, name, text, len);
	mem_wipe_free(text, len);
	return r;
}

static int
gather(const struct options *o, const struct keys *keys, struct backup *b)
{
	DIR *dir = opendir(o->state_directory);
	if (!dir)
		return -errno;
	int r = str_copy(b->organisation, sizeof b->organisation, keys->org.id);
	memcpy(b->terminal_id, keys->terminal_id, sizeof b->terminal_id);
	b->identity = o->with_identity != 0;
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
		if (is_setting(dirfd(dir), entry->d_name) ||
			(b->identity && is_identity(entry->d_name)))
			r = add_file(b, o->state_directory, entry->d_name);
	closedir(dir);
	return r;
}

static int
write_backup(const struct options *o, const struct backup *b, const char *passphrase)
{
	static const struct backup_header cost = {
		.memory_kib = BACKUP_MEMORY_KIB, .passes = BACKUP_PASSES};
	uint8_t *data;
	size_t len;
	int r = backup_seal(b, &cost, passphrase, &data, &len);
	if (r < 0)
		return r;
	r = conf_write_new(o->backup_file, data, len, 0600);
	free(data);
	return r;
}

/* ---- both ---- */

static int
end(int r, const char *what, const struct conf_error *error)
{
	enum err_lang lang = err_lang(setlocale(LC_MESSAGES, ""));
	if (r == -ENOSPC || r == -EDQUOT)
		r = -ERR_DISK_FULL;
	const struct err_entry *entry = err_find(r);
	if (r == 0)
		return 0;
	fprintf(stderr, "engawa-agent: %s: %s%s%s\n", what, err_text(r, lang),
		error->text[0] ? ": " : "", error->text);
	if (entry)
		fprintf(stderr, "        %s (EW-%d)\n", entry->next[lang], entry->number);
	return 1;
}

static int
needs_file(const struct options *o, struct conf_error *error)
{
	if (o->backup_file)
		return 0;
	snprintf(error->text, sizeof error->text, "which file?");
	return -ERR_SETTING;
}

int
backup_main(const struct options *options)
{
	struct backup *b = mem_new(sizeof *b);
	struct keys *keys = mem_new(sizeof *keys);
	struct conf_error error = {""};
	char passphrase[PASSPHRASE_SIZE] = "";
	umask(077);
	int r = needs_file(options, &error);
	if (r == 0)
		r = keys_load(options, keys, &error);
	if (r == 0)
		r = passphrase_read(options->passphrase_file, 1, passphrase);
	if (r == 0)
		r = gather(options, keys, b);
	if (r == 0)
		r = write_backup(options, b, passphrase);
	mem_wipe(passphrase, sizeof passphrase);
	backup_fini(b);
	keys_fini(keys);
	free(b);
	free(keys);
	return end(r, options->backup_file ? options->backup_file : "backup", &error);
}

/* May this backup be put here? What is here already stays who it is. */
static int
check(const struct options *o, struct backup *b)
{
	struct keys keys = {.org_text = NULL};
	struct conf_error error = {""};
	int r = keys_load(o, &keys, &error);
	if (r == -ERR_NOT_ENROLLED) {
		char path[PATH_MAX];
		keys_fini(&keys);
		/* of an enrolment that was begun: keys are never written over */
		if (state_path(o, "identity.key", path, sizeof path) < 0 || access(path, F_OK) == 0)
			return -ERR_BACKUP_IDENTITY;
		return b->identity ? 0 : r;
	}
	int same = r == 0 && strcmp(keys.terminal_id, b->terminal_id) == 0;
	int same_org = r == 0 && strcmp(keys.org.id, b->organisation) == 0;
	keys_fini(&keys);
	if (r < 0)
		return r;
	if (!same && b->identity)
		return -ERR_BACKUP_IDENTITY;
	if (!same_org || (!same && !o->other_terminal))
		return -ERR_BACKUP_FOREIGN;
	return 0;
}

/* Who is enrolled keeps his keys: the certificate of the backup may be an older one. */
static void
leave_out(struct backup *b, int enrolled, int has_pepper)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->count; i++) {
		struct backup_file file = b->files[i];
		int out = (is_identity(file.name) && enrolled) ||
			  among(file.name, never, sizeof never / sizeof never[0]) ||
			  (has_pepper && strcmp(file.name, "pepper") == 0);
		if (out)
			mem_wipe_free(file.data, file.len);
		else
			b->files[kept++] = file;
	}
	b->count = kept;
}

static int
restore(const struct options *o, const char *passphrase)
{
	struct backup *b = mem_new(sizeof *b);
	char *data, path[PATH_MAX];
	size_t len;
	int r = conf_read_file(o->backup_file, BACKUP_MAX_BYTES + 4096, &data, &len);
	if (r == -EFBIG)
		r = -ERR_BACKUP_BAD;
	if (r == 0) {
		r = backup_open((const uint8_t *)data, len, passphrase, b);
		mem_wipe_free(data, len);
	}
	if (r == 0)
		r = check(o, b);
	if (r == 0)
		r = state_path(o, "certificate", path, sizeof path);
	if (r == 0) {
		leave_out(b, access(path, F_OK) == 0, o->pepper_file != NULL);
		r = put_in_place(o->state_directory, b);
	}
	backup_fini(b);
	free(b);
	return r;
}

int
restore_main(const struct options *options)
{
	struct conf_error error = {""};
	char passphrase[PASSPHRASE_SIZE] = "";
	struct stat st;
	umask(077);
	int r = needs_file(options, &error);
	if (r == 0 && mkdir(options->state_directory, 0700) < 0 && errno != EEXIST)
		r = -errno;
	/* whose the files are, the agent can read them */
	if (r == 0 && (stat(options->state_directory, &st) < 0 || st.st_uid != geteuid()))
		r = -ERR_DENIED;
	if (r == 0)
		r = state_lock(options->state_directory);
	if (r == -ERR_EXISTS)
		r = -ERR_AGENT_RUNNING;
	if (r == 0)
		r = restore_finish(options->state_directory);
	if (r == 0)
		r = passphrase_read(options->passphrase_file, 0, passphrase);
	if (r == 0)
		r = restore(options, passphrase);
	mem_wipe(passphrase, sizeof passphrase);
	return end(r, options->backup_file ? options->backup_file : "restore", &error);
}
