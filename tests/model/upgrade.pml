/*
 * Handing a whole gate over to a new version of the program (src/gate/upgrade.c, takeover.c, leave.c, arrive.c).
 *
 *   old parent        old worker          new worker         new parent
 *   LEAVE ----------> freeze
 *                     UNIT -------------> lies frozen
 *                          <------------- ACK
 *        <----------- LEFT
 *   COMMIT -------------------------------------------------->
 *                                              <-------------- ASK (each of them)
 *                                         HERE -------------->
 *        <---------------------------------------------------- COMMIT: "I go on"
 *   LATE -----------> close own copies
 *                     COMMIT -----------> thaw
 *                                         ARRIVED -----------> (all of them)
 *                                              <-------------- GO
 *
 * Anybody may be killed between any two steps. The kernel closes its sockets: what it had sent still arrives, then END. A worker
 * whose parent has died ends. What the others do:
 *   a new worker or the new parent dies before COMMIT: the old parent kills the new parent, waits for its end, and lets everybody
 *     thaw (STAY). New workers that are left have never touched anything, and nobody tells them to any more;
 *   an old worker dies: what had come from it lies at the new one until GO, and goes on then;
 *   the old parent dies, and its workers with it: the new parent goes on with what has come.
 * The old parent may also find, until it has the new one's COMMIT, that it takes too long: then it does as if the new side had died.
 *
 * One such fault is tried at every point. With two (FAULTS) it takes millions of states and more than a gigabyte, so the tests do not;
 * two kills, and a kill and a deadline, were found to leave one owner as well. Not in here: the two phases of LEAVE (agents, then the
 * rest, each as drawn), BACK for what a new worker has no room for, and what follows one by one behind LATE.
 *
 * Checked: never two owners that touch a connection; kills of the new side before it has said COMMIT lose nothing, and the deadline
 * never does; nothing stays frozen for ever while its process lives.
 */
#define N 2
mtype = { LEAVE, UNIT, ACK, LEFT, FAILED, COMMIT, LATE, STAY, ASK, HERE, ARRIVED, GO, END };
mtype = { RUNNING, FROZEN, GONE };

#define OP 0
#define NP 1
#define OW(i) (2 + i)
#define NW(i) (2 + N + i)
#define FAULTS 1

chan op_np = [3] of { mtype };
chan np_op = [3] of { mtype };
chan op_ow[N] = [4] of { mtype };
chan ow_op[N] = [4] of { mtype };
chan ow_nw[N] = [4] of { mtype };
chan nw_ow[N] = [4] of { mtype };
chan np_nw[N] = [3] of { mtype };
chan nw_np[N] = [3] of { mtype };

mtype old_has[N] = RUNNING; /* RUNNING: reads and writes; FROZEN: holds it and touches nothing */
mtype new_has[N] = GONE;
bool dead[6];
byte faults;
bool old_killed, new_killed_late, np_committed, here[N];

inline die_op() { dead[OP] = true; op_np!END; op_ow[0]!END; op_ow[1]!END }
inline die_np() { dead[NP] = true; np_op!END; np_nw[0]!END; np_nw[1]!END }
inline die_old(i) { dead[OW(i)] = true; old_has[i] = GONE; ow_op[i]!END; ow_nw[i]!END }
inline die_new(i) { dead[NW(i)] = true; new_has[i] = GONE; nw_np[i]!END; nw_ow[i]!END }

active proctype Killer()
{
	do
	:: atomic { faults < FAULTS && !dead[OP] -> faults++; old_killed = true; die_op() }
	:: atomic { faults < FAULTS && !dead[NP] -> faults++; new_killed_late = new_killed_late || np_committed;
		die_np() }
	:: atomic { faults < FAULTS && !dead[OW(0)] -> faults++; old_killed = true; die_old(0) }
	:: atomic { faults < FAULTS && !dead[NW(0)] -> faults++; new_killed_late = new_killed_late || here[0]; die_new(0) }
	:: break
	od
}

active proctype OldParent()
{
	mtype m;
	byte step = 0; /* 0 begin, 1 they leave, 2 asked, 3 over */
	bool done[N], abort = false;
	do
	:: atomic { !dead[OP] && step == 0 -> op_ow[0]!LEAVE; op_ow[1]!LEAVE; step = 1 }
	:: atomic { !dead[OP] && ow_op[0]?[m] -> ow_op[0]?m;
		if :: m == FAILED -> abort = true :: else -> done[0] = true fi; m = 0 }
	:: atomic { !dead[OP] && ow_op[1]?[m] -> ow_op[1]?m;
		if :: m == FAILED -> abort = true :: else -> done[1] = true fi; m = 0 }
	:: atomic { !dead[OP] && step == 1 && !abort && done[0] && done[1] -> op_np!COMMIT; step = 2 }
	:: atomic { !dead[OP] && np_op?[m] -> np_op?m;
		if
		:: m == COMMIT && step == 2 -> op_ow[0]!LATE; op_ow[1]!LATE; step = 3
		:: m == END && step < 3 -> abort = true
		:: else -> skip
		fi; m = 0 }
	:: atomic { !dead[OP] && step > 0 && step < 3 && !abort && faults < FAULTS -> faults++; abort = true } /* it takes too long */
	:: atomic { !dead[OP] && abort && step > 0 && step < 3 -> if :: !dead[NP] -> die_np() :: else -> skip fi }
		if
		:: atomic { !dead[OP] -> op_ow[0]!STAY; op_ow[1]!STAY; step = 3; abort = false }
		:: dead[OP] -> break
		fi
	:: atomic { dead[OP] || (step == 3 && empty(np_op) && empty(ow_op[0]) && empty(ow_op[1])) -> break }
	od
}

