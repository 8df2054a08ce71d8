#include "desktop/rdp.h"

#include <errno.h>
#include <freerdp/channels/channels.h>
#include <freerdp/gdi/gdi.h>
#include <freerdp/input.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <winpr/ssl.h>
#include <winpr/synch.h>
#include <winpr/wlog.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	COLOR_BITS = 32,
	CHECK_MS = 20, /* that long libfreerdp takes what comes before the loop goes on */
	PIN_MAX_BYTES = 65536,
	ORDERS = 32, /* kinds of drawing orders */
	TLS_LEVEL = 2,
	TLS_1_2 = 0x0303,
};

struct rdp_pin {
	uint8_t *der;
	int len;
};

struct context {
	rdpContext base;
	struct rdp *rdp;
};

struct rdp *
rdp_of(rdpContext *context)
{
	return ((struct context *)context)->rdp;
}

/* ---- the certificate ---- */

static struct rdp_pin *
pin_from_pem(const void *pem, size_t len)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	struct rdp_pin *pin = mem_new(sizeof *pin);
	pin->len = certificate ? i2d_X509(certificate, &pin->der) : -1;
	X509_free(certificate);
	BIO_free(bio);
	if (pin->len > 0)
		return pin;
	rdp_pin_free(pin);
	return NULL;
}

void
rdp_pin_free(struct rdp_pin *pin)
{
	if (pin)
		OPENSSL_free(pin->der);
	free(pin);
}

int
rdp_pin_read(const char *path, struct rdp_pin **ret_pin)
{
	char *text;
	size_t len;
	int r = conf_read_file(path, PIN_MAX_BYTES, &text, &len);
	if (r < 0)
		return r;
	*ret_pin = pin_from_pem(text, len);
	free(text);
	return *ret_pin ? 0 : -ERR_RDP_CERTIFICATE;
}

static int
on_certificate(
	freerdp *instance, const BYTE *pem, size_t len, const char *host, UINT16 port, DWORD flags)
{
	struct rdp *rdp = rdp_of(instance->context);
	struct rdp_pin *shown = len <= PIN_MAX_BYTES ? pin_from_pem(pem, len) : NULL;
	(void)host, (void)port, (void)flags;
	int same = shown && shown->len == rdp->pin->len &&
		   memcmp(shown->der, rdp->pin->der, (size_t)shown->len) == 0;
	rdp_pin_free(shown);
	rdp->certificate_refused = !same;
	return same ? 1 : -1;
}

/* ---- what libfreerdp tells ---- */

static BOOL
on_library_message(const wLogMessage *message)
{
	LOG(DEBUG, "desktop.rdp_library",
		F_STR("text", message->TextString ? message->TextString : ""));
	return TRUE;
}

static BOOL
on_library_data(const wLogMessage *message)
{
	(void)message;
	return TRUE;
}

void
rdp_prepare(void)
{
	static wLogCallbacks callbacks = {
		on_library_data, on_library_data, on_library_message, on_library_data};
	/* it wants to have one; nothing can be read or made there */
	setenv("HOME", "/nonexistent", 1);
	wLog *root = WLog_GetRoot();
	if (!WLog_SetLogAppenderType(root, WLOG_APPENDER_CALLBACK) ||
		!WLog_ConfigureAppender(WLog_GetLogAppender(root), "callbacks", &callbacks))
		WLog_SetLogLevel(root, WLOG_OFF);
	else
		WLog_SetLogLevel(root, WLOG_WARN);
	winpr_InitializeSSL(WINPR_SSL_INIT_DEFAULT);
}

/* No channel was asked for, so there is none that anything could come on. */
static int
on_channel(
	freerdp *instance, UINT16 channel, const BYTE *data, size_t len, UINT32 flags, size_t total)
{
	(void)data, (void)flags, (void)total;
	rdp_of(instance->context)->channel_refused = 1;
	LOG(ERROR, "desktop.rdp_channel_refused", F_INT("channel", channel), F_INT("bytes", len));
	return FALSE;
}

static BOOL
on_begin_paint(rdpContext *context)
{
	HGDI_WND window = context->gdi->primary->hdc->hwnd;
	window->invalid->null = TRUE;
	window->ninvalid = 0;
	return TRUE;
}

