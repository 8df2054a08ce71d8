/*
 * Is a client the machine that it wants to see? It would show its own picture in its own picture.
 * Two signs, of which one is enough; neither lets anybody in, a client that hides them only gets
 * its own endless corridor.
 */
#pragma once
#include "agent/message.h"

/* 1 when a card of this machine is among the client's, or when the relay saw the client at an
 * address of this machine (loopback apart, which every machine has). Only permanent addresses of
 * cards count (net/mac.h): those of a virtual machine too, for its cards' are as fixed as others,
 * but the one that QEMU gives to all; bridges, containers and tunnels have none. A browser tells
 * none: behind a shared address it is not recognized. Reads the cards anew. */
int self_is(const struct facts *facts, const char *client_address);

/* The two rules by themselves. */
int self_has_mac(const struct facts *facts, const uint8_t (*macs)[6], size_t count);
int self_has_address(const char *client_address);
