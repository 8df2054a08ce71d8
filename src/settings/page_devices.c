/* The devices that may come in: an application is approved with the number that the person reads
 * out, or a code is given for one that registers itself; and the list of MAC addresses. */
#include <string.h>
#include <time.h>

#include "agent/message.h"
#include "settings/rows.h"

enum {
	FIELDS = 8 /* state number since name computer system address macs */
};

struct devices {
	struct app *app;
	struct rows *rows, *macs;
	GtkWidget *number, *pairing, *code, *mac;
	long long known; /* of devices and applications together */
};

static int
take_device(const char *line, char cells[ROWS_COLUMNS_MAX][ROWS_CELL_SIZE],
	char id[static ROWS_CELL_SIZE], int *ret_applied)
{
	char **field = g_strsplit(line, "\t", FIELDS);
	int ok = g_strv_length(field) == FIELDS && strcmp(field[0], "removed") != 0;
	if (ok) {
		*ret_applied = strcmp(field[0], "applied") == 0;
		g_strlcpy(id, field[1], ROWS_CELL_SIZE);
		g_strlcpy(cells[0],
			word(*ret_applied ? WORD_DEVICE_APPLIED : WORD_DEVICE_REGISTERED),
			ROWS_CELL_SIZE);
		g_strlcpy(cells[1], *field[3] ? field[3] : field[4], ROWS_CELL_SIZE);
		g_strlcpy(cells[2], field[5], ROWS_CELL_SIZE);
		g_strlcpy(cells[3], field[6], ROWS_CELL_SIZE);
		g_strlcpy(cells[4], field[7], ROWS_CELL_SIZE);
	}
	g_strfreev(field);
	return ok;
}

/* A line of the list as people write it: the address, and what they say about it. */
static int
take_mac(const char *line, char cells[ROWS_COLUMNS_MAX][ROWS_CELL_SIZE],
	char id[static ROWS_CELL_SIZE], int *ret_state)
{
	size_t len = strcspn(line, " \t#");
	*ret_state = 0;
	g_strlcpy(cells[0], line, ROWS_CELL_SIZE);
	g_strlcpy(id, line, len + 1 < ROWS_CELL_SIZE ? len + 1 : ROWS_CELL_SIZE);
	return len > 0;
}

static void
on_changed(struct app *app, int code, const char *answer, void *user)
{
	struct devices *d = user;
	(void)app, (void)answer;
	if (code < 0)
		return;
	gtk_entry_set_text(GTK_ENTRY(d->number), "");
	d->known = -1; /* the status that follows has them shown */
}

/* ---- devices ---- */

static void
on_approve(GtkWidget *widget, gpointer user)
{
	struct devices *d = user;
	char *text = g_strdup_printf("approve %s", gtk_entry_get_text(GTK_ENTRY(d->number)));
	(void)widget;
	app_change(d->app, MSG_DEVICES, text, on_changed, d);
	g_free(text);
}

static void
remove_chosen(void *user)
{
	struct devices *d = user;
	int applied = 0;
	char *id = rows_chosen(d->rows, &applied);
	char *text = g_strdup_printf("%s %s", applied ? "reject" : "remove", id ? id : "");
	if (id)
		app_change(d->app, MSG_DEVICES, text, on_changed, d);
	g_free(text);
	g_free(id);
}

static void
on_remove(GtkWidget *widget, gpointer user)
{
	struct devices *d = user;
	(void)widget;
	app_sure(d->app, word(WORD_DEVICE_REMOVE_SURE), remove_chosen, d);
}

/* ---- pairing code ---- */

static void
on_paired(struct app *app, int code, const char *answer, void *user)
{
	struct devices *d = user;
	char *text = g_strndup(answer, strcspn(answer, " "));
	(void)app;
	if (code == 0) {
		gtk_label_set_text(GTK_LABEL(d->code), text);
		gtk_widget_set_visible(d->pairing, *text != '\0');
	}
	g_free(text);
}

static void
on_pair(GtkWidget *widget, gpointer user)
{
	struct devices *d = user;
	(void)widget;
	app_change_quiet(d->app, MSG_DEVICES, "pair", on_paired, d);
}

static void
on_pair_end(GtkWidget *widget, gpointer user)
{
	struct devices *d = user;
	(void)widget;
	app_change_quiet(d->app, MSG_DEVICES, "pair end", on_paired, d);
}

/* ---- MAC addresses ---- */

