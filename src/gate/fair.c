#include "gate/fair.h"

#include <string.h>

#include "base/err.h"
#include "base/wire.h"

#define OWED_MAX_NS (FAIR_DEBT_MAX_S * UINT64_C(1000000000))

enum {
	SECOND_NS = 1000000000,
	DEBT_MAX_NS = SECOND_NS, /* of a prefecture: it must not pay for a burst for ever */
	SHARE_BITS = 1023,       /* the lowest of a moment, which has them to spare */
};
#define SHARE_NS (FAIR_SHARE_S * UINT64_C(1000000000))
_Static_assert((int)FAIR_WHOLE <= (int)SHARE_BITS, "a part and a moment are one number");

static uint64_t
get(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void
add(_Atomic uint64_t *v, uint64_t n)
{
	atomic_fetch_add_explicit(v, n, memory_order_relaxed);
}

uint32_t
fair_prefecture(const struct fair_organisation *o)
{
	uint32_t prefecture = atomic_load_explicit(&o->prefecture, memory_order_relaxed);
	return prefecture < FAIR_PREFECTURES ? prefecture : 0;
}

uint32_t
fair_weight(const struct fair_organisation *o)
{
	uint32_t weight = atomic_load_explicit(&o->weight, memory_order_relaxed);
	return weight ? weight : 1;
}

void
fair_name(const struct fair_organisation *o, char ret_name[static FAIR_NAME_SIZE])
{
	memcpy(ret_name, o->name, FAIR_NAME_SIZE);
	ret_name[FAIR_NAME_SIZE - 1] = '\0';
}

size_t
fair_row(struct fair_table *t, const char *name)
{
	size_t last = FAIR_ORGANISATIONS - 1;
	for (size_t i = 0; i < last; i++) {
		struct fair_organisation *o = &t->organisations[i];
		uint32_t free = 0;
		if (atomic_compare_exchange_strong(&o->state, &free, 1)) {
			strncpy(o->name, name, sizeof o->name - 1);
			atomic_store(&o->weight, 1);
			atomic_store(&o->state, 2);
			return i;
		}
		/* another worker writes a name: a moment. One that died in it leaves a row without
		 * a name */
		for (int spin = 0; spin < 1000 && atomic_load(&o->state) == 1; spin++)
			;
		if (atomic_load(&o->state) == 2 && strncmp(o->name, name, sizeof o->name - 1) == 0)
			return i;
	}
	return last;
}

int
fair_is(const struct fair_table *t, size_t row, const char *name)
{
	char own[FAIR_NAME_SIZE];
	if (row >= FAIR_ORGANISATIONS - 1 || atomic_load(&t->organisations[row].state) != 2)
		return 0;
	fair_name(&t->organisations[row], own);
	return strcmp(own, name) == 0;
}

uint32_t
fair_share(const _Atomic uint64_t *share, uint64_t now_ns)
{
	uint64_t at = get(share), until = at & ~(uint64_t)SHARE_BITS;
	uint32_t part = (uint32_t)(at & SHARE_BITS);
	int told = until > now_ns && until <= now_ns + SHARE_NS + SECOND_NS;
	return told && part > 0 && part <= FAIR_WHOLE ? part : FAIR_WHOLE;
}

void
fair_give(_Atomic uint64_t *share, uint32_t part, uint64_t now_ns)
{
	uint64_t until = (now_ns + SHARE_NS) & ~(uint64_t)SHARE_BITS;
	atomic_store_explicit(share, part < FAIR_WHOLE ? until | part : 0, memory_order_relaxed);
}

void
fair_whole(struct fair_table *t)
{
	for (size_t i = 0; i < FAIR_ORGANISATIONS; i++)
		atomic_store(&t->organisations[i].share, 0);
	for (size_t i = 0; i < FAIR_PREFECTURES; i++)
		atomic_store(&t->prefecture_share[i], 0);
}

/* Bytes a second that this gate may give of a rate. */
static uint64_t
here(uint64_t rate, const _Atomic uint64_t *share, uint64_t now_ns)
{
	uint64_t mine = rate * fair_share(share, now_ns) / FAIR_WHOLE;
	return mine ? mine : 1;
}

void
fair_note(struct fair_table *t, size_t row, uint32_t prefecture, uint32_t weight)
{
	struct fair_organisation *o = &t->organisations[row];
	if (prefecture > 0 && prefecture < FAIR_PREFECTURES)
		atomic_store(&o->prefecture, prefecture);
	atomic_store(&o->weight, weight ? weight : 1);
}

void
fair_tick(struct fair *f, uint64_t now_ns)
{
	memset(f->weights, 0, sizeof f->weights);
	for (size_t i = 0; i < FAIR_ORGANISATIONS; i++) {
		const struct fair_organisation *o = &f->table->organisations[i];
		if (!atomic_load_explicit(&o->state, memory_order_relaxed))
			break;
		if (now_ns - get(&o->active_ns) < SECOND_NS)
			f->weights[fair_prefecture(o)] += fair_weight(o);
	}
}

/* Bytes a second of this organisation while its prefecture has too much to send. */
static uint64_t
part(const struct fair *f, const struct fair_organisation *o, uint64_t now_ns)
{
	uint32_t prefecture = fair_prefecture(o);
	uint64_t weight = fair_weight(o), weights = f->weights[prefecture];
	uint64_t all = weights > weight ? weights : weight;
	uint64_t rate = here(f->rates.prefecture, &f->table->prefecture_share[prefecture], now_ns);
	rate = rate * weight / all;
	return rate ? rate : 1;
}

/* Nobody owes more than that (and a second, for whose clock was read later): a moment beyond it was
 * written by a worker that went mad, and must not bind those who come after it. */
static uint64_t
believed(uint64_t at, uint64_t now_ns, uint64_t most_ns)
{
	return at > now_ns + most_ns + SECOND_NS ? 0 : at;
}

/* What a bucket holds now. */
static size_t
left(const _Atomic uint64_t *until, uint64_t rate, uint64_t burst_ns, uint64_t now_ns)
{
	uint64_t at = believed(get(until), now_ns, OWED_MAX_NS);
	if (at >= now_ns)
		return 0;
	uint64_t span = now_ns - at < burst_ns ? now_ns - at : burst_ns;
	uint64_t bytes = (uint64_t)((unsigned __int128)span * rate / SECOND_NS);
	return bytes > FAIR_LEAST_BYTES ? (size_t)bytes : FAIR_LEAST_BYTES;
}

static void
use(_Atomic uint64_t *until, uint64_t rate, uint64_t burst_ns, size_t bytes, uint64_t now_ns,
	uint64_t most_ns)
{
	uint64_t at = get(until), next, start = now_ns > burst_ns ? now_ns - burst_ns : 0;
	do {
		uint64_t from = believed(at, now_ns, OWED_MAX_NS);
		next = (from > start ? from : start) + (uint64_t)bytes * SECOND_NS / rate;
		if (next > now_ns + most_ns)
			next = now_ns + most_ns;
	} while (!atomic_compare_exchange_weak(until, &at, next));
}

/*
 * While less than half of the prefecture's burst is left, each organisation has its part. Beyond
 * that the one that has taken least in advance goes first: the fuller the bucket, the more somebody
 * may have taken already; what is left over when the bucket is full anybody may have.
 */
static size_t
of_prefecture(const struct fair *f, const struct fair_organisation *o, uint32_t prefecture,
	size_t most, uint64_t now_ns, enum fair_limit *ret_why)
{
	uint64_t burst = f->rates.burst_ns;
	uint64_t until = believed(get(&f->table->prefecture_ns[prefecture]), now_ns, OWED_MAX_NS);
	uint64_t slack = until < now_ns ? now_ns - until : 0;
	size_t weight = fair_weight(o), mine = most;
	if (slack < burst / 2)
		mine = left(&o->part_ns, part(f, o, now_ns), burst, now_ns);
	else if (slack < burst &&
		 believed(get(&o->part_ns), now_ns, OWED_MAX_NS) > now_ns + 2 * (slack - burst / 2))
		mine = 0;
	else if (f->weights[prefecture] > weight)
		mine = weight * FAIR_LEAST_BYTES;
	if (mine == 0)
		*ret_why = FAIR_BY_PREFECTURE;
	return mine < most ? mine : most;
}

size_t
fair_allowance(
	const struct fair *f, size_t row, size_t want, uint64_t now_ns, enum fair_limit *ret_why)
{
	*ret_why = FAIR_FREE;
	if (!f->table)
		return want;
	struct fair_organisation *o = &f->table->organisations[row];
	uint32_t prefecture = fair_prefecture(o);
	size_t most = want;
	if (f->rates.organisation)
		most = left(&o->own_ns, here(f->rates.organisation, &o->share, now_ns),
			f->rates.burst_ns, now_ns);
	if (most == 0)
		*ret_why = FAIR_BY_ORGANISATION;
	else if (f->rates.prefecture && prefecture)
		most = of_prefecture(f, o, prefecture, most, now_ns, ret_why);
	if (most == 0) {
		_Atomic uint64_t *hungry = *ret_why == FAIR_BY_PREFECTURE
						   ? &f->table->prefecture_hungry_ns[prefecture]
						   : &o->hungry_ns;
		atomic_store_explicit(hungry, now_ns, memory_order_relaxed);
		/* it wants: that makes it one of those who share */
		atomic_store_explicit(&o->active_ns, now_ns, memory_order_relaxed);
		add(&o->throttled, 1);
	}
	return most < want ? most : want;
}

int
fair_handshake(struct fair_organisation *o, uint64_t rate, uint64_t burst_s, uint64_t now_ns)
{
	uint64_t at = get(&o->handshakes_ns), next;
	do {
		uint64_t from = believed(at, now_ns, burst_s * SECOND_NS);
		next = (from > now_ns ? from : now_ns) + SECOND_NS / rate;
		if (next > now_ns + burst_s * SECOND_NS)
			return 0;
	} while (!atomic_compare_exchange_weak(&o->handshakes_ns, &at, next));
	return 1;
}

void
fair_charge(const struct fair *f, size_t row, size_t bytes, int to_client, uint64_t now_ns)
{
	if (!f->table)
		return;
	struct fair_organisation *o = &f->table->organisations[row];
	uint32_t prefecture = fair_prefecture(o);
	add(to_client ? &o->to_client : &o->to_agent, bytes);
	atomic_store_explicit(&o->active_ns, now_ns, memory_order_relaxed);
	if (f->rates.organisation)
		use(&o->own_ns, here(f->rates.organisation, &o->share, now_ns), f->rates.burst_ns,
			bytes, now_ns, OWED_MAX_NS);
	if (f->rates.prefecture && prefecture) {
		use(&f->table->prefecture_ns[prefecture],
			here(f->rates.prefecture, &f->table->prefecture_share[prefecture], now_ns),
			f->rates.burst_ns, bytes, now_ns, DEBT_MAX_NS);
		use(&o->part_ns, part(f, o, now_ns), f->rates.burst_ns, bytes, now_ns,
			2 * f->rates.burst_ns);
	}
}

enum {
	OF_ORGANISATION = 1,
	OF_PREFECTURE = 2,
	ITEM_MAX_BYTES = 2 + FAIR_NAME_SIZE + 4 + 4 + 3 * 8,
};

static void
put_organisation(struct wr *out, const struct fair_organisation *o)
{
	char name[FAIR_NAME_SIZE];
	fair_name(o, name);
	size_t len = strlen(name);
	wr_u8(out, OF_ORGANISATION);
	wr_u8(out, (uint8_t)len);
	wr_bytes(out, name, len);
	wr_u32(out, fair_prefecture(o));
	wr_u32(out, fair_weight(o));
	wr_u64(out, get(&o->own_ns));
	wr_u64(out, get(&o->part_ns));
	wr_u64(out, get(&o->handshakes_ns));
}

size_t
fair_pack(const struct fair_table *t, size_t *next, uint8_t *out, size_t cap)
{
	struct wr wr = wr_init(out, cap);
	for (; *next < FAIR_ORGANISATIONS + FAIR_PREFECTURES && wr.left >= ITEM_MAX_BYTES;
		++*next) {
		size_t prefecture = *next - FAIR_ORGANISATIONS;
		if (*next < FAIR_ORGANISATIONS) {
			const struct fair_organisation *o = &t->organisations[*next];
			/* the last row is nobody's */
			if (atomic_load(&o->state) == 2 && *next < FAIR_ORGANISATIONS - 1)
				put_organisation(&wr, o);
		} else if (get(&t->prefecture_ns[prefecture])) {
			wr_u8(&wr, OF_PREFECTURE);
			wr_u8(&wr, (uint8_t)prefecture);
			wr_u64(&wr, get(&t->prefecture_ns[prefecture]));
		}
	}
	return wr.len;
}

/* A moment of the same machine's clock, but who knows. */
static uint64_t
get_moment(struct rd *in, uint64_t now_ns)
{
	uint64_t at = rd_u64(in), most = now_ns + OWED_MAX_NS;
	return at < most ? at : most;
}

static int
get_organisation(struct fair_table *t, struct rd *in, uint64_t now_ns)
{
	char name[FAIR_NAME_SIZE] = "";
	size_t len = rd_u8(in);
	if (len >= sizeof name)
		return -ERR_PROTOCOL;
	rd_copy(in, name, len);
	uint32_t prefecture = rd_u32(in), weight = rd_u32(in);
	uint64_t own = get_moment(in, now_ns), part = get_moment(in, now_ns);
	uint64_t handshakes = get_moment(in, now_ns);
	if (in->failed || strlen(name) != len || prefecture >= FAIR_PREFECTURES || weight == 0)
		return -ERR_PROTOCOL;
	size_t row = fair_row(t, name);
	if (row == FAIR_ORGANISATIONS - 1)
		return 0;
	fair_note(t, row, prefecture, weight);
	atomic_store(&t->organisations[row].own_ns, own);
	atomic_store(&t->organisations[row].part_ns, part);
	atomic_store(&t->organisations[row].handshakes_ns, handshakes);
	return 0;
}

int
fair_unpack(struct fair_table *t, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct rd in = rd_init(data, len);
	while (!in.failed && in.left > 0) {
		uint8_t kind = rd_u8(&in);
		if (kind == OF_ORGANISATION) {
			if (get_organisation(t, &in, now_ns) < 0)
				return -ERR_PROTOCOL;
			continue;
		}
		uint8_t prefecture = rd_u8(&in);
		uint64_t until = get_moment(&in, now_ns);
		if (kind != OF_PREFECTURE || in.failed || prefecture >= FAIR_PREFECTURES)
			return -ERR_PROTOCOL;
		atomic_store(&t->prefecture_ns[prefecture], until);
	}
	return in.failed ? -ERR_PROTOCOL : 0;
}
