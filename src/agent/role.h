/* The child's side of a process of the agent. Descriptor 3 is the channel to the monitor; its end
 * of file ends the process. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/options.h"
#include "base/sandbox.h"

enum {
	ROLE_CHANNEL = 3,
	ROLE_SIGN = 4
};

/* One function per role; they return the exit status. */
int control_main(const struct options *options);
int pump_main(const struct options *options);
int login_main(const struct options *options);
int work_main(const struct options *options);
int desktop_main(const struct options *options);
int check_pam_main(const struct options *options);
int check_radius_main(const struct options *options);
int check_ldap_main(const struct options *options);
int check_certificate_main(const struct options *options);
int check_maclist_main(const struct options *options);
int guard_main(const struct options *options);
int standby_main(const struct options *options);
int console_main(const struct options *options);

/* Gives up every right that the role does not need and dies with the monitor. Exits when that
 * fails. */
void role_sandbox(const struct options *options, const char *name, enum sandbox_profile profile);
/* For the one role that keeps its rights. */
void role_privileged(const char *name);
/* The monitor and what it starts: no core dumps, no ptrace by others. */
void role_secret(void);

/* Waits for one message of this type: exits when something else comes. Returns its length; *ret_fd
 * may be NULL. */
size_t role_expect(uint16_t type, void *payload, size_t cap, int *ret_fd);
/* Exits when the monitor is gone. */
void role_send(uint16_t type, const void *payload, size_t len, int fd);
/* Organisation file and certificate as the monitor sends them first; a TLS context with the remote
 * key. NULL: exit. */
struct orgfile;
struct ssl_ctx_st *role_tls(struct orgfile *ret_org);
/* The same with another certificate for the same key. */
struct ssl_ctx_st *role_tls_again(const struct orgfile *org, const uint8_t *der, size_t len);
