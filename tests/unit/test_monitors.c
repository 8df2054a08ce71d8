/* Monitors as a person writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "client/monitors.h"

static void
is(const engawa_Monitor *m, int32_t x, int32_t y, uint32_t width, uint32_t height, uint32_t scale)
{
	assert_int_equal(m->x_px, x);
	assert_int_equal(m->y_px, y);
	assert_int_equal(m->width_px, width);
	assert_int_equal(m->height_px, height);
	assert_int_equal(m->scale_percent, scale);
}

static void
test_parse(void **state)
{
	(void)state;
	engawa_Monitor m[MONITORS_MAX];
	size_t count;
	assert_int_equal(monitors_parse("1920x1080+0+0@100,1280x1024+1920+0@125", m, &count), 0);
	assert_int_equal(count, 2);
	is(&m[0], 0, 0, 1920, 1080, 100);
	is(&m[1], 1920, 0, 1280, 1024, 125);
	assert_int_equal(monitors_parse("800x600", m, &count), 0);
	is(&m[0], 0, 0, 800, 600, 100);
	assert_int_equal(
		monitors_parse("800x600@200,640x480+-640+-20,320x320,400x400", m, &count), 0);
	assert_int_equal(count, 4);
	is(&m[0], 0, 0, 800, 600, 200);
	is(&m[1], -640, -20, 640, 480, 100);
	is(&m[2], 0, 0, 320, 320, 100);
	is(&m[3], 320, 0, 400, 400, 100);
}

static void
test_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ",", "800", "800x", "x600", "800x600,", "800x600 ",
		"800x600+1", "800x600+1+", "800x600+a+1", "800x600@", "800x600@49", "800x600@501",
		"319x600", "800x16385", "99999999x600", "-800x600", "800x600@100+0+0",
		"800x600+99999+0", "400x400,400x400,400x400,400x400,400x400"};
	engawa_Monitor m[MONITORS_MAX];
	size_t count;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(monitors_parse(bad[i], m, &count), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
