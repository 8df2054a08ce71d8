/* The authenticator app, and codes on paper for when it is not at hand. */
#include <qrencode.h>
#include <string.h>

#include "agent/message.h"
#include "settings/form.h"

enum {
	DOT_PX = 5,
	QUIET_DOTS = 4
};

struct authenticator {
	struct app *app;
	GtkWidget *now, *remove, *enrol, *image, *secret, *code, *left, *codes, *codes_text;
};

/* ---- app ---- */

static void
put_dot(guchar *pixels, int stride, int x, int y)
{
	for (int i = 0; i < DOT_PX; i++)
		memset(pixels + (size_t)((y * DOT_PX + i) * stride + x * DOT_PX * 3), 0,
			DOT_PX * 3);
}

static GdkPixbuf *
draw_qr(const char *uri)
{
	QRcode *qr = QRcode_encodeString8bit(uri, 0, QR_ECLEVEL_M);
	if (!qr)
		return NULL;
	int dots = qr->width + 2 * QUIET_DOTS;
	GdkPixbuf *picture =
		gdk_pixbuf_new(GDK_COLORSPACE_RGB, FALSE, 8, dots * DOT_PX, dots * DOT_PX);
	if (picture)
		gdk_pixbuf_fill(picture, 0xffffffff);
	for (int i = 0; picture && i < qr->width * qr->width; i++)
		if (qr->data[i] & 1)
			put_dot(gdk_pixbuf_get_pixels(picture), gdk_pixbuf_get_rowstride(picture),
				i % qr->width + QUIET_DOTS, i / qr->width + QUIET_DOTS);
	QRcode_free(qr);
	return picture;
}

static void
hide_enrolment(struct authenticator *a)
{
	gtk_widget_hide(a->enrol);
	gtk_image_clear(GTK_IMAGE(a->image));
	gtk_label_set_text(GTK_LABEL(a->secret), "");
	gtk_entry_set_text(GTK_ENTRY(a->code), "");
}

static void
on_begun(struct app *app, int code, const char *uri, void *user)
{
	static const char key[] = "secret=";
	struct authenticator *a = user;
	const char *secret = code == 0 ? strstr(uri, key) : NULL;
	GdkPixbuf *picture = secret ? draw_qr(uri) : NULL;
	(void)app;
	if (!secret)
		return;
	secret += sizeof key - 1;
	char *text = g_strndup(secret, strcspn(secret, "&"));
	gtk_label_set_text(GTK_LABEL(a->secret), text);
	explicit_bzero(text, strlen(text));
	g_free(text);
	if (picture) {
		gtk_image_set_from_pixbuf(GTK_IMAGE(a->image), picture);
		g_object_unref(picture);
	}
	gtk_widget_show(a->enrol);
	gtk_widget_grab_focus(a->code);
}

static void
on_begin(GtkWidget *widget, gpointer user)
{
	struct authenticator *a = user;
	(void)widget;
	app_change_quiet(a->app, MSG_TOTP, "begin", on_begun, a);
}

static void
on_confirmed(struct app *app, int code, const char *answer, void *user)
{
	struct authenticator *a = user;
	(void)app, (void)answer;
	if (code == 0)
		hide_enrolment(a);
	else
		gtk_widget_grab_focus(a->code);
}

static void
on_confirm(GtkWidget *widget, gpointer user)
{
	struct authenticator *a = user;
	char *text = g_strdup_printf("confirm %s", gtk_entry_get_text(GTK_ENTRY(a->code)));
	(void)widget;
	app_change(a->app, MSG_TOTP, text, on_confirmed, a);
	g_free(text);
}

static void
remove_app(void *user)
{
	struct authenticator *a = user;
	app_change(a->app, MSG_TOTP, "remove", NULL, NULL);
}

static void
on_remove(GtkWidget *widget, gpointer user)
{
	struct authenticator *a = user;
	(void)widget;
	app_sure(a->app, word(WORD_APP_REMOVE_SURE), remove_app, a);
}

