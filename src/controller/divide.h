/* Shares of rates between gates, over their links: who claims what goes into share.h, what comes
 * out of it goes back once a second. */
#pragma once
#include "controller/core.h"
#include "controller/share.h"

struct divide *divide_new(struct core *core);
void divide_free(struct divide *divide);
/* Which gate a link is of: the process that has connected, a gate's parent, whatever name its
 * workers say. Where the kernel does not know it (another namespace), each link is one. */
uint64_t divide_gate(int fd, uint64_t number);
/* link: where the answers to this gate go. 0 or -ERR_PROTOCOL. */
int divide_demand(
	struct divide *divide, uint64_t gate, uint64_t link, const engawa_LinkDemand *demand);
/* This link is gone. */
void divide_gone(struct divide *divide, uint64_t gate, uint64_t link);
