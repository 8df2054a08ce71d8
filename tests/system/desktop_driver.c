/*
 * Plays the agent for one engawa-desktop: starts it with a socket pair and a connection to
 * $DISPLAY, obeys commands from stdin one by one, answers each with a line of JSON. Keeps the
 * picture a client would have and compares it with its own view of the display.
 *
 *   desktop_driver PROGRAM WINDOW_MIB [WATERMARK LINE...]
 *   key USAGE KEYSYM 0|1    text WORDS    pointer X Y BUTTONS    want    raw HEX       send, then
 * answer at once wait MS                 take what comes for so long settle MS LIMIT         until
 * no picture came for MS, LIMIT ms at most compare                 pixels that differ from the
 * display with the watermark on it save FILE.ppm           the client's picture mark FILE.ppm the
 * display with the watermark on it ack 0|1                 whether pictures are acknowledged
 *   latency USAGE N GAP_MS  key press to whole picture, microseconds each
 *   read 0|1                whether descriptor 3 is read at all
 *   close, signal NUMBER, exit
 *   keys                    what is held at the display
 *   layout                  monitors: x, y, width, height
 *   stats
 * DESKTOP_FILM: the client shows H.264. DESKTOP_OWN: the display is told to be ours.
 * DESKTOP_IBUS: directory where IBus says where it listens. DESKTOP_MONITORS: "X Y WIDTH HEIGHT
 * SCALE" for each monitor of the home PC, in DesktopStart. DESKTOP_COOKIE: hex of the display's
 * MIT-MAGIC-COOKIE-1, handed on in DesktopStart.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xcb/xcb.h>

#include "agent/ibus_address.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "desktop.pb.h"
#include "desktop/mark.h"
#include "inner.pb.h"
#include "net/frame.h"
#include "screen/decode.h"
#include "screen/film.h"

enum {
	LAST_READS = 1000 /* of what lies in the socket of a process that is gone: more than fits */
};

static struct driver {
	int fd; /* -1: closed */
	pid_t pid;
	int exited, status;
	int acking, reading;
	struct buf in;
	struct decoder *decoder;
	struct film_decoder *film;
	uint64_t films;
	struct watermark *watermark;
	xcb_connection_t *x;
	uint64_t bytes, pieces, pictures, rects, area_px, cursors, layouts;
	uint32_t seq, end, failed; /* last picture; codes */
	int open_pictures, ready,
		broken; /* not acknowledged; DesktopReady came; an error of the decoder */
	struct mono last_picture;
	engawa_Cursor cursor;
	engawa_Layout layout;
} d;

static void
fail(const char *what)
{
	printf("{\"error\": \"%s\"}\n", what);
	exit(1);
}

static void
send_message(uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	static uint8_t out[FRAME_HEADER_BYTES + FRAME_MAX_BYTES];
	int len = frame_encode(type, fields, msg, out, sizeof out);
	if (len < 0)
		fail("message");
	if (d.fd >= 0 && send(d.fd, out, (size_t)len, MSG_NOSIGNAL) < 0 && errno != EPIPE &&
		errno != ECONNRESET)
		fail("send");
}

static void
on_layout(const engawa_Layout *layout)
{
	d.layouts++;
	d.layout = *layout;
	if (decoder_layout(d.decoder, layout->width_px, layout->height_px) < 0)
		d.broken = 1;
}

static void
show_film(void)
{
	struct rect at;
	size_t len;
	const uint8_t *unit = decoder_film(d.decoder, &at, &len);
	if (!unit)
		return;
	d.films++;
	if ((!d.film && film_decoder_new(&d.film) < 0) ||
		film_decode(d.film, unit, len, &at, decoder_canvas(d.decoder)) < 0)
		d.broken = 1;
}

static void
on_frame(const uint8_t *payload, size_t len)
{
	static engawa_Frame f;
	if (frame_decode(engawa_Frame_fields, &f, payload, len) < 0)
		fail("frame");
	d.pieces++;
	int r = decoder_frame(d.decoder, f.seq, f.last, f.data.bytes, f.data.size);
	if (r < 0)
		d.broken = 1;
	if (r != 1)
		return;
	show_film();
	size_t n;
	const struct rect *rects = decoder_rects(d.decoder, &n);
	for (size_t i = 0; i < n; i++)
		d.area_px += (uint64_t)rects[i].w * rects[i].h;
	d.rects += n;
	d.pictures++;
	d.seq = f.seq;
	d.last_picture = mono_now();
	d.open_pictures++;
	if (d.acking) {
		engawa_Ack ack = {.seq = f.seq};
		send_message(engawa_InnerType_INNER_ACK, engawa_Ack_fields, &ack);
		d.open_pictures = 0;
	}
}

