/*
 * The power that goes while a file is written, for an office PC under test: loaded before its
 * program, it ends the process at the call DIE_AT (1 = the temporary file, then mode, write, sync,
 * rename, sync of the directory) of the first write to a file called DIE_FILE. Of what is written
 * then, half is.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int at, seen, counts;
static const char *name;

static void *
real(const char *symbol)
{
	return dlsym(RTLD_NEXT, symbol);
}

/* Before main: what the program starts has no environment. */
__attribute__((constructor)) static void
read_fate(void)
{
	const char *number = getenv("DIE_AT");
	name = getenv("DIE_FILE");
	at = number && name ? atoi(number) : 0;
}

static int
is_now(void)
{
	return at && counts && ++seen == at;
}

static void
point(void)
{
	if (is_now())
		kill(getpid(), SIGKILL);
}

static int
is_it(const char *template)
{
	const char *slash = strrchr(template, '/');
	size_t len = name ? strlen(name) : 0;
	return len && slash && strncmp(slash + 1, name, len) == 0 && slash[1 + len] == '.';
}

int
mkostemp64(char *template, int flags)
{
	int (*call)(char *, int);
	*(void **)&call = real("mkostemp64");
	counts = counts || (at && is_it(template));
	point();
	return call(template, flags);
}

int
fchmod(int fd, mode_t mode)
{
	int (*call)(int, mode_t);
	*(void **)&call = real("fchmod");
	point();
	return call(fd, mode);
}

ssize_t
write(int fd, const void *data, size_t len)
{
	ssize_t (*call)(int, const void *, size_t);
	*(void **)&call = real("write");
	struct stat st;
	int is_file = counts && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fd > STDERR_FILENO;
	if (is_file && is_now()) {
		call(fd, data, len / 2);
		kill(getpid(), SIGKILL);
	}
	return call(fd, data, len);
}

int
fsync(int fd)
{
	int (*call)(int);
	*(void **)&call = real("fsync");
	point();
	return call(fd);
}

int
rename(const char *from, const char *to)
{
	int (*call)(const char *, const char *);
	*(void **)&call = real("rename");
	point();
	return call(from, to);
}
