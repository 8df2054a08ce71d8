#include "desktop/pictures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "screen/film.h"
#include "screen/motion.h"
#include "screen/owed.h"
#include "screen/pace.h"
#include "screen/photo.h"

enum {
	/* A photograph that the path carries in this time goes exactly at once. */
	AT_ONCE_MS = 200,
	/* What a key's echo waits at most behind a strip or a slice, on a path of constant rate. */
	STRIP_MS = 200,
	SLICE_MS = 100,
	STILL_MS = 200, /* after the last strip: perhaps somebody only leafs through */
	SOON_MS = 1000, /* a film becomes exact in this time, or better first */
	EXACT_PIXEL_BYTES =
		2, /* what photographs cost, roughly; no more than PICTURE_PIXEL_BYTES */
	STRIP_BYTE_PIXELS_MIN = 3, /* of a strip: as the last one, within these */
	STRIP_BYTE_PIXELS_MAX = 8,
	STRIP_SIDE_MIN_PX = 64, /* decoders in hardware know no smaller ones */
	STRIP_SIDE_MAX_PX = 2048,
	STRIP_AREA_MAX_PX = 1 << 20,
	SLICE_LEAST_PX = 512,
	SLICE_GROWTH = 4, /* of slices that are coded well: the next may not be */
	SLICE_RECTS_MAX = 1024,
	WAITING_MAX = 16,
};

struct pictures {
	struct pictures_settings settings;
	struct damage damage;
	struct image shown; /* what the client has, or will have, without the watermark */
	struct encoder *encoder;
	struct pace pace;
	struct moves *moves;
	struct motion motion;
	int film_wanted;           /* the client shows them, and none has failed */
	struct film_encoder *film; /* the last one's; its unit is in the open picture */
	struct photo photo;
	struct rect waiting[WAITING_MAX]; /* photographs that the client has not seen; owed */
	size_t waiting_count;
	uint32_t strip_byte_px; /* pixels for a byte of the last strip */
	struct owed owed;
	uint32_t slice_px; /* of the next slice */
	int slicing;       /* the open picture is one */
	size_t bytes;      /* of the open picture */
	uint32_t seq;
	int whole; /* the next picture covers the screen */
	struct rect rects[ENCODE_RECTS_MAX], parts[ENCODE_RECTS_MAX];
};

/* ---- beginning and end ---- */

int
pictures_new(const struct pictures_settings *settings, struct pictures **ret_pictures)
{
	struct pictures *p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	p->settings = *settings;
	p->film_wanted = settings->film;
	p->strip_byte_px = STRIP_BYTE_PIXELS_MIN;
	pace_init(&p->pace, settings->interval_ms);
	int r = encoder_new(settings->window_mib, settings->watermark, &p->encoder);
	if (r == 0)
		r = moves_new(&p->moves);
	if (r < 0) {
		pictures_free(p);
		return r;
	}
	*ret_pictures = p;
	return 0;
}

static void
free_sized(struct pictures *p)
{
	damage_fini(&p->damage);
	image_fini(&p->shown);
	motion_fini(&p->motion);
	photo_fini(&p->photo);
	owed_fini(&p->owed);
}

void
pictures_free(struct pictures *p)
{
	if (!p)
		return;
	free_sized(p);
	encoder_free(p->encoder);
	moves_free(p->moves);
	film_encoder_free(p->film);
	free(p);
}

int
pictures_resize(struct pictures *p, uint32_t width, uint32_t height)
{
	free_sized(p);
	p->waiting_count = 0;
	int r = damage_init(&p->damage, width, height);
	if (r == 0)
		r = motion_init(&p->motion, &p->damage);
	if (r == 0)
		r = owed_init(&p->owed, &p->damage);
	if (r == 0)
		r = photo_init(&p->photo, width, height);
	if (r == 0)
		r = image_init(&p->shown, width, height);
	if (r < 0)
		return r;
	damage_add_all(&p->damage);
	p->whole = 1;
	return 0;
}

int
pictures_restart(struct pictures *p)
{
	struct encoder *encoder;
	int r = encoder_new(p->settings.window_mib, p->settings.watermark, &encoder);
	if (r < 0)
		return r;
	encoder_free(p->encoder);
	p->encoder = encoder;
	pace_init(&p->pace, p->settings.interval_ms);
	p->slicing = 0;
	p->whole = 1;
	damage_add_all(&p->damage);
	return 0;
}

int
pictures_ack(struct pictures *p, uint32_t seq, struct mono now)
{
	return pace_ack(&p->pace, seq, now);
}

struct damage *
pictures_damage(struct pictures *p)
{
	return &p->damage;
}

/* ---- photographs ---- */

