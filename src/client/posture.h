/* The state of this computer, for the quarantine check (Posture of inner.proto). */
#pragma once
#include "inner.pb.h"

/* Everything but the channel; what the system does not tell stays unknown. Blocks for some seconds
 * at worst; from any thread, one at a time. */
void posture_collect(engawa_Posture *ret_posture);
