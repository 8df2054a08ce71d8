/*
 * `engawa agent pair` and `engawa agent device` at agent.sock:
 *   "pair"                → "AB12-CD34 600": the code and how long it is good
 *   "pair end"
 *   "list N"              → lines from the Nth device on, fields separated by tabs: state, number,
 *                           since (seconds), name, computer, system, address, MAC addresses
 *   "approve DEVICE[ NAME]", "reject DEVICE", "remove DEVICE", "name DEVICE NAME"
 * DEVICE: its number, at least 8 digits of it (all 16 to approve), or its name without blanks.
 */
#pragma once
#include <stddef.h>

#include "agent/agent.h"

/* 0 with the answer, or the code to answer with. */
int local_devices(struct agent *agent, const char *text, char *ret_answer, size_t size);