/* Exactly it would keep the path busy for longer. */
static int
takes_long(const struct pictures *p, uint64_t area_px, uint32_t ms)
{
	uint64_t bytes = pace_bytes(&p->pace, ms);
	return bytes > 0 && area_px * EXACT_PIXEL_BYTES > bytes;
}

/* The client will see it roughly first, if it shows films. */
static void
hold(struct pictures *p, const struct rect *photo, struct mono now)
{
	if (p->film_wanted && p->waiting_count < WAITING_MAX) {
		p->waiting[p->waiting_count++] = *photo;
		now = mono_add_ms(now, STILL_MS);
	}
	owed_add(&p->owed, &p->damage, photo, now);
}

/* A film shows them now. */
static void
leave_to_film(struct pictures *p)
{
	size_t count = 0;
	for (size_t i = 0; i < p->waiting_count; i++)
		if (!motion_playing(&p->motion) || !rect_within(&p->waiting[i], &p->motion.film))
			p->waiting[count++] = p->waiting[i];
	p->waiting_count = count;
}

/* Something new has come to a photograph that waits, or it has moved: all are looked for again. */
static void
let_go(struct pictures *p, const struct encode_change *c)
{
	int touched = 0;
	for (size_t i = 0; i < p->waiting_count; i++) {
		const struct rect *w = &p->waiting[i];
		touched |= damage_touches(&p->damage, w);
		for (size_t k = 0; k < c->copy_count; k++) {
			struct rect part = move_along(&c->copies[k], w);
			touched |= part.w > 0 || rect_overlap(&c->copies[k].to, w);
			damage_put(&p->damage, &part);
		}
	}
	for (size_t i = 0; touched && i < p->waiting_count; i++)
		damage_put(&p->damage, &p->waiting[i]);
	if (touched)
		p->waiting_count = 0;
}

/* What is left of the rectangles to be sent exactly. 0: too many pieces, they stay as they are. */
static int
take_out(struct pictures *p, struct encode_change *c, const struct rect *photo)
{
	size_t count = 0;
	for (size_t i = 0; i < c->rect_count; i++) {
		if (count + RECT_PARTS_MAX > ENCODE_RECTS_MAX)
			return 0;
		count += rect_without(&p->rects[i], photo, p->parts + count);
	}
	memcpy(p->rects, p->parts, count * sizeof *p->rects);
	c->rect_count = count;
	return 1;
}

/* Holds back the photographs among what would be sent exactly, when it is too much. */
static void
hold_photos(struct pictures *p, struct encode_change *c, struct mono now)
{
	struct rect photos[PHOTO_MAX];
	uint64_t area = 0;
	for (size_t i = 0; i < c->rect_count; i++)
		area += rect_area(&c->rects[i]);
	if (!takes_long(p, area, AT_ONCE_MS))
		return;
	size_t count = photo_find(&p->photo, &p->shown, c->rects, c->rect_count, photos);
	area = 0;
	for (size_t i = 0; i < count; i++)
		area += rect_area(&photos[i]);
	for (size_t i = 0; takes_long(p, area, AT_ONCE_MS) && i < count; i++)
		if (take_out(p, c, &photos[i])) {
			hold(p, &photos[i], now);
			LOG(DEBUG, "desktop.photo", F_INT("x", photos[i].x),
				F_INT("y", photos[i].y), F_INT("w", photos[i].w),
				F_INT("h", photos[i].h));
		}
}

/* Of a side, so much that neither this nor the rest is too small for a film. */
static uint16_t
cut(uint32_t side, uint32_t want)
{
	if (want < STRIP_SIDE_MIN_PX)
		want = STRIP_SIDE_MIN_PX;
	if (side < want + STRIP_SIDE_MIN_PX)
		want = side <= STRIP_SIDE_MAX_PX ? side : side - STRIP_SIDE_MIN_PX;
	return (uint16_t)(want & ~1u);
}

/* The upper left of the first photograph that waits; the rest waits on. */
static struct rect
next_strip(struct pictures *p)
{
	struct rect photo = p->waiting[0], strip = photo, rest[RECT_PARTS_MAX];
	uint64_t most = pace_bytes(&p->pace, STRIP_MS) * p->strip_byte_px;
	/* beside a film it comes at once: each strip costs the film a picture that needs no other
	 */
	if (most > STRIP_AREA_MAX_PX || motion_playing(&p->motion))
		most = STRIP_AREA_MAX_PX;
	uint32_t wide = (uint32_t)most / STRIP_SIDE_MIN_PX;
	strip.w = cut(photo.w, wide < STRIP_SIDE_MAX_PX ? wide : STRIP_SIDE_MAX_PX);
	uint32_t high = (uint32_t)most / strip.w;
	strip.h = cut(photo.h, high < STRIP_SIDE_MAX_PX ? high : STRIP_SIDE_MAX_PX);
	memmove(p->waiting, p->waiting + 1, --p->waiting_count * sizeof *p->waiting);
	/* at most two: its right and what is below; the lower ones come later */
	size_t count = rect_without(&photo, &strip, rest);
	for (size_t i = count; i > 0 && p->waiting_count < WAITING_MAX; i--) {
		memmove(p->waiting + 1, p->waiting, p->waiting_count * sizeof *p->waiting);
		p->waiting[0] = rest[i - 1];
		p->waiting_count++;
	}
	return strip;
}