static BOOL
on_end_paint(rdpContext *context)
{
	struct rdp *rdp = rdp_of(context);
	const GDI_WND *window = context->gdi->primary->hdc->hwnd;
	for (INT32 i = 0; rdp->damage && !window->invalid->null && i < window->ninvalid; i++) {
		const GDI_RGN *area = &window->cinvalid[i];
		if (area->w > 0 && area->h > 0)
			damage_add(rdp->damage, area->x, area->y, (uint32_t)area->w,
				(uint32_t)area->h);
	}
	rdp->news |= SOURCE_CAME;
	return TRUE;
}

/* Before anything is allocated for it. */
static BOOL
size_ok(const rdpSettings *settings)
{
	if (image_fits(settings->DesktopWidth, settings->DesktopHeight))
		return TRUE;
	LOG(ERROR, "desktop.rdp_size", F_INT("width_px", settings->DesktopWidth),
		F_INT("height_px", settings->DesktopHeight));
	return FALSE;
}

static BOOL
on_resize(rdpContext *context)
{
	const rdpSettings *settings = context->settings;
	rdp_of(context)->news |= SOURCE_SHAPE_CHANGED;
	return size_ok(settings) &&
	       gdi_resize(context->gdi, settings->DesktopWidth, settings->DesktopHeight);
}

/* A bell or a lamp of the keyboard: nothing here has one. */
static BOOL
on_sound(rdpContext *context, const PLAY_SOUND_UPDATE *sound)
{
	(void)context, (void)sound;
	return TRUE;
}

static BOOL
on_lamps(rdpContext *context, UINT16 lamps)
{
	(void)context, (void)lamps;
	return TRUE;
}

static BOOL
on_ime_state(rdpContext *context, UINT16 ime, UINT32 state, UINT32 mode)
{
	(void)context, (void)ime, (void)state, (void)mode;
	return TRUE;
}

/* libfreerdp has just set what orders it can do: none is offered, and what comes all the same ends
 * the connection. */
static BOOL
on_pre_connect(freerdp *instance)
{
	memset(instance->settings->OrderSupport, 0, ORDERS);
	return instance->settings->ChannelCount == 0;
}

static BOOL
on_post_connect(freerdp *instance)
{
	rdpUpdate *update = instance->update;
	if (!size_ok(instance->settings) || !gdi_init(instance, PIXEL_FORMAT_BGRX32))
		return FALSE;
	update->BeginPaint = on_begin_paint;
	update->EndPaint = on_end_paint;
	update->DesktopResize = on_resize;
	update->PlaySound = on_sound;
	update->SetKeyboardIndicators = on_lamps;
	update->SetKeyboardImeStatus = on_ime_state;
	rdp_cursor_register(instance->context);
	return TRUE;
}

static void
on_post_disconnect(freerdp *instance)
{
	gdi_free(instance);
}

/* ---- what is asked for ---- */

/* Everything that is more than a picture, by name. */
static int
close_off(rdpSettings *s)
{
	static const size_t off[] = {FreeRDP_RedirectClipboard, FreeRDP_DeviceRedirection,
		FreeRDP_RedirectDrives, FreeRDP_RedirectHomeDrive, FreeRDP_RedirectPrinters,
		FreeRDP_RedirectSmartCards, FreeRDP_RedirectSerialPorts,
		FreeRDP_RedirectParallelPorts, FreeRDP_AudioPlayback, FreeRDP_AudioCapture,
		FreeRDP_RemoteConsoleAudio, FreeRDP_SupportDynamicChannels,
		FreeRDP_SupportDynamicTimeZone, FreeRDP_SupportDisplayControl,
		FreeRDP_SupportMultitransport, FreeRDP_SupportGraphicsPipeline,
		FreeRDP_SupportHeartbeatPdu, FreeRDP_NetworkAutoDetect, FreeRDP_MultiTouchInput,
		FreeRDP_RemoteApplicationMode, FreeRDP_RemoteAssistanceMode, FreeRDP_GatewayEnabled,
		FreeRDP_AutoReconnectionEnabled, FreeRDP_AutoLogonEnabled, FreeRDP_NlaSecurity,
		FreeRDP_RdpSecurity, FreeRDP_ExtSecurity, FreeRDP_RemoteFxCodec, FreeRDP_NSCodec,
		FreeRDP_JpegCodec, FreeRDP_GfxH264, FreeRDP_SurfaceCommandsEnabled,
		FreeRDP_FrameMarkerCommandEnabled, FreeRDP_SurfaceFrameMarkerEnabled,
		FreeRDP_BitmapCacheEnabled, FreeRDP_BitmapCacheV3Enabled,
		FreeRDP_BitmapCachePersistEnabled, FreeRDP_AllowUnanouncedOrdersFromServer,
		FreeRDP_AsyncInput, FreeRDP_AsyncUpdate, FreeRDP_AsyncChannels,
		FreeRDP_CompressionEnabled, FreeRDP_SoundBeepsEnabled, FreeRDP_DrawNineGridEnabled,
		FreeRDP_SendPreconnectionPdu};
	for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
		if (!freerdp_settings_set_bool(s, off[i], FALSE))
			return -ERR_INTERNAL;
	return 0;
}

