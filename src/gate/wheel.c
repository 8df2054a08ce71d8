#include "gate/wheel.h"

static void
list_init(struct wheel_node *list)
{
	list->prev = list->next = list;
}

static void
list_add(struct wheel_node *list, struct wheel_node *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

static void
list_move_all(struct wheel_node *to, struct wheel_node *from)
{
	if (from->next == from)
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

static int
is_due(wheel_tick due, wheel_tick now)
{
	return (int32_t)(now - due) >= 0;
}

void
wheel_init(struct wheel *wheel, wheel_tick now)
{
	for (size_t i = 0; i < WHEEL_SLOTS; i++)
		list_init(&wheel->slots[i]);
	list_init(&wheel->turning);
	wheel->now = now;
}

void
wheel_set(struct wheel *wheel, struct wheel_node *node, wheel_tick due)
{
	wheel_clear(node);
	node->due = due;
	/* the slot of a past tick would come a whole turn later */
	wheel_tick slot = is_due(due, wheel->now) ? wheel->now : due;
	list_add(&wheel->slots[slot % WHEEL_SLOTS], node);
}

void
wheel_clear(struct wheel_node *node)
{
	if (!node->next)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->prev = node->next = NULL;
}

struct wheel_node *
wheel_pop(struct wheel *wheel, wheel_tick now)
{
	for (;;) {
		while (wheel->turning.next != &wheel->turning) {
			struct wheel_node *node = wheel->turning.next;
			wheel_clear(node);
			if (is_due(node->due, now))
				return node;
			wheel_set(wheel, node, node->due); /* a later turn of the wheel */
		}
		if (!is_due(wheel->now, now))
			return NULL;
		list_move_all(&wheel->turning, &wheel->slots[wheel->now % WHEEL_SLOTS]);
		wheel->now++;
	}
}