/* ---- films ---- */

/* It stands still: better than its last picture, if exactly takes long. */
static void
leave_film(struct pictures *p, const struct rect *film, struct mono now)
{
	if (film->w == 0)
		return;
	owed_add(&p->owed, &p->damage, film, now);
	if (takes_long(p, rect_area(film), SOON_MS))
		hold(p, film, now);
}

/* One that cannot be made is the end of films and strips: what they would have shown is owed. */
static void
fail_film(struct pictures *p, int why, struct mono now)
{
	LOG(WARN, "desktop.film_failed", F_ERR("why", why));
	p->film_wanted = 0;
	p->waiting_count = 0;
	struct rect film = motion_drop(&p->motion);
	if (film.w)
		owed_add(&p->owed, &p->damage, &film, now);
}

static int
start_film(struct pictures *p, const struct rect *at, uint32_t interval_ms)
{
	film_encoder_free(p->film);
	p->film = NULL;
	int r = film_encoder_new(at->w, at->h, interval_ms, &p->film);
	LOG(DEBUG, "desktop.film", F_INT("x", at->x), F_INT("y", at->y), F_INT("w", at->w),
		F_INT("h", at->h), F_INT("interval_ms", interval_ms), F_ERR("why", r));
	return r;
}

/* The rectangle's next picture. */
static void
add_unit(struct pictures *p, struct encode_change *c, const struct rect *at, struct mono now)
{
	int len = film_encode(p->film, &p->shown, at, p->settings.watermark, &c->unit);
	if (len > 0) {
		c->film = *at;
		c->unit_len = (size_t)len;
	} else if (len < 0) {
		fail_film(p, len, now);
	}
}

/* The film's next picture, when it is due. */
static void
add_film(struct pictures *p, struct encode_change *c, struct mono now)
{
	struct rect at;
	int fresh, r = 0;
	if (!motion_due(&p->motion, now, &at, &fresh))
		return;
	if (fresh)
		r = start_film(p, &at, MOTION_INTERVAL_MS);
	if (r < 0)
		fail_film(p, r, now);
	else
		add_unit(p, c, &at, now);
}

static void
learn_strip(struct pictures *p, uint32_t area, uint32_t bytes)
{
	uint32_t px = area / bytes;
	p->strip_byte_px = px < STRIP_BYTE_PIXELS_MIN   ? STRIP_BYTE_PIXELS_MIN
			   : px > STRIP_BYTE_PIXELS_MAX ? STRIP_BYTE_PIXELS_MAX
							: px;
}

static void
add_strip(struct pictures *p, struct encode_change *c, struct mono now)
{
	struct rect at = next_strip(p);
	int r = start_film(p, &at, 0);
	motion_anew(&p->motion);
	if (r < 0)
		fail_film(p, r, now);
	else
		add_unit(p, c, &at, now);
	if (c->film.w)
		learn_strip(p, rect_area(&at), (uint32_t)c->unit_len);
	/* something exact may have been there meanwhile */
	owed_add(&p->owed, &p->damage, &at, mono_add_ms(now, STILL_MS));
}

/* ---- what is owed ---- */

static uint32_t
slice_least_px(const struct pictures *p)
{
	uint64_t px = pace_bytes(&p->pace, SLICE_MS) / PICTURE_PIXEL_BYTES;
	uint64_t most = rect_area(&(struct rect){0, 0, p->shown.width, p->shown.height});
	return px < SLICE_LEAST_PX ? SLICE_LEAST_PX : (uint32_t)(px < most ? px : most);
}

static void
add_slice(struct pictures *p, struct encode_change *c)
{
	uint32_t least = slice_least_px(p), most = least * SLICE_GROWTH;
	p->slice_px = p->slice_px < least ? least : p->slice_px > most ? most : p->slice_px;
	c->rects = p->rects;
	c->rect_count =
		owed_take(&p->owed, &p->motion.film, p->slice_px, p->rects, SLICE_RECTS_MAX);
	p->slicing = c->rect_count > 0;
}