struct box {
	int32_t left, top, right, bottom;
};

static struct box
box_around(const struct source_monitor *monitors, size_t count)
{
	struct box b = {INT16_MAX, INT16_MAX, INT16_MIN, INT16_MIN};
	for (size_t i = 0; i < count; i++) {
		const struct source_monitor *m = &monitors[i];
		b.left = m->x < b.left ? m->x : b.left;
		b.top = m->y < b.top ? m->y : b.top;
		b.right = m->x + m->width > b.right ? m->x + m->width : b.right;
		b.bottom = m->y + m->height > b.bottom ? m->y + m->height : b.bottom;
	}
	return b;
}

int
rdp_monitors_fit(const struct source_monitor *monitors, size_t count)
{
	struct box b = box_around(monitors, count);
	return count > 0 && count <= SOURCE_MONITORS_MAX &&
	       image_fits((uint32_t)(b.right - b.left), (uint32_t)(b.bottom - b.top));
}

static void
ask_monitors(struct rdp *rdp, const struct source_monitor *monitors, size_t count)
{
	rdpSettings *s = rdp->instance->settings;
	struct box b = box_around(monitors, count);
	for (size_t i = 0; i < count; i++) {
		const struct source_monitor *m = &monitors[i];
		s->MonitorDefArray[i] = (rdpMonitor){.x = m->x,
			.y = m->y,
			.width = m->width,
			.height = m->height,
			.is_primary = i == 0,
			.orig_screen = (UINT32)i};
	}
	s->DesktopWidth = (UINT32)(b.right - b.left);
	s->DesktopHeight = (UINT32)(b.bottom - b.top);
	s->MonitorCount = (UINT32)count;
	s->UseMultimon = count > 1;
	rdp->asked = (struct source_shape){.width = (uint16_t)s->DesktopWidth,
		.height = (uint16_t)s->DesktopHeight,
		.monitor_count = count};
	for (size_t i = 0; i < count; i++)
		rdp->asked.monitors[i] = (struct source_monitor){(int16_t)(monitors[i].x - b.left),
			(int16_t)(monitors[i].y - b.top), monitors[i].width, monitors[i].height};
}

static int
settle(struct rdp *rdp, int fd)
{
	rdpSettings *s = rdp->instance->settings;
	s->KeyboardLayout = rdp->keyboard;
	s->ColorDepth = COLOR_BITS;
	s->ExternalCertificateManagement = TRUE;
	s->TlsSecurity = TRUE;
	s->TlsSecLevel = TLS_LEVEL;
	s->UnicodeInput = TRUE;
	s->HasHorizontalWheel = TRUE;
	s->HasExtendedMouseEvent = TRUE;
	s->MaxTimeInCheckLoop = CHECK_MS;
	s->GlyphSupportLevel = GLYPH_SUPPORT_NONE;
	s->OffscreenSupportLevel = 0;
	s->RemoteWndSupportLevel = 0;
	/* the number of a connected socket follows */
	s->ServerPort = (UINT32)fd;
	if (!freerdp_settings_set_string(s, FreeRDP_ServerHostname, "|") ||
		!freerdp_settings_set_string(s, FreeRDP_ClientHostname, "engawa") ||
		!freerdp_settings_set_uint16(s, FreeRDP_TLSMinVersion, TLS_1_2))
		return -ENOMEM;
	return close_off(s);
}