static void
on_message(uint8_t type, const uint8_t *payload, size_t len)
{
	engawa_DesktopReady ready;
	engawa_DesktopFailed failed;
	engawa_Layout layout;
	engawa_End end;
	int r = 0;
	switch (type) {
	case engawa_DesktopType_DESKTOP_READY:
		r = frame_decode(engawa_DesktopReady_fields, &ready, payload, len);
		d.ready = 1;
		on_layout(&ready.layout);
		break;
	case engawa_DesktopType_DESKTOP_FAILED:
		r = frame_decode(engawa_DesktopFailed_fields, &failed, payload, len);
		d.failed = failed.code;
		break;
	case engawa_InnerType_INNER_FRAME:
		on_frame(payload, len);
		break;
	case engawa_InnerType_INNER_LAYOUT:
		r = frame_decode(engawa_Layout_fields, &layout, payload, len);
		on_layout(&layout);
		break;
	case engawa_InnerType_INNER_CURSOR:
		r = frame_decode(engawa_Cursor_fields, &d.cursor, payload, len);
		d.cursors++;
		break;
	case engawa_InnerType_INNER_END:
		r = frame_decode(engawa_End_fields, &end, payload, len);
		d.end = end.code;
		break;
	default:
		fail("unknown message");
	}
	if (r < 0)
		fail("undecodable message");
}

/* Takes what is there; waits at most ms for it. 0 at the end of the stream. */
static int
pump(int ms)
{
	struct pollfd p = {.fd = d.reading ? d.fd : -1, .events = POLLIN};
	if (d.fd < 0 || poll(&p, 1, ms) <= 0)
		return d.fd >= 0;
	uint8_t *to = buf_reserve(&d.in, 65536);
	ssize_t n = to ? recv(d.fd, to, 65536, 0) : -1;
	if (n <= 0)
		return 0;
	buf_commit(&d.in, (size_t)n);
	d.bytes += (uint64_t)n;
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	int used;
	while ((used = frame_parse(buf_data(&d.in), buf_len(&d.in), FRAME_MAX_BYTES, &type,
			&payload, &len)) > 0) {
		on_message(type, payload, len);
		buf_drop(&d.in, (size_t)used);
	}
	if (used < 0)
		fail("frame too long");
	return 1;
}

static void
pump_for(uint64_t ms)
{
	struct mono now = mono_now(), end = mono_add_ms(now, ms);
	while (mono_before(now, end)) {
		if (!pump((int)mono_diff_ms(now, end) + 1)) {
			if (d.fd < 0)
				usleep((useconds_t)mono_diff_ms(now, end) * 1000);
			return;
		}
		now = mono_now();
	}
}

static void
settle(uint64_t quiet_ms, uint64_t limit_ms)
{
	struct mono end = mono_add_ms(mono_now(), limit_ms), from = mono_now();
	while (mono_before(mono_now(), end)) {
		struct mono last = mono_before(from, d.last_picture) ? d.last_picture : from;
		uint64_t quiet = mono_diff_ms(last, mono_now());
		if (quiet >= quiet_ms || !pump((int)(quiet_ms - quiet)))
			return;
	}
}

/* ---- the display as a client with the watermark should see it ---- */

static xcb_get_image_reply_t *
view_display(struct image *ret_view)
{
	xcb_screen_t *screen = xcb_setup_roots_iterator(xcb_get_setup(d.x)).data;
	xcb_get_geometry_reply_t *g =
		xcb_get_geometry_reply(d.x, xcb_get_geometry(d.x, screen->root), NULL);
	if (!g)
		fail("geometry");
	xcb_get_image_reply_t *reply = xcb_get_image_reply(d.x,
		xcb_get_image(d.x, XCB_IMAGE_FORMAT_Z_PIXMAP, screen->root, 0, 0, g->width,
			g->height, UINT32_MAX),
		NULL);
	if (!reply)
		fail("capture");
	*ret_view = (struct image){
		xcb_get_image_data(reply), (size_t)g->width * 4, g->width, g->height};
	watermark_apply(d.watermark, ret_view, 0, 0);
	free(g);
	return reply;
}