/* The next may be larger when this one was coded to little. */
static void
end_slice(struct pictures *p)
{
	uint64_t want = pace_bytes(&p->pace, SLICE_MS);
	if (p->bytes * 2 < want)
		p->slice_px *= 2;
	else if (p->bytes > want)
		p->slice_px /= 2;
	p->slicing = 0;
}

/* ---- a picture ---- */

static int
sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int
later(int a, int b)
{
	return a < 0 || b < 0 ? -1 : a > b ? a : b;
}

int
pictures_wait_ms(const struct pictures *p, struct mono now, int *ret_capture)
{
	int pace = pace_wait_ms(&p->pace, now), idle = pace_idle_ms(&p->pace, now);
	*ret_capture = p->damage.dirty_count && pace == 0;
	if (*ret_capture)
		return 0;
	int wait = later(pace, motion_wait_ms(&p->motion, now));
	if (p->damage.dirty_count)
		wait = sooner(wait, pace);
	if (p->waiting_count)
		return p->motion.doubt ? wait : sooner(wait, p->motion.film.w ? pace : idle);
	return sooner(wait, later(idle, owed_wait_ms(&p->owed, &p->motion.film, now)));
}

void
pictures_capture(struct pictures *p, struct mono now)
{
	pace_capture(&p->pace, now);
}

static void
make_whole(struct pictures *p, struct encode_change *c)
{
	motion_drop(&p->motion);
	owed_clear(&p->owed);
	p->waiting_count = 0;
	damage_changed(&p->damage, p->rects, ENCODE_RECTS_MAX);
	p->rects[0] = (struct rect){0, 0, p->shown.width, p->shown.height};
	c->rects = p->rects;
	c->rect_count = 1;
	p->whole = 0;
}

/* What is known to differ. */
static void
add_changes(struct pictures *p, struct encode_change *c, struct mono now)
{
	struct rect left = {0};
	if (p->film_wanted || p->motion.film.w)
		left = motion_look(&p->motion, &p->damage, &p->shown, now);
	leave_film(p, &left, now);
	leave_to_film(p);
	let_go(p, c);
	c->rects = p->rects;
	c->rect_count = damage_changed(&p->damage, p->rects, ENCODE_RECTS_MAX);
	hold_photos(p, c, now);
	int beside = motion_playing(&p->motion),
	    alone = c->copy_count + c->rect_count == 0 && pace_idle_ms(&p->pace, now) == 0;
	if (p->waiting_count && (beside || (alone && !p->motion.doubt)))
		add_strip(p, c, now);
	else
		add_film(p, c, now);
	if (alone && c->film.w == 0 && owed_wait_ms(&p->owed, &p->motion.film, now) == 0)
		add_slice(p, c);
}

static void
find_changes(struct pictures *p, const struct move_view *views, size_t count,
	struct copy copies[static MOVE_COPIES_MAX], struct encode_change *c)
{
	if (!p->whole && count)
		c->copy_count =
			moves_find(p->moves, views, count, &p->motion.film, &p->shown, copies);
	for (size_t i = 0; i < c->copy_count; i++)
		owed_copy(&p->owed, &p->damage, &copies[i]);
	for (size_t i = 0; i < count; i++)
		damage_compare(
			&p->damage, &views[i].image, views[i].area.x, views[i].area.y, &p->shown);
}

void
pictures_begin(struct pictures *p, const struct move_view *views, size_t count, struct mono now)
{
	struct copy copies[MOVE_COPIES_MAX];
	struct encode_change c = {.copies = copies};
	find_changes(p, views, count, copies, &c);
	if (p->whole)
		make_whole(p, &c);
	else
		add_changes(p, &c, now);
	if (c.copy_count + c.rect_count + c.film.w == 0)
		return;
	for (size_t i = 0; i < c.rect_count; i++)
		owed_paid(&p->owed, &c.rects[i]);
	p->seq = pace_begin(&p->pace, now);
	p->bytes = 0;
	encoder_start(p->encoder, p->seq, &p->shown, &c);
}

int
pictures_open(const struct pictures *p)
{
	return encoder_busy(p->encoder);
}

static void
end_picture(struct pictures *p)
{
	if (p->slicing)
		end_slice(p);
	if (p->motion.film.w == 0) { /* a strip's has made its one picture */
		film_encoder_free(p->film);
		p->film = NULL;
	}
}

int
pictures_next(struct pictures *p, uint8_t *out, size_t cap, uint32_t *ret_seq, int *ret_last)
{
	int len = encoder_next(p->encoder, out, cap, ret_last);
	if (len < 0)
		return len;
	*ret_seq = p->seq;
	p->bytes += (size_t)len;
	pace_sent(&p->pace, (size_t)len);
	if (*ret_last)
		end_picture(p);
	return len;
}
