/* What services of a Linux desktop tell: NetworkManager about Wi-Fi, AccountsService about the
 * person's login, the desktop about its screen lock. Each question has a limit; no answer is no
 * knowledge. */
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/posture_linux.h"

enum {
	CALL_MS = 3000
};

static const engawa_Known YES = engawa_Known_KNOWN_YES, NO = engawa_Known_KNOWN_NO;

#define NM "org.freedesktop.NetworkManager"
#define ACCOUNTS "org.freedesktop.Accounts"

/* The first value of the answer, NULL when there is none of that type. */
static GVariant *
call(GDBusConnection *bus, const char *name, const char *path, const char *interface,
	const char *method, GVariant *arguments, const char *type)
{
	GVariant *value = NULL;
	GVariant *answer = g_dbus_connection_call_sync(bus, name, path, interface, method,
		arguments, NULL, G_DBUS_CALL_FLAGS_NONE, CALL_MS, NULL, NULL);
	if (answer && g_variant_n_children(answer) == 1)
		value = g_variant_get_child_value(answer, 0);
	if (answer)
		g_variant_unref(answer);
	if (value && g_variant_is_of_type(value, G_VARIANT_TYPE_VARIANT)) {
		GVariant *inside = g_variant_get_variant(value);
		g_variant_unref(value);
		value = inside;
	}
	if (!value || g_variant_is_of_type(value, G_VARIANT_TYPE(type)))
		return value;
	g_variant_unref(value);
	return NULL;
}

static GVariant *
property(GDBusConnection *bus, const char *name, const char *path, const char *interface,
	const char *key, const char *type)
{
	return call(bus, name, path, "org.freedesktop.DBus.Properties", "Get",
		g_variant_new("(ss)", interface, key), type);
}

/* 1 and the number, or 0. */
static int
number(GDBusConnection *bus, const char *name, const char *path, const char *interface,
	const char *key, uint32_t *ret)
{
	GVariant *value = property(bus, name, path, interface, key, "u");
	if (!value)
		return 0;
	*ret = g_variant_get_uint32(value);
	g_variant_unref(value);
	return 1;
}

static engawa_NetworkSecurity
ask_wifi(GDBusConnection *bus, const char *interface)
{
	static const char point[] = NM ".AccessPoint";
	engawa_NetworkSecurity security = engawa_NetworkSecurity_NETWORK_NONE;
	uint32_t flags, wpa, rsn;
	GVariant *active = NULL;
	GVariant *device = call(bus, NM, "/org/freedesktop/NetworkManager", NM,
		"GetDeviceByIpIface", g_variant_new("(s)", interface), "o");
	if (device)
		active = property(bus, NM, g_variant_get_string(device, NULL),
			NM ".Device.Wireless", "ActiveAccessPoint", "o");
	if (active) {
		const char *path = g_variant_get_string(active, NULL);
		if (number(bus, NM, path, point, "Flags", &flags) &&
			number(bus, NM, path, point, "WpaFlags", &wpa) &&
			number(bus, NM, path, point, "RsnFlags", &rsn))
			security = posture_wifi(flags, wpa, rsn);
		g_variant_unref(active);
	}
	if (device)
		g_variant_unref(device);
	return security;
}

/* PasswordMode: 0 = a password is set, 1 = to be set at the next login, 2 = none. */
static void
ask_login(GDBusConnection *bus, engawa_Posture *posture)
{
	GVariant *mode = NULL, *automatic = NULL;
	GVariant *user = call(bus, ACCOUNTS, "/org/freedesktop/Accounts", ACCOUNTS, "FindUserById",
		g_variant_new("(x)", (gint64)getuid()), "o");
	if (!user)
		return;
	const char *path = g_variant_get_string(user, NULL);
	mode = property(bus, ACCOUNTS, path, ACCOUNTS ".User", "PasswordMode", "i");
	automatic = property(bus, ACCOUNTS, path, ACCOUNTS ".User", "AutomaticLogin", "b");
	if (mode && posture->login_password == engawa_Known_KNOWN_NONE)
		posture->login_password = g_variant_get_int32(mode) == 0 ? YES : NO;
	if (automatic && g_variant_get_boolean(automatic))
		posture->login_password = NO;
	if (mode)
		g_variant_unref(mode);
	if (automatic)
		g_variant_unref(automatic);
	g_variant_unref(user);
}

/* ---- screen lock ---- */

static int
has_key(GSettingsSchema *schema, const char *key)
{
	return schema && g_settings_schema_has_key(schema, key);
}

/* Of either sign, as desktops differ. */
static int64_t
whole_number(GSettings *settings, const char *key)
{
	GVariant *value = g_settings_get_value(settings, key);
	int64_t n = 0;
	if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
		n = g_variant_get_uint32(value);
	else if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT32))
		n = g_variant_get_int32(value);
	g_variant_unref(value);
	return n > 0 ? n : 0;
}

