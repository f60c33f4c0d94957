/* SPDX-License-Identifier: MIT */
#include "gateway/filecheck.h"

#include "gateway/service.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct named {
	const char *key, *path; /* path NULL: not given */
	bool secret;
};

static bool is_credential(const char *path)
{
	static const char folder[] = "/run/credentials/";

	return strncmp(path, folder, sizeof(folder) - 1) == 0;
}

/* Files of /etc are the service's. Who checks any others may run the gateway as somebody else. */
static void look_as_service(const void *item, const struct named *f, struct key_report *report)
{
	struct service service;
	char at[PATH_MAX];

	if (strncmp(f->path, "/etc/", 5) == 0 && service_find(&service) &&
		service_barred(&service, f->path, at, sizeof(at)))
		key_advice(report, item, f->key,
			"the service runs as " SERVICE_USER ", to whom %s is closed; chgrp " SERVICE_USER
			" %s and chmod g+rX %s",
			at, at, at);
}

static void look(const void *item, const struct named *f, struct key_report *report)
{
	struct stat st;

	if (stat(f->path, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			key_advice(report, item, f->key,
				"there is no file %s on this machine; put it there before the start", f->path);
		else
			look_as_service(item, f, report);
		return;
	}
	if (!S_ISREG(st.st_mode))
		key_advice(report, item, f->key, "%s is not a file; name one", f->path);
	else if (st.st_size == 0)
		key_advice(report, item, f->key, "%s is empty; write what belongs into it", f->path);
	else if (f->secret && st.st_mode & (S_IROTH | S_IWOTH))
		key_advice(report, item, f->key,
			"%s is a secret that everybody on this machine can read; chmod o-rw it", f->path);
	else
		look_as_service(item, f, report);
}

static void look_at_all(const void *item, const struct named *files, size_t count, struct key_report *report)
{
	for (size_t i = 0; i < count; i++)
		if (files[i].path && !is_credential(files[i].path))
			look(item, &files[i], report);
}

static void check_listener(const struct broker_listener *l, struct key_report *report)
{
	const struct named own = {"users", l->users, true};
	const struct named files[] = {
		{"cert", l->tls.cert, false},
		{"key", l->tls.key, true},
		{"ca", l->tls.ca, false},
		{"crl", l->tls.crl, false},
	};

	look_at_all(l, &own, 1, report);
	look_at_all(&l->tls, files, KEY_COUNT(files), report);
}

static void check_upstream(const struct bridge_opts *u, struct key_report *report)
{
	const struct named key = {"key", u->token.key, true};
	const struct named secrets[] = {
		{"password_file", u->password_file, true},
		{"proxy_password_file", u->proxy_password_file, true},
	};
	const struct named files[] = {
		{"ca", u->tls.ca, false},
		{"cert", u->tls.cert, false},
		{"key", u->tls.key, true},
	};

	look_at_all(u, secrets, KEY_COUNT(secrets), report);
	look_at_all(&u->tls, files, KEY_COUNT(files), report);
	look_at_all(&u->token, &key, 1, report);
}

void filecheck(const struct gateway_opts *o, struct key_report *report)
{
	const struct named users = {"users", o->broker.users, true};
	const struct broker_listener *l = o->broker.listeners.items;
	const struct bridge_opts *u = o->upstreams.items;

	look_at_all(&o->broker, &users, 1, report);
	for (size_t i = 0; i < o->broker.listeners.count; i++)
		check_listener(&l[i], report);
	for (size_t i = 0; i < o->upstreams.count; i++)
		check_upstream(&u[i], report);
}
