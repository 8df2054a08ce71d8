#include "desktop/mark.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "screen/watermark_draw.h"

enum {
	DRAW_CPU_S = 20
};

/* Written by the child, read after its end. */
struct shared {
	int result;
	uint32_t width, height;
	uint8_t mask[WATERMARK_MASK_MAX_BYTES];
};

static void
draw(const char *const *lines, size_t count, const uint8_t *code, struct shared *shared)
{
	struct rlimit cpu = {DRAW_CPU_S, DRAW_CPU_S};
	setrlimit(RLIMIT_CPU, &cpu);
	/* the agent's and the display's sockets are not its business */
	close_range(STDERR_FILENO + 1, UINT32_MAX, 0);
	shared->result = watermark_draw(lines, count, code, shared->mask, sizeof shared->mask,
		&shared->width, &shared->height);
	_exit(0);
}

int
mark_draw(const char *const *lines, size_t count, const uint8_t *code,
	struct watermark **ret_watermark)
{
	if (count == 0) {
		*ret_watermark = NULL;
		return 0;
	}
	struct shared *shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -errno;
	shared->result = -EIO;
	int status, r;
	pid_t pid = fork();
	if (pid == 0)
		draw(lines, count, code, shared);
	if (pid < 0) {
		r = -errno;
	} else {
		while ((r = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
			;
		r = r < 0 ? -errno : status != 0 ? -EIO : shared->result;
	}
	if (r == 0)
		r = watermark_new(shared->mask, shared->width, shared->height, ret_watermark);
	munmap(shared, sizeof *shared);
	return r;
}