static void
on_mac_changed(struct app *app, int code, const char *answer, void *user)
{
	struct devices *d = user;
	(void)app, (void)answer;
	if (code < 0)
		return;
	gtk_entry_set_text(GTK_ENTRY(d->mac), "");
	rows_show(d->macs);
}

static void
on_mac_add(GtkWidget *widget, gpointer user)
{
	struct devices *d = user;
	char *text = g_strdup_printf("add %s", gtk_entry_get_text(GTK_ENTRY(d->mac)));
	(void)widget;
	app_change(d->app, MSG_MACS, text, on_mac_changed, d);
	g_free(text);
}

static void
on_mac_remove(GtkWidget *widget, gpointer user)
{
	struct devices *d = user;
	int state;
	char *id = rows_chosen(d->macs, &state);
	char *text = g_strdup_printf("remove %s", id ? id : "");
	(void)widget;
	if (id)
		app_change(d->app, MSG_MACS, text, on_mac_changed, d);
	g_free(text);
	g_free(id);
}

static void
build_macs(struct devices *d, GtkWidget *form)
{
	static const enum word titles[] = {WORD_MAC};
	form_heading(form, WORD_MAC_HEAD);
	form_text(form, word(WORD_MAC_TEXT));
	d->macs = rows_new(d->app, form, WORD_MAC_HEAD, MSG_MACS, titles, 1, take_mac);
	rows_button(d->macs,
		form_button(form_row(form), WORD_MAC_REMOVE, G_CALLBACK(on_mac_remove), d));
	d->mac = form_entry(form, WORD_MAC_NEW);
	form_button(form_row(form), WORD_MAC_ADD, G_CALLBACK(on_mac_add), d);
}

/* ---- page ---- */

static void
build_pairing(struct devices *d, GtkWidget *form)
{
	form_heading(form, WORD_PAIR_HEAD);
	form_text(form, word(WORD_PAIR_TEXT));
	form_button(form_row(form), WORD_PAIR, G_CALLBACK(on_pair), d);
	d->pairing = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
	d->code = form_value(d->pairing, WORD_PAIR_CODE);
	gtk_style_context_add_class(gtk_widget_get_style_context(d->code), "large");
	form_button(form_row(d->pairing), WORD_PAIR_END, G_CALLBACK(on_pair_end), d);
	gtk_box_pack_start(GTK_BOX(form), d->pairing, FALSE, FALSE, 0);
	gtk_widget_show_all(d->pairing);
	gtk_widget_set_no_show_all(d->pairing, TRUE);
	gtk_widget_hide(d->pairing);
}

static void
on_map(GtkWidget *widget, gpointer user)
{
	struct devices *d = user;
	(void)widget;
	rows_show(d->rows);
	rows_show(d->macs);
}

static GtkWidget *
build(struct app *app)
{
	static const enum word titles[] = {
		WORD_USER_STATE, WORD_KEY_NAME, WORD_DEVICE_SYSTEM, WORD_DEVICE_ADDRESS, WORD_MAC};
	struct devices *d = g_new0(struct devices, 1);
	GtkWidget *form = form_new(WORD_DEVICES_HEAD, WORD_DEVICES_TEXT);
	d->app = app;
	d->known = -1;
	d->rows = rows_new(app, form, WORD_DEVICES_HEAD, MSG_DEVICES, titles, 5, take_device);
	rows_button(
		d->rows, form_button(form_row(form), WORD_DEVICE_REMOVE, G_CALLBACK(on_remove), d));
	d->number = form_entry(form, WORD_DEVICE_NUMBER);
	form_button(form_row(form), WORD_DEVICE_APPROVE, G_CALLBACK(on_approve), d);
	build_pairing(d, form);
	build_macs(d, form);
	g_signal_connect(form, "map", G_CALLBACK(on_map), d);
	g_object_set_data_full(G_OBJECT(form), "devices", d, g_free);
	return form;
}

/* The code is shown as long as it is good. */
static void
refresh(struct app *app, GtkWidget *page, const json_t *status)
{
	struct devices *d = g_object_get_data(G_OBJECT(page), "devices");
	long long count = json_integer_value(json_object_get(status, "registered")) * 1000 +
			  json_integer_value(json_object_get(status, "applications"));
	(void)app;
	if (!status)
		return;
	if (json_integer_value(json_object_get(status, "pairing_s")) == 0)
		gtk_widget_hide(d->pairing);
	if (count != d->known)
		rows_show(d->rows);
	d->known = count;
}

const struct page page_devices = {"devices", WORD_DEVICES, build, refresh};
