/* engawa gate list: the gates whose workers are connected to the controller. argv[0] is "list". */
#pragma once

int gate_list(int argc, char **argv);