static void
compare(void)
{
	struct image want;
	xcb_get_image_reply_t *reply = view_display(&want);
	const struct image *have = decoder_image(d.decoder);
	size_t differ = 0;
	if (want.width != have->width || want.height != have->height) {
		printf("{\"differ\": -1, \"width\": %u, \"height\": %u}\n", have->width,
			have->height);
		free(reply);
		return;
	}
	for (size_t y = 0; y < want.height; y++)
		for (size_t x = 0; x < want.width; x++)
			differ += memcmp(image_at(&want, x, y), image_at(have, x, y), 3) != 0;
	free(reply);
	printf("{\"differ\": %zu, \"width\": %u, \"height\": %u}\n", differ, have->width,
		have->height);
}

static void
write_ppm(const char *path, const struct image *image)
{
	FILE *f = fopen(path, "wb");
	if (!f)
		fail("file");
	fprintf(f, "P6\n%u %u\n255\n", image->width, image->height);
	for (size_t y = 0; y < image->height; y++)
		for (size_t x = 0; x < image->width; x++) {
			const uint8_t *p = image_at(image, x, y);
			fwrite((const uint8_t[]){p[2], p[1], p[0]}, 1, 3, f);
		}
	fclose(f);
	printf("{}\n");
}

static void
write_mark(const char *path)
{
	struct image view;
	xcb_get_image_reply_t *reply = view_display(&view);
	write_ppm(path, &view);
	free(reply);
}

static void
print_layout(void)
{
	printf("{\"monitors\": [");
	for (size_t i = 0; i < d.layout.monitors_count; i++) {
		const engawa_Monitor *m = &d.layout.monitors[i];
		printf("%s[%d, %d, %u, %u]", i ? ", " : "", m->x_px, m->y_px, m->width_px,
			m->height_px);
	}
	printf("]}\n");
}

/* ---- commands ---- */

static void
send_key(uint32_t usage, uint32_t sym, int down)
{
	engawa_Key key = {.usage = usage, .keysym = sym, .down = down};
	send_message(engawa_InnerType_INNER_KEY, engawa_Key_fields, &key);
}

static void
latency(uint32_t usage, int count, uint64_t gap_ms)
{
	printf("{\"us\": [");
	for (int i = 0; i < count; i++) {
		settle(gap_ms, 5000);
		uint64_t before = d.pictures;
		struct mono start = mono_now(), limit = mono_add_ms(start, 2000);
		send_key(usage, 0, 1);
		while (d.pictures == before && mono_before(mono_now(), limit))
			pump(1);
		printf("%s%.0f", i ? ", " : "", (double)(mono_now().ns - start.ns) / 1000);
		send_key(usage, 0, 0);
	}
	printf("]}\n");
}

/* CPU of the desktop process in milliseconds, and its peak memory in KiB. */
static void
usage(double *cpu_ms, long *peak_kib)
{
	char path[64], line[1024];
	unsigned long user = 0, system = 0;
	*peak_kib = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)d.pid);
	FILE *f = fopen(path, "r");
	if (f && fgets(line, sizeof line, f)) {
		char *end = strrchr(line, ')');
		if (end)
			sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				&user, &system);
	}
	if (f)
		fclose(f);
	*cpu_ms = (double)(user + system) * 1000 / (double)sysconf(_SC_CLK_TCK);
	snprintf(path, sizeof path, "/proc/%d/status", (int)d.pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "VmHWM: %ld", peak_kib);
	if (f)
		fclose(f);
}

static void
reap(int options)
{
	if (d.exited || waitpid(d.pid, &d.status, options) != d.pid)
		return;
	d.exited = 1;
	/* its last words are heard, too */
	for (int i = 0; i < LAST_READS && d.fd >= 0 && pump(0); i++)
		;
}

static void
stats(void)
{
	double cpu_ms;
	long peak_kib;
	reap(WNOHANG);
	usage(&cpu_ms, &peak_kib);
	printf("{\"bytes\": %lu, \"pieces\": %lu, \"pictures\": %lu, \"rects\": %lu, \"area_px\": %lu, \"cursors\": %lu, "
	       "\"layouts\": %lu, \"films\": %lu, \"open\": %d, \"ready\": %d, \"broken\": %d, \"end\": %u, \"failed\": %u, "
	       "\"cpu_ms\": %.0f, \"peak_kib\": %ld, \"exited\": %s, \"status\": %d, \"pid\": %d, "
	       "\"cursor\": [%u, %u, %u, %u]}\n",
		d.bytes, d.pieces, d.pictures, d.rects, d.area_px, d.cursors, d.layouts, d.films,
		d.open_pictures, d.ready, d.broken, d.end, d.failed, cpu_ms, peak_kib,
		d.exited ? "true" : "false", d.status, (int)d.pid, d.cursor.width_px,
		d.cursor.height_px, d.cursor.hot_x_px, d.cursor.hot_y_px);
}

