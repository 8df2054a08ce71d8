/* The session manager, logind or elogind, at the system's bus. */
#pragma once

#define LOGIN1 "org.freedesktop.login1"
#define LOGIN1_PATH "/org/freedesktop/login1"
#define LOGIN1_MANAGER LOGIN1 ".Manager"
#define LOGIN1_SESSION LOGIN1 ".Session"

struct sd_bus;

/* The bus, on which every question takes five seconds at most; NULL: there is none. */
struct sd_bus *login1_open(void);
