/* What this computer is, for the login (Facts of inner.proto), and its device key. */
#pragma once
#include "crypto/noise.h"
#include "inner.pb.h"

struct evp_pkey_st;

/* Kind, build, system, computer name, permanent MAC addresses, locale, one monitor of this size,
 * the largest window. Whatever cannot be found stays empty. */
void facts_collect(uint32_t width_px, uint32_t height_px, engawa_Facts *ret_facts);

/* The system's name from the text of /etc/os-release, which is changed; without one out stays. */
void facts_os(char *release, char *out, size_t size);

/* Path of the device key of this user: $XDG_CONFIG_HOME/engawa/device.key or
 * ~/.config/engawa/device.key. 0 or -ENAMETOOLONG, -ENOENT (no home). */
int device_key_path(char *ret_path, size_t size);
/* The key that proves the device, P-256, beside the device key: FILE.proof. The same results; free
 * it with sign_key_free. */
int device_proof_load(const char *path, struct evp_pkey_st **ret_key);
/* Reads the key; makes it, with its directory, the first time. 0, -errno (-EPERM: others may read
 * it), -ERR_CRYPTO. */
int device_key_load(const char *path, struct noise_keypair *ret_device);