proctype OldWorker(byte i)
{
	mtype m;
	bool sent = false;
end_old:
	do
	:: atomic { !dead[OW(i)] && op_ow[i]?[m] -> op_ow[i]?m;
		if
		:: m == END -> die_old(i)
		:: m == LEAVE && old_has[i] == RUNNING -> old_has[i] = FROZEN
		:: m == STAY -> ow_nw[i]!END; /* hangs up */
			if :: old_has[i] == FROZEN -> old_has[i] = RUNNING :: else -> skip fi
		:: m == LATE && old_has[i] == FROZEN -> old_has[i] = GONE; ow_nw[i]!COMMIT
		:: else -> skip
		fi; m = 0 }
	:: atomic { !dead[OW(i)] && old_has[i] == FROZEN && !sent -> ow_nw[i]!UNIT; sent = true }
	:: atomic { !dead[OW(i)] && nw_ow[i]?[m] -> nw_ow[i]?m;
		if
		:: m == ACK -> ow_op[i]!LEFT
		:: m == END && old_has[i] == FROZEN -> old_has[i] = RUNNING; sent = true; ow_op[i]!FAILED
		:: else -> skip
		fi; m = 0 }
	:: dead[OW(i)] -> break
	od
}

proctype NewWorker(byte i)
{
	mtype m;
	bool over = false, go = false;
end_new:
	do
	:: atomic { !dead[NW(i)] && ow_nw[i]?[m] -> ow_nw[i]?m;
		if
		:: m == UNIT -> new_has[i] = FROZEN; nw_ow[i]!ACK
		:: m == COMMIT -> new_has[i] = RUNNING; nw_np[i]!ARRIVED
		:: m == END ->
			if :: new_has[i] != RUNNING -> nw_np[i]!ARRIVED :: else -> skip fi;
			over = true
		fi; m = 0 }
	:: atomic { !dead[NW(i)] && np_nw[i]?[m] -> np_nw[i]?m;
		if
		:: m == END -> die_new(i)
		:: m == ASK -> here[i] = true; nw_np[i]!HERE
		:: m == GO -> go = true
		fi; m = 0 }
	:: atomic { !dead[NW(i)] && over && go && new_has[i] == FROZEN -> new_has[i] = RUNNING }
	:: dead[NW(i)] -> break
	od
}

active proctype NewParent()
{
	mtype m;
	bool committed = false, arrived[N], said[N], gone = false;
end_np:
	do
	:: atomic { !dead[NP] && op_np?[m] -> op_np?m;
		if
		:: m == COMMIT -> np_nw[0]!ASK; np_nw[1]!ASK
		:: m == END -> committed = true; np_committed = true
		fi; m = 0 }
	:: atomic { !dead[NP] && nw_np[0]?[m] -> nw_np[0]?m;
		if
		:: m == END && !committed -> die_np()
		:: m == HERE -> said[0] = true
		:: else -> arrived[0] = true
		fi; m = 0 }
	:: atomic { !dead[NP] && nw_np[1]?[m] -> nw_np[1]?m;
		if
		:: m == END && !committed -> die_np()
		:: m == HERE -> said[1] = true
		:: else -> arrived[1] = true
		fi; m = 0 }
	:: atomic { !dead[NP] && !committed && said[0] && said[1] -> committed = true; np_committed = true; np_op!COMMIT }
	:: atomic { !dead[NP] && committed && arrived[0] && arrived[1] && !gone -> np_nw[0]!GO; np_nw[1]!GO; gone = true }
	:: dead[NP] -> break
	od
}

init { atomic { run OldWorker(0); run OldWorker(1); run NewWorker(0); run NewWorker(1) } }

#define lost(i) (old_has[i] == GONE && new_has[i] == GONE)
#define settled(i) (old_has[i] == RUNNING || new_has[i] == RUNNING || lost(i))
ltl one_owner { [] !((old_has[0] == RUNNING && new_has[0] == RUNNING) || (old_has[1] == RUNNING && new_has[1] == RUNNING)) }
ltl touched_alone { [] ((new_has[0] == RUNNING -> old_has[0] == GONE) && (new_has[1] == RUNNING -> old_has[1] == GONE)) }
ltl loss_needs_a_late_kill { [] ((lost(0) || lost(1)) -> (old_killed || new_killed_late)) }
ltl never_stuck { <> [] (settled(0) && settled(1)) }
