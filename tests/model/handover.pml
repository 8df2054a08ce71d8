/*
 * Hand-over of a live connection from one worker to another (src/gate/move.c), through the parent that sits between them
 * (src/gate/switchboard.c) and passes messages on.
 *
 *   old                 parent                 new
 *   freeze
 *   HAND  ------------>        ------------->  install, frozen; or not: BACK
 *         <------------ HANDED
 *         <------------        <-------------  ACK
 *   close own copy
 *   COMMIT ----------->        ------------->  thaw
 *
 * After BACK, of the new one or of a parent that finds nobody there, the old one tries once more and then thaws. Either worker
 * may be killed between any two steps, both too. The parent reads what a dead one had sent, to the end, before it says GONE to
 * the other:
 *   old, with its connection handed to the one that is gone: nobody there has touched it: thaw;
 *   new, with a connection of the one that is gone: nobody else holds it: thaw.
 * When the parent dies, all of its workers end: nothing is left to be checked.
 *
 * Checked: never two owners that touch the same connection (safety); it never stays frozen for ever while somebody who has it
 * lives (liveness); it is lost only when the one was killed who alone had it, or the one that had said ACK.
 */
mtype = { HAND, HANDED, ACK, BACK, COMMIT, GONE_TOLD, END };
mtype = { RUNNING, FROZEN, GONE };
#define TRIES 2

chan from_old = [4] of { mtype };
chan from_new = [4] of { mtype };
chan to_old = [8] of { mtype };
chan to_new = [8] of { mtype };

mtype old_has = RUNNING; /* RUNNING: reads and writes it; FROZEN: holds it, touches nothing */
mtype new_has = GONE;
bool old_dead, new_dead, acked;
bool old_killed_alone, new_killed_late; /* when it was the only one that had it; after its ACK */

active proctype Killer()
{
	do
	:: atomic { !old_dead -> old_killed_alone = old_killed_alone || (old_has != GONE && new_has == GONE);
		old_dead = true; old_has = GONE; from_old!END }
	:: atomic { !new_dead -> new_killed_late = new_killed_late || acked;
		new_dead = true; new_has = GONE; from_new!END }
	:: break
	od
}

active proctype Old()
{
	mtype m;
	byte tries = 0;
	bool sent = false, handed = false;
	if
	:: atomic { !old_dead -> old_has = FROZEN }
	:: old_dead
	fi;
end_old:
	do
	:: atomic { !old_dead && old_has == FROZEN && !sent -> from_old!HAND; sent = true }
	:: atomic { !old_dead && to_old?[m] -> to_old?m;
		if
		:: m == HANDED -> handed = true
		:: m == ACK && handed && old_has == FROZEN -> old_has = GONE; from_old!COMMIT
		:: m == BACK && old_has == FROZEN -> handed = false; tries++;
			if :: tries < TRIES -> sent = false :: else -> old_has = RUNNING fi
		:: m == GONE_TOLD && handed && old_has == FROZEN -> old_has = RUNNING
		:: else -> skip
		fi; m = 0 }
	:: old_dead -> break
	od
}

active proctype Parent()
{
	mtype m;
	bool old_sits = true, new_sits = true, given = false, taken = false;
end_parent:
	do
	:: atomic { from_old?m ->
		if
		:: m == HAND && new_sits && !new_dead -> to_new!HAND; given = true; to_old!HANDED
		:: m == HAND && (!new_sits || new_dead) -> to_old!BACK /* nobody there, or it does not get there any more */
		:: m == COMMIT && taken -> taken = false; to_new!COMMIT
		:: m == END -> old_sits = false; to_new!GONE_TOLD
		:: else -> skip
		fi; m = 0 }
	:: atomic { from_new?m ->
		if
		:: m == ACK && given -> given = false; taken = true; to_old!ACK
		:: m == BACK && given -> given = false; to_old!BACK
		:: m == END -> new_sits = false; to_old!GONE_TOLD
		:: else -> skip
		fi; m = 0 }
	od
}

active proctype New()
{
	mtype m;
end_new:
	do
	:: atomic { !new_dead && to_new?[m] -> to_new?m;
		if
		:: m == HAND -> new_has = FROZEN; from_new!ACK; acked = true
		:: m == HAND -> from_new!BACK /* it has no room */
		:: m == COMMIT && new_has == FROZEN -> new_has = RUNNING
		:: m == GONE_TOLD && new_has == FROZEN -> new_has = RUNNING
		:: else -> skip
		fi; m = 0 }
	:: new_dead -> break
	od
}

#define lost (old_has == GONE && new_has == GONE)
ltl one_owner { [] !(old_has == RUNNING && new_has == RUNNING) }
ltl touched_alone { [] (new_has == RUNNING -> old_has == GONE) }
ltl never_stuck { <> [] (old_has == RUNNING || new_has == RUNNING || lost) }
ltl loss_needs_a_kill { [] (lost -> (old_killed_alone || new_killed_late)) }
