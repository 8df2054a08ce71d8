#include "mark/read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "mark/cells.h"

enum {
	SMALLEST_PX = 64, /* a cell */
	SIDE_MIN_PX = 1100,
	SIDE_MAX_PX = 2400, /* a cell of a full HD screen is then 84 pixels wide */
	SHRINK = 2,         /* to find the grid, which is coarse */
	CPU_S = 120,
};

/* Ways to look at a picture. dashes: look for the grid where single dashes stand out, which helps
 * against noise; else everywhere, which helps against letters. */
static const struct {
	double scale;
	int rectified, dashes;
} ways[READ_ATTEMPTS] = {{1, 0, 0}, {1, 0, 1}, {1, 1, 0}, {0.6, 0, 1}, {1.6, 0, 1}};

/* Adds tables for each grid that shows something. 0 or a failure. */
static int
look(const struct photo *photo, const double *corners, int attempt, struct mark_table *tables,
	int *count)
{
	uint32_t longer = photo->width > photo->height ? photo->width : photo->height;
	int side = (int)(fmin(SIDE_MAX_PX, fmax(SIDE_MIN_PX, longer)) * ways[attempt].scale);
	struct plane plane = {0}, flat = {0}, dashes = {0}, small = {0};
	struct grid grids[GRIDS_MAX];
	int r = plane_take(photo, corners, side, &plane);
	if (r == 0)
		r = plane_flatten(&plane, &flat);
	if (r == 0 && ways[attempt].rectified)
		r = plane_rectify(&flat);
	plane_fini(&plane);
	if (r == 0 && ways[attempt].dashes)
		r = plane_dashes(&flat, &dashes);
	if (r == 0)
		r = plane_shrink(ways[attempt].dashes ? &dashes : &flat, SHRINK, &small);
	plane_fini(&dashes);
	int found = r == 0 ? grid_find(&small, grids) : r;
	for (int i = 0; i < found && *count + CELLS_TABLES <= MARK_TABLES_MAX; i++) {
		double seen = grid_refine(&small, &grids[i]);
		if (seen > 0) {
			grid_enlarge(&grids[i], SHRINK);
			seen = cells_read(&flat, &grids[i], &tables[*count]);
		}
		*count += seen > 0 ? CELLS_TABLES : 0;
		if (seen < 0)
			found = (int)seen;
	}
	plane_fini(&small);
	plane_fini(&flat);
	return found < 0 ? found : 0;
}

int
read_tables(const uint8_t *file, size_t len, const double *corners, int attempt,
	struct mark_table ret_tables[static MARK_TABLES_MAX])
{
	struct photo photo;
	int count = 0, r = photo_decode(file, len, &photo);
	if (r < 0)
		return r;
	if (corners || (photo.width >= SMALLEST_PX && photo.height >= SMALLEST_PX))
		r = look(&photo, corners, attempt, ret_tables, &count);
	photo_fini(&photo);
	return r < 0 ? r : count;
}

/* ---- apart ---- */

struct answer {
	int result, attempt;
	struct mark_table tables[MARK_TABLES_MAX];
};

/* Whole, or as far as there is something. */
static size_t
transfer(int fd, void *bytes, size_t len, int is_write)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = is_write ? send(fd, (uint8_t *)bytes + done, len - done, MSG_NOSIGNAL)
				     : read(fd, (uint8_t *)bytes + done, len - done);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	return done;
}

static void __attribute__((noreturn))
child(int fd, size_t len, const char *user, const double *corners, int socket)
{
	static struct answer answer;
	struct rlimit cpu = {CPU_S, CPU_S};
	uint8_t *file = mem_array(len, 1), go;
	int r = file ? sandbox_user(user, NULL) : -ENOMEM;
	setrlimit(RLIMIT_CPU, &cpu);
	if (r == 0)
		r = sandbox_no_files();
	if (r == 0)
		r = sandbox_calls(SANDBOX_IO);
	if (r == 0 && transfer(fd, file, len, 0) < len)
		r = -ERR_PHOTO_KIND;
	for (int i = 0; i < READ_ATTEMPTS && transfer(socket, &go, 1, 0) == 1; i++) {
		answer.attempt = i;
		answer.result = r < 0 ? r : read_tables(file, len, corners, i, answer.tables);
		if (transfer(socket, &answer, sizeof answer, 1) < sizeof answer)
			break;
	}
	_exit(0);
}

int
reader_start(int fd, const char *user, const double *corners, struct reader *ret_reader)
{
	struct stat st;
	int pair[2];
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return -ERR_PHOTO_KIND;
	if (st.st_size > PHOTO_FILE_MAX_BYTES)
		return -ERR_PHOTO_LARGE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		child(fd, (size_t)st.st_size, user, corners, pair[1]);
	}
	int r = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (r < 0)
		close(pair[0]);
	else
		*ret_reader = (struct reader){pid, pair[0]};
	return r;
}

int
reader_next(
	struct reader *reader, struct mark_table ret_tables[static MARK_TABLES_MAX], int *ret_over)
{
	static struct answer answer;
	uint8_t go = 1;
	if (transfer(reader->socket, &go, 1, 1) != 1 ||
		transfer(reader->socket, &answer, sizeof answer, 0) != sizeof answer ||
		answer.result > MARK_TABLES_MAX)
		return -ERR_MARK_READER;
	for (int i = 0; i < answer.result; i++)
		ret_tables[i] = answer.tables[i];
	*ret_over = answer.attempt >= READ_ATTEMPTS - 1;
	return answer.result;
}

void
reader_end(struct reader *reader)
{
	close(reader->socket);
	while (waitpid(reader->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