/* A delay of 0 is "never". Some seconds between the dark screen and the lock are everybody's
 * default: the time after it counts in whole minutes. */
static void
tell_lock(engawa_Posture *posture, int locks, int64_t idle_s, int64_t then_s)
{
	int64_t after_s = idle_s + then_s / 60 * 60;
	locks = locks && idle_s > 0;
	posture->screen_lock = locks ? YES : NO;
	posture->lock_after_s = !locks ? 0 : after_s < INT32_MAX ? (uint32_t)after_s : INT32_MAX;
}

struct schemas {
	const char *saver, *session;
	int64_t unit_s;       /* of their times */
	int needs_activation; /* "idle-activation-enabled" counts */
};

static void
ask_gsettings(const struct schemas *names, engawa_Posture *posture)
{
	GSettingsSchemaSource *source = g_settings_schema_source_get_default();
	if (!source)
		return;
	GSettingsSchema *saver = g_settings_schema_source_lookup(source, names->saver, TRUE);
	GSettingsSchema *session = g_settings_schema_source_lookup(source, names->session, TRUE);
	if (has_key(saver, "lock-enabled") && has_key(session, "idle-delay")) {
		GSettings *a = g_settings_new(names->saver), *b = g_settings_new(names->session);
		int locks = g_settings_get_boolean(a, "lock-enabled");
		if (names->needs_activation && has_key(saver, "idle-activation-enabled"))
			locks = locks && g_settings_get_boolean(a, "idle-activation-enabled");
		int64_t then = has_key(saver, "lock-delay") ? whole_number(a, "lock-delay") : 0;
		tell_lock(posture, locks, whole_number(b, "idle-delay") * names->unit_s,
			then * names->unit_s);
		g_object_unref(a);
		g_object_unref(b);
	}
	if (saver)
		g_settings_schema_unref(saver);
	if (session)
		g_settings_schema_unref(session);
}

/* Its defaults: on, after five minutes. */
static void
ask_kde(engawa_Posture *posture)
{
	char *path = g_build_filename(g_get_user_config_dir(), "kscreenlockerrc", NULL);
	GKeyFile *file = g_key_file_new();
	int locks = 1, minutes = 5, grace_s = 0;
	if (g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL)) {
		if (g_key_file_has_key(file, "Daemon", "Autolock", NULL))
			locks = g_key_file_get_boolean(file, "Daemon", "Autolock", NULL);
		if (g_key_file_has_key(file, "Daemon", "Timeout", NULL))
			minutes = g_key_file_get_integer(file, "Daemon", "Timeout", NULL);
		grace_s = g_key_file_get_integer(file, "Daemon", "LockGrace", NULL);
	}
	tell_lock(posture, locks, (int64_t)minutes * 60, grace_s > 0 ? grace_s : 0);
	g_key_file_free(file);
	g_free(path);
}

static void
ask_lock(engawa_Posture *posture)
{
	static const struct {
		const char *name;
		struct schemas schemas;
	} desktops[] = {
		{"Cinnamon",
			{"org.cinnamon.desktop.screensaver", "org.cinnamon.desktop.session", 1, 0}},
		{"MATE", {"org.mate.screensaver", "org.mate.session", 60, 1}},
		{"GNOME", {"org.gnome.desktop.screensaver", "org.gnome.desktop.session", 1, 0}},
		{"Unity", {"org.gnome.desktop.screensaver", "org.gnome.desktop.session", 1, 0}},
	};
	const char *desktop = getenv("XDG_CURRENT_DESKTOP");
	if (desktop && strstr(desktop, "KDE")) {
		ask_kde(posture);
		return;
	}
	for (size_t i = 0; desktop && i < sizeof desktops / sizeof desktops[0]; i++)
		if (strstr(desktop, desktops[i].name)) {
			ask_gsettings(&desktops[i].schemas, posture);
			return;
		}
}

void
posture_bus(engawa_Posture *posture, const struct posture_networks *networks)
{
	GDBusConnection *bus = g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, NULL);
	if (bus)
		g_dbus_connection_set_exit_on_close(bus, FALSE);
	for (size_t i = 0; i < networks->count; i++)
		posture->networks[posture->networks_count++] =
			!networks->items[i].wireless ? engawa_NetworkSecurity_NETWORK_WIRED
			: bus                        ? ask_wifi(bus, networks->items[i].name)
						     : engawa_NetworkSecurity_NETWORK_NONE;
	if (bus) {
		ask_login(bus, posture);
		g_object_unref(bus);
	}
	ask_lock(posture);
}