/* ---- connecting ---- */

static int
instance_new(struct rdp *rdp)
{
	freerdp *instance = freerdp_new();
	if (!instance)
		return -ENOMEM;
	instance->ContextSize = sizeof(struct context);
	instance->PreConnect = on_pre_connect;
	instance->PostConnect = on_post_connect;
	instance->PostDisconnect = on_post_disconnect;
	instance->VerifyX509Certificate = on_certificate;
	if (!freerdp_context_new(instance)) {
		freerdp_free(instance);
		return -ENOMEM;
	}
	/* libfreerdp put its own there, which looks for plug-ins */
	instance->ReceiveChannelData = on_channel;
	((struct context *)instance->context)->rdp = rdp;
	rdp->instance = instance;
	return 0;
}

/* What has ended the connection, or kept it from being. */
static int
reason(struct rdp *rdp)
{
	UINT32 error = freerdp_get_last_error(rdp->instance->context),
	       info = freerdp_error_info(rdp->instance);
	LOG(INFO, "desktop.rdp_end", F_STR("error", freerdp_get_last_error_name(error)),
		F_INT("info", info));
	if (rdp->certificate_refused)
		return -ERR_RDP_CERTIFICATE;
	if (rdp->channel_refused)
		return -ERR_RDP_CHANNEL;
	if (info != ERRINFO_SUCCESS)
		return -ERR_RDP_ENDED;
	switch (error) {
	case FREERDP_ERROR_SECURITY_NEGO_CONNECT_FAILED:
	case FREERDP_ERROR_TLS_CONNECT_FAILED:
		return -ERR_RDP_SECURITY;
	case FREERDP_ERROR_CONNECT_TRANSPORT_FAILED:
		return -ERR_RDP_LOST;
	default:
		return -ERR_RDP_BROKEN;
	}
}

int
rdp_connect(struct rdp *rdp, int fd, const struct source_monitor *monitors, size_t count)
{
	rdp->certificate_refused = rdp->channel_refused = 0;
	rdp->news = 0;
	int r = instance_new(rdp);
	if (r == 0)
		r = settle(rdp, fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	ask_monitors(rdp, monitors, count);
	/* what libfreerdp failed to take over ends with this process */
	if (!freerdp_connect(rdp->instance))
		return reason(rdp);
	freerdp_input_send_synchronize_event(rdp->instance->input, KBD_SYNC_NUM_LOCK);
	return 0;
}

void
rdp_disconnect(struct rdp *rdp)
{
	if (!rdp->instance)
		return;
	freerdp_disconnect(rdp->instance);
	freerdp_context_free(rdp->instance);
	freerdp_free(rdp->instance);
	rdp->instance = NULL;
}

/* ---- running ---- */

size_t
rdp_poll(struct rdp *rdp, struct pollfd *ret_fds)
{
	HANDLE events[SOURCE_POLL_MAX];
	DWORD count = freerdp_get_event_handles(rdp->instance->context, events, SOURCE_POLL_MAX);
	for (DWORD i = 0; i < count; i++)
		ret_fds[i] =
			(struct pollfd){.fd = GetEventFileDescriptor(events[i]), .events = POLLIN};
	return count;
}

int
rdp_read(struct rdp *rdp, struct damage *damage)
{
	rdp->damage = damage;
	BOOL ok = freerdp_check_event_handles(rdp->instance->context);
	rdp->damage = NULL;
	return ok && !freerdp_shall_disconnect(rdp->instance) ? 0 : reason(rdp);
}

struct image
rdp_picture(const struct rdp *rdp)
{
	const rdpGdi *gdi = rdp->instance->context->gdi;
	return (struct image){
		gdi->primary_buffer, gdi->stride, (uint16_t)gdi->width, (uint16_t)gdi->height};
}

struct source_shape
rdp_shape(const struct rdp *rdp)
{
	struct image picture = rdp_picture(rdp);
	if (picture.width == rdp->asked.width && picture.height == rdp->asked.height)
		return rdp->asked;
	return (struct source_shape){.width = picture.width,
		.height = picture.height,
		.monitors = {{0, 0, picture.width, picture.height}},
		.monitor_count = 1};
}
