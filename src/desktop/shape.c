#include "desktop/source.h"

int
source_monitor_make(
	int32_t x, int32_t y, uint32_t width, uint32_t height, struct source_monitor *ret_monitor)
{
	if (width > IMAGE_SIDE_MAX_PX || height > IMAGE_SIDE_MAX_PX || x < -IMAGE_SIDE_MAX_PX ||
		x > IMAGE_SIDE_MAX_PX || y < -IMAGE_SIDE_MAX_PX || y > IMAGE_SIDE_MAX_PX)
		return 0;
	*ret_monitor =
		(struct source_monitor){(int16_t)x, (int16_t)y, (uint16_t)width, (uint16_t)height};
	return 1;
}

size_t
source_first_monitors(const engawa_DesktopStart *start,
	struct source_monitor ret_monitors[static SOURCE_MONITORS_MAX], uint32_t *ret_scale_percent)
{
	size_t count = 0;
	for (size_t i = 0; i < start->monitors_count && i < SOURCE_MONITORS_MAX; i++) {
		const engawa_Monitor *m = &start->monitors[i];
		if (!source_monitor_make(
			    m->x_px, m->y_px, m->width_px, m->height_px, &ret_monitors[count++]))
			return 0;
	}
	uint32_t scale = count ? start->monitors[0].scale_percent : 0;
	/* the bounds that the agent has for WantLayout */
	*ret_scale_percent = scale >= 50 && scale <= 500 ? scale : SOURCE_SCALE_DEFAULT;
	return count;
}
