/*
 * A private key that is somewhere else: OpenSSL gets an EVP_PKEY whose signatures are made by the
 * keeper process over a channel. The worker that parses the network never has the key, and cannot
 * use it for anything but an ECDSA signature of one digest at a time, counted and limited by the
 * keeper.
 */
#pragma once
#include "gate/tell.h"

struct key_channel;
struct evp_pkey_st;
struct x509_st;

/* Takes the descriptor over. Reference-counted by the keys made from it: closed when the last one
 * is freed. */
struct key_channel *key_channel_new(int fd);
void key_channel_free(struct key_channel *channel);
/* The descriptor goes back to the caller: it is not closed with the channel. */
void key_channel_keep(struct key_channel *channel);

/* 1 when the keeper has refused or not answered since the last call: what failed then is nobody's
 * fault but ours. */
int key_has_failed(void);
/* 1 when the last signature that was asked for was one too many in a second for the keeper. */
int key_was_refused(void);

/* The key of this certificate, which must be an EC one. NULL on failure. */
struct evp_pkey_st *key_remote_new(
	struct key_channel *channel, struct x509_st *cert, enum tell_key which);
