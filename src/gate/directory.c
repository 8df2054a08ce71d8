#include "gate/directory.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

void
directory_init(struct directory *d, size_t max)
{
	size_t size = 64;
	while (size < max / 2)
		size *= 2;
	*d = (struct directory){.mask = size - 1, .max = max};
	d->buckets = mem_new(size * sizeof *d->buckets);
}

void
directory_fini(struct directory *d)
{
	for (size_t i = 0; d->buckets && i <= d->mask; i++) {
		while (d->buckets[i]) {
			struct entry *e = d->buckets[i];
			d->buckets[i] = e->next;
			free(e);
		}
	}
	free(d->buckets);
	*d = (struct directory){0};
}

/* Ids are random and signed for: nobody can choose a bucket. */
static struct entry **
at(const struct directory *d, uint32_t kind, const uint8_t id[static 16])
{
	uint32_t hash;
	memcpy(&hash, id, sizeof hash);
	struct entry **e = &d->buckets[hash & d->mask];
	while (*e && ((*e)->kind != kind || memcmp((*e)->id, id, 16) != 0))
		e = &(*e)->next;
	return e;
}

struct entry *
directory_find(const struct directory *d, uint32_t kind, const uint8_t id[static 16])
{
	return *at(d, kind, id);
}

int
directory_add(struct directory *d, const struct tell_place *place, size_t seat)
{
	struct entry *e = d->each[seat] < d->max ? mem_array(1, sizeof *e) : NULL;
	if (!e)
		return -ERR_TOO_MANY;
	memcpy(e->id, place->id, sizeof e->id);
	e->serial = place->serial;
	e->seat = (uint16_t)seat;
	e->kind = (uint8_t)place->kind;
	struct entry **end = at(d, place->kind, place->id);
	e->next = *end;
	*end = e;
	d->count++;
	d->each[seat]++;
	return 0;
}

int
directory_move(struct directory *d, struct entry *e, const struct tell_place *place, size_t seat)
{
	if (e->seat != seat && d->each[seat] >= d->max)
		return -ERR_TOO_MANY;
	d->each[e->seat]--;
	d->each[seat]++;
	e->seat = (uint16_t)seat;
	e->serial = place->serial;
	return 0;
}

static void
take_out(struct directory *d, struct entry **e)
{
	struct entry *gone = *e;
	*e = gone->next;
	d->each[gone->seat]--;
	free(gone);
	d->count--;
}

void
directory_drop(struct directory *d, const struct tell_place *place, size_t seat)
{
	struct entry **e = at(d, place->kind, place->id);
	if (*e && (*e)->seat == seat && (*e)->serial == place->serial)
		take_out(d, e);
}

void
directory_drop_seat(struct directory *d, size_t seat)
{
	for (size_t i = 0; i <= d->mask; i++) {
		struct entry **e = &d->buckets[i];
		while (*e) {
			if ((*e)->seat == seat)
				take_out(d, e);
			else
				e = &(*e)->next;
		}
	}
}