static void
print_keys(void)
{
	xcb_query_keymap_reply_t *k = xcb_query_keymap_reply(d.x, xcb_query_keymap(d.x), NULL);
	xcb_window_t root = xcb_setup_roots_iterator(xcb_get_setup(d.x)).data->root;
	xcb_query_pointer_reply_t *p =
		xcb_query_pointer_reply(d.x, xcb_query_pointer(d.x, root), NULL);
	if (!k || !p)
		fail("keys");
	const char *comma = "";
	printf("{\"keys\": [");
	for (int code = 0; code < 256; code++)
		if (k->keys[code / 8] >> code % 8 & 1) {
			printf("%s%d", comma, code);
			comma = ", ";
		}
	printf("], \"mask\": %u, \"x\": %d, \"y\": %d}\n", p->mask, p->root_x, p->root_y);
	free(k);
	free(p);
}

static void
send_raw(const char *hex)
{
	static uint8_t bytes[65536];
	size_t len = strlen(hex) / 2;
	if (len > sizeof bytes || str_unhex(hex, bytes, len) < 0)
		fail("hex");
	if (d.fd >= 0 && send(d.fd, bytes, len, MSG_NOSIGNAL) < 0 && errno != EPIPE &&
		errno != ECONNRESET)
		fail("send");
}

static void
send_text(const char *text)
{
	engawa_Text t = {0};
	if (str_copy(t.text, sizeof t.text, text) < 0)
		fail("text");
	send_message(engawa_InnerType_INNER_TEXT, engawa_Text_fields, &t);
}

/* "X Y W H SCALE" for each monitor, or nothing */
static void
send_want(const char *argument)
{
	engawa_WantLayout want = {0};
	engawa_Monitor m;
	int read = 0;
	while (want.monitors_count < 4 &&
		sscanf(argument, "%d %d %u %u %u %n", &m.x_px, &m.y_px, &m.width_px, &m.height_px,
			&m.scale_percent, &read) == 5) {
		want.monitors[want.monitors_count++] = m;
		argument += read;
	}
	send_message(engawa_InnerType_INNER_WANT_LAYOUT, engawa_WantLayout_fields, &want);
}

static int
obey(char *line)
{
	unsigned a = 0, b = 0, c = 0;
	char word[64] = "";
	int rest = 0;
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%63s %n", word, &rest) < 1)
		return 1;
	const char *argument = line + rest;
	sscanf(argument, "%i %i %i", (int *)&a, (int *)&b, (int *)&c);
	if (!strcmp(word, "settle"))
		settle(a, b);
	else if (!strcmp(word, "wait"))
		pump_for(a);
	else if (!strcmp(word, "key"))
		send_key(a, b, c != 0);
	else if (!strcmp(word, "text"))
		send_text(argument);
	else if (!strcmp(word, "pointer"))
		send_message(engawa_InnerType_INNER_POINTER, engawa_Pointer_fields,
			&(engawa_Pointer){.x_px = a, .y_px = b, .buttons = c});
	else if (!strcmp(word, "want"))
		send_want(argument);
	else if (!strcmp(word, "raw"))
		send_raw(argument);
	else if (!strcmp(word, "compare"))
		return compare(), 1;
	else if (!strcmp(word, "save"))
		return write_ppm(argument, decoder_image(d.decoder)), 1;
	else if (!strcmp(word, "mark"))
		return write_mark(argument), 1;
	else if (!strcmp(word, "latency"))
		return latency(a, (int)b, c), 1;
	else if (!strcmp(word, "stats"))
		return stats(), 1;
	else if (!strcmp(word, "keys"))
		return print_keys(), 1;
	else if (!strcmp(word, "layout"))
		return print_layout(), 1;
	else if (!strcmp(word, "ack")) {
		d.acking = (int)a;
		if (a && d.seq && d.open_pictures)
			send_message(engawa_InnerType_INNER_ACK, engawa_Ack_fields,
				&(engawa_Ack){.seq = d.seq});
		d.open_pictures = 0;
	} else if (!strcmp(word, "read"))
		d.reading = (int)a;
	else if (!strcmp(word, "close")) {
		close(d.fd);
		d.fd = -1;
	} else if (!strcmp(word, "signal"))
		kill(d.pid, (int)a);
	else if (!strcmp(word, "exit"))
		return 0;
	else
		fail("unknown command");
	printf("{}\n");
	return 1;
}

