#include "gate/switchboard.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

void
switchboard_init(struct switchboard *s, size_t seats, size_t connections)
{
	*s = (struct switchboard){.count = seats, .full = {.burst = 3, .window_ms = 10000}};
	directory_init(&s->directory, connections);
}

void
switchboard_fini(struct switchboard *s)
{
	directory_fini(&s->directory);
}

uint32_t
switchboard_sit(struct switchboard *s, size_t seat, struct process *worker)
{
	s->seats[seat].worker = worker;
	s->seats[seat].number = ++s->next;
	return s->seats[seat].number;
}

static int
tell(struct switchboard *s, size_t seat, enum tell type, const void *payload, size_t len, int fd)
{
	struct process *worker = s->seats[seat].worker;
	return worker ? process_tell(worker, (unsigned short)type, payload, len, fd) : -ERR_CLOSED;
}

static void
step(struct switchboard *s, size_t seat, enum tell type, uint32_t number, uint32_t worker)
{
	const struct tell_step message = {number, worker};
	tell(s, seat, type, &message, sizeof message, -1);
}

void
switchboard_gone(struct switchboard *s, size_t seat)
{
	uint32_t number = s->seats[seat].number;
	if (!s->seats[seat].worker)
		return;
	s->seats[seat].worker = NULL;
	directory_drop_seat(&s->directory, seat);
	memset(s->hands[seat], 0, sizeof s->hands[seat]);
	for (size_t i = 0; i < s->count; i++) {
		memset(&s->hands[i][seat], 0, sizeof s->hands[i][seat]);
		step(s, i, TELL_GONE, 0, number);
	}
}

/* An agent's newest connection counts; a session's first one. */
static void
put(struct switchboard *s, size_t seat, const struct tell_place *place)
{
	struct tell_place taken = *place;
	struct directory *d = &s->directory;
	struct entry *e = directory_find(d, place->kind, place->id);
	size_t older = e ? e->seat : seat;
	uint32_t serial = e ? e->serial : 0;
	if (older != seat && place->kind == TELL_SESSION) {
		tell(s, seat, TELL_TAKEN, &taken, sizeof taken, -1);
		return;
	}
	if ((e ? directory_move(d, e, place, seat) : directory_add(d, place, seat)) < 0) {
		uint32_t held;
		if (log_limit_pass(&s->full, &held))
			LOG(ERROR, "worker.directory", F_INT("worker", seat),
				F_INT("entries", d->each[seat]), F_ERR("code", ERR_TOO_MANY),
				F_INT("held", held));
		return;
	}
	taken.serial = serial;
	if (older != seat)
		tell(s, older, TELL_TAKEN, &taken, sizeof taken, -1);
}

static int
on_place(struct switchboard *s, size_t seat, enum tell type, const uint8_t *payload, size_t len)
{
	struct tell_place place;
	if (len != sizeof place)
		return 0;
	memcpy(&place, payload, sizeof place);
	if (place.kind > TELL_SESSION)
		return 0;
	if (type == TELL_PUT)
		put(s, seat, &place);
	else
		directory_drop(&s->directory, &place, seat);
	return 1;
}

/* An agent speaks where it waits. That the session is this agent's, whoever has it knows. */
static int
on_refuse(struct switchboard *s, size_t seat, const uint8_t *payload, size_t len)
{
	struct tell_refuse refuse;
	if (len != sizeof refuse)
		return 0;
	memcpy(&refuse, payload, sizeof refuse);
	const struct entry *agent = directory_find(&s->directory, TELL_AGENT, refuse.agent_id);
	const struct entry *e = directory_find(&s->directory, TELL_SESSION, refuse.session_id);
	if (agent && agent->seat == seat && e && e->seat != seat)
		tell(s, e->seat, TELL_REFUSE, payload, len, -1);
	return 1;
}

static int
on_hand(struct switchboard *s, size_t seat, uint8_t *payload, size_t len, int fd)
{
	struct tell_hand hand;
	if (len < sizeof hand || fd < 0)
		return 0;
	memcpy(&hand, payload, sizeof hand);
	const struct entry *e = directory_find(&s->directory, hand.kind, hand.id);
	size_t to = e ? e->seat : seat;
	hand.worker = s->seats[seat].number;
	memcpy(payload, &hand, sizeof hand);
	int r = to == seat ? -ERR_NOT_FOUND
		: s->hands[seat][to].given >= SWITCHBOARD_HANDS_MAX
			? -ERR_TOO_MANY
			: tell(s, to, TELL_HAND, payload, len, fd);
	mem_wipe(payload, len); /* it has the connection's keys */
	if (r < 0) {
		step(s, seat, TELL_BACK, hand.number, 0);
	} else {
		s->hands[seat][to].given++;
		step(s, seat, TELL_HANDED, hand.number, s->seats[to].number);
	}
	return 1;
}

/* Has the one something to say to the other? Once for each. */
static int
may_step(struct switchboard *s, size_t from, size_t to, enum tell type)
{
	uint32_t *open =
		type == TELL_COMMIT ? &s->hands[from][to].taken : &s->hands[to][from].given;
	if (*open == 0)
		return 0;
	--*open;
	if (type == TELL_ACK)
		s->hands[to][from].taken++;
	return 1;
}

static int
on_step(struct switchboard *s, size_t seat, enum tell type, const uint8_t *payload, size_t len)
{
	struct tell_step message;
	if (len != sizeof message)
		return 0;
	memcpy(&message, payload, sizeof message);
	for (size_t i = 0; i < s->count; i++)
		if (s->seats[i].worker && s->seats[i].number == message.worker &&
			may_step(s, seat, i, type))
			step(s, i, type, message.number, s->seats[seat].number);
	return 1;
}

int
switchboard_hear(
	struct switchboard *s, size_t seat, enum tell type, uint8_t *payload, size_t len, int fd)
{
	switch (type) {
	case TELL_PUT:
	case TELL_DROP:
		return on_place(s, seat, type, payload, len);
	case TELL_REFUSE:
		return on_refuse(s, seat, payload, len);
	case TELL_HAND:
		return on_hand(s, seat, payload, len, fd);
	case TELL_ACK:
	case TELL_COMMIT:
	case TELL_BACK:
		return on_step(s, seat, type, payload, len);
	default:
		return 0;
	}
}