static void
build_enrolment(struct authenticator *a)
{
	GtkWidget *form = a->enrol = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
	form_text(form, word(WORD_APP_SCAN));
	a->image = gtk_image_new();
	gtk_widget_set_halign(a->image, GTK_ALIGN_START);
	atk_object_set_name(gtk_widget_get_accessible(a->image), word(WORD_APP_QR));
	gtk_box_pack_start(GTK_BOX(form), a->image, FALSE, FALSE, 0);
	a->secret = form_value(form, WORD_APP_SECRET);
	gtk_style_context_add_class(gtk_widget_get_style_context(a->secret), "mono");
	a->code = form_entry(form, WORD_APP_CODE);
	gtk_entry_set_input_purpose(GTK_ENTRY(a->code), GTK_INPUT_PURPOSE_DIGITS);
	g_signal_connect(a->code, "activate", G_CALLBACK(on_confirm), a);
	form_button(form_row(form), WORD_APP_CONFIRM, G_CALLBACK(on_confirm), a);
	gtk_widget_show_all(form);
	gtk_widget_set_no_show_all(form, TRUE);
	gtk_widget_hide(form);
}

/* ---- codes on paper ---- */

static void
on_made(struct app *app, int code, const char *answer, void *user)
{
	struct authenticator *a = user;
	(void)app;
	if (code < 0)
		return;
	gtk_label_set_text(GTK_LABEL(a->codes_text), answer);
	gtk_widget_show(a->codes);
}

static void
make_codes(void *user)
{
	struct authenticator *a = user;
	app_change_quiet(a->app, MSG_RECOVERY, "make", on_made, a);
}

static void
on_make(GtkWidget *widget, gpointer user)
{
	struct authenticator *a = user;
	(void)widget;
	app_sure(a->app, word(WORD_RECOVERY_SURE), make_codes, a);
}

/* Shown once: another page, another time, and they are gone. */
static void
on_leave(GtkWidget *widget, gpointer user)
{
	struct authenticator *a = user;
	(void)widget;
	gtk_label_set_text(GTK_LABEL(a->codes_text), "");
	gtk_widget_hide(a->codes);
	hide_enrolment(a);
}

static void
build_recovery(struct authenticator *a, GtkWidget *form)
{
	form_heading(form, WORD_RECOVERY_HEAD);
	a->left = form_value(form, WORD_APP_NOW);
	form_button(form_row(form), WORD_RECOVERY_MAKE, G_CALLBACK(on_make), a);
	a->codes = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
	form_text(a->codes, word(WORD_RECOVERY_SHOWN));
	a->codes_text = form_text(a->codes, "");
	gtk_style_context_add_class(gtk_widget_get_style_context(a->codes_text), "mono");
	gtk_label_set_selectable(GTK_LABEL(a->codes_text), TRUE);
	gtk_box_pack_start(GTK_BOX(form), a->codes, FALSE, FALSE, 0);
	gtk_widget_show_all(a->codes);
	gtk_widget_set_no_show_all(a->codes, TRUE);
	gtk_widget_hide(a->codes);
}

static GtkWidget *
build(struct app *app)
{
	struct authenticator *a = g_new0(struct authenticator, 1);
	GtkWidget *form = form_new(WORD_APP_HEAD, WORD_APP_TEXT);
	a->app = app;
	a->now = form_value(form, WORD_APP_NOW);
	GtkWidget *row = form_row(form);
	form_button(row, WORD_APP_BEGIN, G_CALLBACK(on_begin), a);
	a->remove = form_button(row, WORD_APP_REMOVE, G_CALLBACK(on_remove), a);
	build_enrolment(a);
	gtk_box_pack_start(GTK_BOX(form), a->enrol, FALSE, FALSE, 0);
	build_recovery(a, form);
	g_signal_connect(form, "unmap", G_CALLBACK(on_leave), a);
	g_object_set_data_full(G_OBJECT(form), "authenticator", a, g_free);
	return form;
}

static void
refresh(struct app *app, GtkWidget *page, const json_t *status)
{
	struct authenticator *a = g_object_get_data(G_OBJECT(page), "authenticator");
	int set = json_is_true(json_object_get(status, "totp"));
	char *left = word_number(
		WORD_RECOVERY_LEFT, json_integer_value(json_object_get(status, "recovery")));
	(void)app;
	gtk_label_set_text(GTK_LABEL(a->now), word(set ? WORD_APP_SET : WORD_APP_UNSET));
	gtk_widget_set_sensitive(a->remove, set);
	gtk_label_set_text(GTK_LABEL(a->left), left);
	g_free(left);
}

const struct page page_authenticator = {"authenticator", WORD_APP, build, refresh};
