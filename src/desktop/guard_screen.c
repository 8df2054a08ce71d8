#include "desktop/guard_screen.h"

#include <stdlib.h>
#include <string.h>
#include <xcb/randr.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* size steps of red, green, blue; NULL when there are none, or more than the journal takes. */
static uint16_t *
get_ramps(struct guard_display *d, xcb_randr_crtc_t crtc, uint16_t *ret_size)
{
	uint16_t *ramps = NULL;
	xcb_randr_get_crtc_gamma_reply_t *g =
		xcb_randr_get_crtc_gamma_reply(d->c, xcb_randr_get_crtc_gamma(d->c, crtc), NULL);
	size_t size = g ? g->size : 0;
	if (size && size <= JOURNAL_GAMMA_MAX &&
		(size_t)xcb_randr_get_crtc_gamma_red_length(g) == size)
		ramps = mem_array(size * 3, sizeof *ramps);
	if (ramps) {
		memcpy(ramps, xcb_randr_get_crtc_gamma_red(g), size * 2);
		memcpy(ramps + size, xcb_randr_get_crtc_gamma_green(g), size * 2);
		memcpy(ramps + 2 * size, xcb_randr_get_crtc_gamma_blue(g), size * 2);
		*ret_size = (uint16_t)size;
	}
	free(g);
	return ramps;
}

static void
set_ramps(struct guard_display *d, xcb_randr_crtc_t crtc, uint16_t size, const uint16_t *ramps)
{
	xcb_randr_set_crtc_gamma(d->c, crtc, size, ramps, ramps + size, ramps + 2 * size);
}

static int
are_zero(const uint16_t *ramps, uint16_t size)
{
	for (size_t i = 0; i < (size_t)size * 3; i++)
		if (ramps[i])
			return 0;
	return 1;
}

static int
darken_one(struct guard_display *d, xcb_randr_crtc_t crtc)
{
	uint16_t size;
	uint16_t *ramps = get_ramps(d, crtc, &size);
	if (!ramps)
		return -ERR_DARK_FAILED;
	memset(ramps, 0, (size_t)size * 3 * sizeof *ramps);
	set_ramps(d, crtc, size, ramps);
	free(ramps);
	ramps = get_ramps(d, crtc, &size);
	int dark = ramps && are_zero(ramps, size);
	free(ramps);
	return dark ? 0 : -ERR_DARK_FAILED;
}

/* A dark screen is nothing that anybody wants back: what left it so has lost its journal. */
static void
straighten(uint16_t *ramps, uint16_t size)
{
	for (size_t i = 0; i < (size_t)size * 3; i++)
		ramps[i] = (uint16_t)(size > 1 ? i % size * UINT16_MAX / (size - 1U) : UINT16_MAX);
}

static int
note(struct guard_display *d, struct journal *journal, xcb_randr_crtc_t crtc)
{
	uint16_t size;
	uint16_t *ramps = get_ramps(d, crtc, &size);
	if (!ramps)
		return -ERR_DARK_FAILED;
	if (are_zero(ramps, size)) {
		LOG(WARN, "guard.was_dark", F_INT("crtc", crtc));
		straighten(ramps, size);
	}
	int r = journal_add_gamma(journal, crtc, size, ramps);
	free(ramps);
	if (r < 0)
		LOG(ERROR, "guard.journal", F_ERR("code", r));
	return r < 0 ? -ERR_SCREEN_JOURNAL : 0;
}

static int
is_lit(struct guard_display *d, xcb_randr_crtc_t crtc)
{
	xcb_randr_get_crtc_info_reply_t *info = xcb_randr_get_crtc_info_reply(
		d->c, xcb_randr_get_crtc_info(d->c, crtc, XCB_CURRENT_TIME), NULL);
	int lit = info && info->mode != XCB_NONE;
	free(info);
	return lit;
}

static int
is_dark(struct guard_display *d, xcb_randr_crtc_t crtc)
{
	uint16_t size;
	uint16_t *ramps = get_ramps(d, crtc, &size);
	int dark = ramps && are_zero(ramps, size);
	free(ramps);
	return dark;
}

static int
treat(struct guard_display *d, struct journal *journal, xcb_randr_crtc_t crtc, int watching)
{
	int r = 0, known = journal_gamma_of(journal, crtc) != NULL;
	if (!is_lit(d, crtc) || (known && is_dark(d, crtc)))
		return 0;
	if (!known)
		r = note(d, journal, crtc);
	if (r == 0)
		r = darken_one(d, crtc);
	LOG(INFO, "guard.dark", F_INT("crtc", crtc), F_INT("again", known), F_ERR("code", r));
	return r == 0 && known && watching ? -ERR_DARK_UNDONE : r;
}

static int
treat_all(struct guard_display *d, struct journal *journal, int watching)
{
	xcb_randr_get_screen_resources_current_reply_t *all =
		xcb_randr_get_screen_resources_current_reply(
			d->c, xcb_randr_get_screen_resources_current(d->c, d->root), NULL);
	int r = all && all->num_crtcs ? 0 : -ERR_DARK_FAILED;
	for (int i = 0; all && i < all->num_crtcs; i++) {
		int one = treat(
			d, journal, xcb_randr_get_screen_resources_current_crtcs(all)[i], watching);
		if (r == 0)
			r = one; /* the others are darkened all the same */
	}
	free(all);
	return r;
}

int
screen_darken(struct guard_display *d, struct journal *journal)
{
	return treat_all(d, journal, 0);
}

int
screen_watch(struct guard_display *d, struct journal *journal)
{
	return treat_all(d, journal, 1);
}

void
screen_restore(struct guard_display *d, const struct journal *journal)
{
	for (size_t i = 0; i < journal->gamma_count; i++) {
		const struct journal_gamma *g = &journal->gammas[i];
		set_ramps(d, g->crtc, g->size, g->ramps);
	}
}

void
screen_light(struct guard_display *d)
{
	xcb_randr_get_screen_resources_current_reply_t *all =
		xcb_randr_get_screen_resources_current_reply(
			d->c, xcb_randr_get_screen_resources_current(d->c, d->root), NULL);
	for (int i = 0; all && i < all->num_crtcs; i++) {
		xcb_randr_crtc_t crtc = xcb_randr_get_screen_resources_current_crtcs(all)[i];
		uint16_t size;
		uint16_t *ramps = get_ramps(d, crtc, &size);
		if (ramps && are_zero(ramps, size)) {
			straighten(ramps, size);
			set_ramps(d, crtc, size, ramps);
		}
		free(ramps);
	}
	free(all);
}
