/* engawa gate upgrade: the program that lies at the gate's path takes over, nobody is dropped.
 * argv[0] is "upgrade". */
#pragma once

int gate_upgrade(int argc, char **argv);
