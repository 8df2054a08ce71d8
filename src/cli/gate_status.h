/* engawa gate status: the numbers of a gate on this machine. */
#pragma once

int gate_status(int argc, char **argv);