/* ---- start ---- */

static int
connect_display(void)
{
	const char *display = getenv("DISPLAY");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!display || display[0] != ':')
		return -1;
	snprintf(
		address.sun_path, sizeof address.sun_path, "/tmp/.X11-unix/X%d", atoi(display + 1));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		close(fd);
		/* a display that is gone: the desktop must say so itself */
		int pair[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return -1;
		close(pair[1]);
		return pair[0];
	}
	return fd;
}

static int
connect_ibus(void)
{
	const char *directory = getenv("DESKTOP_IBUS"), *display = getenv("DISPLAY");
	int fd = directory ? ibus_connect(directory, display + 1) : -1, high = -1;
	if (directory && fd < 0)
		fail("ibus");
	if (fd >= 0) {
		high = fcntl(fd, F_DUPFD_CLOEXEC, 41);
		close(fd);
	}
	return high;
}

static void
take_monitors(const char *text, engawa_DesktopStart *begin)
{
	int used;
	engawa_Monitor m;
	for (; text &&
		sscanf(text, "%d %d %u %u %u%n", &m.x_px, &m.y_px, &m.width_px, &m.height_px,
			&m.scale_percent, &used) == 5 &&
		begin->monitors_count < 4;
		text += used)
		begin->monitors[begin->monitors_count++] = m;
}

static void
start(const char *program)
{
	int pair[2], display = connect_display(), ibus = connect_ibus();
	if (display < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail("sockets");
	d.pid = fork();
	if (d.pid == 0) {
		/* through high numbers: 3 and 4 may be in use by each other */
		int agent = dup(pair[1]);
		dup2(dup(display), 40);
		dup2(agent, 3);
		dup2(40, 4);
		close_range(5, ibus < 5 ? UINT32_MAX : (unsigned)ibus - 1, 0);
		if (ibus >= 5)
			dup2(ibus, 5);
		close_range(6, UINT32_MAX, 0);
		execl(program, program, "--log-level", "debug", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	close(display);
	d.fd = pair[0];
}

int
main(int argc, char **argv)
{
	char line[200000];
	engawa_DesktopStart begin = {0};
	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	buf_init(&d.in, 1 << 20);
	d.acking = d.reading = 1;
	begin.window_mib = (uint32_t)atoi(argv[2]);
	for (int i = 3; i < argc && i < 3 + 4; i++)
		str_copy(begin.watermark[begin.watermark_count++], sizeof begin.watermark[0],
			argv[i]);
	/* as good as any that a key makes */
	begin.watermark_code.size = WATERMARK_CODE_BYTES;
	for (size_t i = 0; i < WATERMARK_CODE_BYTES; i++)
		begin.watermark_code.bytes[i] = (uint8_t)(i * 37);
	begin.film = getenv("DESKTOP_FILM") != NULL;
	begin.own_display = getenv("DESKTOP_OWN") != NULL;
	take_monitors(getenv("DESKTOP_MONITORS"), &begin);
	const char *cookie = getenv("DESKTOP_COOKIE");
	if (cookie) {
		str_copy(begin.auth_name, sizeof begin.auth_name, "MIT-MAGIC-COOKIE-1");
		begin.auth_data.size = 16;
		if (str_unhex(cookie, begin.auth_data.bytes, 16) < 0)
			fail("cookie");
	}
	if (decoder_new(begin.window_mib ? begin.window_mib : 8, DECODER_BGRX, &d.decoder) < 0)
		fail("decoder");
	if (mark_draw((const char *const *)argv + 3, (size_t)(argc - 3), begin.watermark_code.bytes,
		    &d.watermark) < 0)
		fail("watermark");
	start(argv[1]);
	send_message(engawa_DesktopType_DESKTOP_START, engawa_DesktopStart_fields, &begin);
	struct mono limit = mono_add_ms(mono_now(), 25000);
	while (!d.ready && !d.failed && mono_before(mono_now(), limit) && pump(1000))
		;
	d.x = xcb_connect(NULL, NULL);
	stats();
	while (fgets(line, sizeof line, stdin) && obey(line))
		;
	if (d.fd >= 0)
		close(d.fd);
	reap(0);
	xcb_disconnect(d.x);
	watermark_free(d.watermark);
	decoder_free(d.decoder);
	buf_fini(&d.in);
	return 0;
}
