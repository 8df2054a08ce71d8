#include "controller/divide.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/link.h"

enum {
	ROUND_MS = 1000,
	PREFECTURES = 48, /* JIS X 0401, 0 = none */
	FRAME_SHARES = sizeof((engawa_LinkShares *)0)->shares / sizeof(engawa_Share),
};

struct divide {
	struct core *core;
	struct timer *timer;
	struct shares shares;
	struct {
		uint64_t gate, link;
	} links[SHARE_GATES_MAX]; /* the one of each gate that has spoken last */
	size_t link_count;
	struct log_limit log;
};

uint64_t
divide_gate(int fd, uint64_t number)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	int known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid > 0;
	return known ? (uint64_t)peer.pid : UINT64_C(1) << 32 | number;
}

static uint64_t
now_ms(void)
{
	return mono_now().ns / 1000000;
}

/* What belongs to one gate, in as many frames as it takes. */
static void
tell(struct divide *d, uint64_t gate, uint64_t link)
{
	engawa_LinkShares frame = engawa_LinkShares_init_zero;
	for (size_t i = 0; i < d->shares.count; i++) {
		const struct share_claim *c = d->shares.claims[i];
		if (c->gate != gate || !c->tell)
			continue;
		engawa_Share *share = &frame.shares[frame.shares_count++];
		*share = (engawa_Share){.prefecture = c->prefecture,
			.weight = c->weight,
			.part = c->part,
			.row = c->row};
		(void)str_copy(share->organisation, sizeof share->organisation, c->organisation);
		if (frame.shares_count == FRAME_SHARES) {
			link_shares(d->core, link, &frame);
			frame.shares_count = 0;
		}
	}
	if (frame.shares_count > 0)
		link_shares(d->core, link, &frame);
}

static void
on_round(void *user)
{
	struct divide *d = user;
	share_round(&d->shares, now_ms());
	for (size_t i = 0; i < d->link_count; i++)
		tell(d, d->links[i].gate, d->links[i].link);
}

struct divide *
divide_new(struct core *core)
{
	struct divide *d = mem_new(sizeof *d);
	d->core = core;
	d->log = (struct log_limit){.burst = 1, .window_ms = 10000};
	d->timer = timer_new(core->loop, on_round, d);
	timer_start(d->timer, ROUND_MS, ROUND_MS);
	return d;
}

void
divide_free(struct divide *d)
{
	if (!d)
		return;
	timer_free(d->timer);
	share_fini(&d->shares);
	free(d);
}

/* Its gate knows the organisation only from sessions that came back. */
static void
look_up(struct divide *d, struct share_claim *claim)
{
	struct store_org org;
	if (store_org_get(d->core->store, claim->organisation, &org) < 0 || org.prefecture == 0)
		return;
	claim->prefecture = org.prefecture;
	claim->weight = org.weight;
	claim->wants = 1;
}

static void
remember(struct divide *d, uint64_t gate, uint64_t link)
{
	size_t i = 0;
	while (i < d->link_count && d->links[i].gate != gate)
		i++;
	if (i == SHARE_GATES_MAX)
		return;
	d->links[i].gate = gate;
	d->links[i].link = link;
	if (i == d->link_count)
		d->link_count++;
}

int
divide_demand(struct divide *d, uint64_t gate, uint64_t link, const engawa_LinkDemand *demand)
{
	uint32_t held;
	int r = 0;
	for (size_t i = 0; i < demand->demands_count; i++) {
		const engawa_Demand *one = &demand->demands[i];
		int named = one->organisation[0] != '\0';
		if (one->prefecture >= PREFECTURES || one->used > SHARE_WHOLE ||
			(!named && one->prefecture == 0))
			return -ERR_PROTOCOL;
		struct share_claim claim = {.prefecture = one->prefecture,
			.row = one->row,
			.gate = gate,
			.at_ms = now_ms(),
			.used = one->used,
			.hungry = one->hungry};
		(void)str_copy(claim.organisation, sizeof claim.organisation, one->organisation);
		if (named && one->prefecture == 0)
			look_up(d, &claim);
		if (share_claim(&d->shares, &claim) < 0)
			r = -ERR_LIMIT;
	}
	remember(d, gate, link);
	if (r < 0 && log_limit_pass(&d->log, &held))
		LOG(WARN, "shares.refused", F_ERR("code", r), F_INT("link", link),
			F_INT("held", held));
	return 0;
}

void
divide_gone(struct divide *d, uint64_t gate, uint64_t link)
{
	for (size_t i = 0; i < d->link_count; i++) {
		if (d->links[i].gate != gate || d->links[i].link != link)
			continue;
		d->links[i] = d->links[--d->link_count];
		share_forget(&d->shares, gate);
		return;
	}
}
