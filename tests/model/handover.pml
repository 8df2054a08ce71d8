/*
 * Hand-over of a batch of live connections from an old gate worker to a new one (src/gate/handover.c).
 *
 *   old                                   new
 *   freeze the batch
 *   BATCH (descriptors + state)  ------>  install, frozen
 *                                <------  ACK
 *   close own copies
 *   COMMIT                       ------>  thaw
 *
 * Either side may be killed between any two steps. The kernel then closes its socket: messages already sent are still
 * delivered, after them the other side sees end of file, and acts:
 *   old, waiting for ACK: the new one is dead and has touched nothing: thaw.
 *   new, waiting for COMMIT: the old one is dead, so nobody else holds the batch: thaw.
 *
 * Checked: never two owners that touch the same connection (safety); a batch never stays frozen for ever while somebody
 * lives (liveness); a batch is lost only when a process that had been given it was killed.
 */
mtype = { BATCH, ACK, COMMIT, END };
mtype = { RUNNING, FROZEN, GONE };

chan to_new = [4] of { mtype };
chan to_old = [4] of { mtype };

mtype old_has = RUNNING;  /* RUNNING: reads and writes the connections; FROZEN: holds them, touches nothing */
mtype new_has = GONE;
bool old_dead, new_dead, acked;
bool may_kill_old = true, may_kill_new = true;

inline die_old() { atomic { old_dead = true; old_has = GONE; to_new!END; goto dead } }
inline die_new() { atomic { new_dead = true; new_has = GONE; to_old!END; goto dead } }

active proctype Old()
{
	mtype m;
	if :: may_kill_old -> die_old() :: true fi;
	old_has = FROZEN;
	if :: may_kill_old -> die_old() :: true fi;
	to_new!BATCH;
	if :: may_kill_old -> die_old() :: true fi;
	to_old?m;
	if
	:: m == END -> old_has = RUNNING; goto done
	:: m == ACK -> skip
	fi;
	if :: may_kill_old -> die_old() :: true fi;
	old_has = GONE;
	if :: may_kill_old -> die_old() :: true fi;
	to_new!COMMIT;
done:
	skip;
dead:
	skip
}

active proctype New()
{
	mtype m;
	if :: may_kill_new -> die_new() :: true fi;
	to_new?m;
	if
	:: m == END -> goto done
	:: m == BATCH -> new_has = FROZEN
	fi;
	if :: may_kill_new -> die_new() :: true fi;
	atomic { to_old!ACK; acked = true };
	if :: may_kill_new -> die_new() :: true fi;
	to_new?m; /* COMMIT, or END because the old one died */
	new_has = RUNNING;
	if :: may_kill_new -> die_new() :: true fi;
done:
	skip;
dead:
	skip
}

ltl one_owner { [] !(old_has == RUNNING && new_has == RUNNING) }
ltl touched_alone { [] (new_has == RUNNING -> old_has == GONE) }
ltl never_stuck { <> [] (old_has == RUNNING || new_has == RUNNING || (old_dead && new_has == GONE) || (acked && new_dead)) }
ltl loss_needs_a_kill { [] ((old_has == GONE && new_has == GONE && !old_dead && !new_dead) -> false) }
