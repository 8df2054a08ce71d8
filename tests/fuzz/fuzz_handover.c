/* A connection handed over: what is taken can be handed on, and is then the same to the byte. */
#include "fuzz.h"
#include "gate/handover.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[HANDOVER_MAX_BYTES];
	struct pool pool;
	struct leg *l;
	char name[FAIR_NAME_SIZE];
	size_t more, again_more;
	pool_init(&pool, 1 << 20);
	if (handover_decode(&pool, data, size, 5, 1000, &l, name, &more) == 0) {
		int n = handover_encode(l, (enum leg_state)l->state, name, l->timer.due, 1000, again,
			&again_more);
		assert(size > HANDOVER_MAX_BYTES || more > 0 ||
			(n == (int)size && memcmp(again, data, size) == 0));
		handover_free(&pool, l);
	}
	assert(pool.used == 0);
	pool_fini(&pool);
	return 0;
}
