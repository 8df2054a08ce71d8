/* Between the files of the work process: the session's records on one side, engawa-desktop on the
 * other. */
#pragma once
#include "agent/inner.h"
#include "agent/message.h"
#include "agent/replay.h"
#include "agent/work_rate.h"
#include "base/clock.h"

struct work {
	struct loop *loop;
	void (*tell)(uint16_t type, const void *payload, size_t len); /* the monitor */
	struct inner inner;
	struct layout layout;
	int desktop_fd;
	struct watch *desktop;
	struct buf from_desktop, to_desktop;
	struct replay replay;
	uint32_t acked; /* the last picture that the desktop was told of */
	int ack_again;  /* it may come once more over this path */
	int restarting; /* the desktop has been told, and has not answered yet */
	enum {
		WORK_DESKTOP,
		WORK_READY,
		WORK_RUNNING,
		WORK_LOST, /* nobody at the other end; the desktop stays */
		WORK_ENDED
	} state;
	uint32_t idle_s, epoch;
	int keep;
	int warned;      /* that the session will end for idleness */
	int begun;       /* a client has worked here: the idle clock runs */
	int heard;       /* over this path */
	int late;        /* the last tick was; two in a row are not forgiven */
	struct mono now; /* of the event that is handled */
	struct mono last_byte, last_input, ticked;
	struct rates rates;
	uint32_t x_px, y_px, buttons; /* of the last Pointer */
	struct timer *tick;
};

/* Ends the session: End{code} to the client (none for code 0), the monitor is told, everything
 * closes. code positive. */
void work_end(struct work *work, uint32_t code);

/* The path is gone: the desktop lets go of all keys and stays. code: negative. */
void work_lose(struct work *work, int code);

/* A record of the client at work->now (work_input.c): checked and passed to the desktop in our own
 * encoding. 0, -ERR_PROTOCOL or -ERR_INPUT_BURST, which end the session; other failures do not. */
int work_input(struct work *work, uint8_t type, const uint8_t *payload, size_t len);

/* Twice a second, at work->now (work_idle.c): warns, and ends a session that nobody uses or whose
 * path is dead. */
void work_tick(struct work *work);
/* A person did something. */
void work_active(struct work *work);

/* The desktop's socket (work_desktop.c). */
void work_desktop_open(struct work *work, int fd);
void work_desktop_close(struct work *work);
/* Whether it may be read: not while the client's side is full, not between DesktopReady and Start.
 */
void work_desktop_events(struct work *work);
/* A new path begins: the picture stream goes on where the client says it is, or a new one begins,
 * after DesktopReady. */
int work_desktop_again(struct work *work, uint32_t stream, uint64_t received);
/* The monitor hears that Start may go out. */
void work_desktop_ready(struct work *work);
/* There is room again: what waits is sent. */
void work_desktop_resume(struct work *work);
/* 0, -ENOBUFS when the desktop does not read its input. */
int work_desktop_send(struct work *work, uint8_t type, const pb_msgdesc_t *fields, const void *msg);
