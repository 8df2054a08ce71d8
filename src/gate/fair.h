/*
 * Shares of the bandwidth: a session is within its organisation's rate, the organisation within its
 * prefecture's. One table in the segment that the workers share, so the rates are those of the
 * gate. While a prefecture has more to send than its rate, each of its organisations that sends
 * gets a part by its weight; what one does not use the others have.
 *
 * A bucket is the moment until which its rate is used up (GCRA): one number, no timer, no refill.
 * The controller divides a rate that several gates use: a gate has a part of it, for a few seconds.
 * Without its word the gate has the whole.
 *
 * Nothing here knows persons or terminals. Organisations are those in signed tickets, so nobody can
 * invent any; when the table is full the rest share the last row.
 */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAIR_ORGANISATIONS = 2048, /* all of Japan's local governments */
	FAIR_PREFECTURES = 48,     /* JIS X 0401, 0 = none */
	FAIR_NAME_SIZE = 64,
	FAIR_DEBT_MAX_S = 60,
	FAIR_WHOLE = 1000, /* permille: of a rate that this gate need not share */
	FAIR_SHARE_S = 5,  /* so long a part counts that is not told again */
	FAIR_LEAST_BYTES =
		16384, /* a record: what may be read at once from a bucket that is not empty */
};

struct fair_organisation {
	_Atomic uint32_t state; /* 0 free, 1 being named, 2 in use */
	_Atomic uint32_t prefecture, weight;
	char name[FAIR_NAME_SIZE];
	_Atomic uint64_t own_ns,
		part_ns; /* used up until then: its rate; its part of the prefecture */
	_Atomic uint64_t active_ns;
	_Atomic uint64_t handshakes_ns;    /* likewise */
	_Atomic uint64_t share, hungry_ns; /* of its rate: fair_share; when it was too little */
	_Atomic uint64_t sessions, to_client, to_agent, throttled, refused;
};

struct fair_table {
	struct fair_organisation organisations[FAIR_ORGANISATIONS];
	_Atomic uint64_t prefecture_ns[FAIR_PREFECTURES];
	_Atomic uint64_t prefecture_share[FAIR_PREFECTURES], prefecture_hungry_ns[FAIR_PREFECTURES];
};

struct fair_rates {
	uint64_t organisation, prefecture; /* bytes a second; 0 = no limit */
	uint64_t burst_ns;
};

/* What one worker knows: the table, the rates, and who has been active lately. */
struct fair {
	struct fair_table *table; /* NULL: no shares */
	struct fair_rates rates;
	uint32_t weights[FAIR_PREFECTURES]; /* of the organisations that are active */
};

enum fair_limit {
	FAIR_FREE,
	FAIR_BY_ORGANISATION,
	FAIR_BY_PREFECTURE
};

/* Row of an organisation, made when it is new. Names count as far as there is room for them. */
size_t fair_row(struct fair_table *table, const char *name);
/* 1 when this row is that organisation's. */
int fair_is(const struct fair_table *table, size_t row, const char *name);
/* What is in a row. A worker that went mad may write anything there, at any time: nobody reads
 * these fields in another way. Within FAIR_PREFECTURES; at least 1; a string. */
uint32_t fair_prefecture(const struct fair_organisation *o);
uint32_t fair_weight(const struct fair_organisation *o);
void fair_name(const struct fair_organisation *o, char ret_name[static FAIR_NAME_SIZE]);
/* What a ticket says: JIS X 0401, and the weight (0 counts as 1). */
void fair_note(struct fair_table *table, size_t row, uint32_t prefecture, uint32_t weight);
/* This gate's part of a rate, 1 to FAIR_WHOLE; and a new one, for FAIR_SHARE_S. */
uint32_t fair_share(const _Atomic uint64_t *share, uint64_t now_ns);
void fair_give(_Atomic uint64_t *share, uint32_t part, uint64_t now_ns);
/* All rates are whole again. */
void fair_whole(struct fair_table *table);
/* A few times a second: who is active. */
void fair_tick(struct fair *fair, uint64_t now_ns);
/* How much of want may be read now; 0 and why not. */
size_t fair_allowance(const struct fair *fair, size_t row, size_t want, uint64_t now_ns,
	enum fair_limit *ret_why);
/* One more handshake of rate a second, with a burst of so many seconds: 0 = too fast. */
int fair_handshake(struct fair_organisation *o, uint64_t rate, uint64_t burst_s, uint64_t now_ns);
void fair_charge(const struct fair *fair, size_t row, size_t bytes, int to_client, uint64_t now_ns);

/*
 * To another version of the program: name, prefecture, weight and debts of each organisation, then
 * the debts of the prefectures. As many as there is room for from *next on, which then says where
 * to go on; their bytes, 0 when nothing is left.
 */
size_t fair_pack(const struct fair_table *table, size_t *next, uint8_t *out, size_t cap);
/* 0 or -ERR_PROTOCOL. Moments are not believed further ahead than FAIR_DEBT_MAX_S. */
int fair_unpack(struct fair_table *table, const uint8_t *data, size_t len, uint64_t now_ns);
