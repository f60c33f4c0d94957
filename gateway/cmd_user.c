/* SPDX-License-Identifier: MIT */
/* `weir user add|remove|list FILE [NAME]`: the users of the broker. A file is replaced as a whole, so that whoever reads
 * it meanwhile finds the old one or the new one; readable by its owner alone, and by the service. */
#include "broker/users.h"
#include "gateway/commands.h"
#include "gateway/password.h"
#include "gateway/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int wrong_use(void)
{
	fprintf(stderr,
		"weir user: use it as: weir user add [--mosquitto] FILE NAME < PASSWORD (or type it), weir user remove "
		"FILE NAME, weir user list FILE\n");
	return 2;
}

static int failed(const char *path, int r)
{
	fprintf(stderr, "weir user: %s: %s\n", path, strerror(-r));
	return 1;
}

/* --- the file ----------------------------------------------------------------------------------------------- */

struct change {
	const char *name;
	const char *line; /* instead of the one of that name; NULL: without */
	bool found;
};

/* The old lines, in their order, with the change. Lines that are not understood stay as they are. */
static int copy_lines(FILE *in, FILE *out, struct change *c)
{
	char *text = NULL, name[USERS_NAME_MAX + 1];
	size_t cap = 0;
	struct user user;

	while (in && getline(&text, &cap, in) > 0) {
		size_t len = strcspn(text, "\n");

		if (users_line(text, len, name, &user) == 0 && strcmp(name, c->name) == 0) {
			if (c->line && !c->found)
				fputs(c->line, out);
			c->found = true;
		} else {
			fprintf(out, "%.*s\n", (int)len, text);
		}
	}
	if (c->line && !c->found)
		fputs(c->line, out);
	free(text);
	return (in && !feof(in)) || ferror(out) ? -EIO : 0; /* also where memory for a line was missing */
}

/* Whose the old file was, its successor is: the service reads it, an administrator writes it. A new one of root's is given
 * to the service to read, since it would be let in nowhere otherwise. */
static int take_owner(FILE *in, int fd)
{
	struct service service;
	struct stat st = {.st_uid = (uid_t)-1, .st_gid = (gid_t)-1};

	if (in && fstat(fileno(in), &st) < 0)
		return -errno;
	if (!in && geteuid() == 0 && service_find(&service)) {
		st.st_gid = service.gid;
		st.st_mode = S_IRGRP;
	}
	if (fchown(fd, st.st_uid, st.st_gid) < 0)
		return -errno;
	return fchmod(fd, S_IRUSR | S_IWUSR | (st.st_mode & S_IRGRP)) < 0 ? -errno : 0;
}

static int finish(FILE *out, int r)
{
	if (fflush(out) != 0 || fsync(fileno(out)) < 0)
		r = r < 0 ? r : -errno;
	if (fclose(out) != 0)
		r = r < 0 ? r : -errno;
	return r;
}

static int rewrite(const char *path, struct change *c)
{
	FILE *in = fopen(path, "re"), *out;
	char *fresh = NULL;
	int fd, r;

	if (!in && errno != ENOENT)
		return -errno;
	if (asprintf(&fresh, "%s.XXXXXX", path) < 0) {
		if (in)
			fclose(in);
		return -ENOMEM;
	}
	fd = mkostemp(fresh, O_CLOEXEC);
	out = fd >= 0 ? fdopen(fd, "w") : NULL;
	r = out ? take_owner(in, fd) : -errno;
	if (r == 0)
		r = copy_lines(in, out, c);
	if (out)
		r = finish(out, r);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		unlink(fresh);
	if (in)
		fclose(in);
	free(fresh);
	return r;
}

/* --- the verbs ---------------------------------------------------------------------------------------------- */

static int add(const char *path, const char *name, enum users_kind kind)
{
	char password[PASSWORD_MAX], line[USERS_LINE_MAX];
	struct change c = {.name = name, .line = line};
	int r;

	if (!users_name_ok(name)) {
		fprintf(stderr,
			"weir user: `%s` cannot be a user name: 1 to %d bytes of UTF-8 without `:`, `*` and "
			"control characters, and not `anonymous`\n",
			name, USERS_NAME_MAX);
		return 2;
	}
	r = password_ask(password);
	if (r != 0)
		return r;
	r = users_make_line(line, kind, name, password, strlen(password));
	crypto_wipe(password, sizeof(password));
	if (r == 0)
		r = rewrite(path, &c);
	if (r < 0)
		return failed(path, r);
	printf("%s: %s %s; a running gateway takes it over with SIGHUP\n", path, name,
		c.found ? "has a new password" : "was added");
	return 0;
}

static int drop(const char *path, const char *name)
{
	struct change c = {.name = name};
	int r = access(path, F_OK) == 0 ? rewrite(path, &c) : -errno;

	if (r < 0)
		return failed(path, r);
	if (!c.found) {
		fprintf(stderr, "weir user: %s: there is no %s\n", path, name);
		return 1;
	}
	printf("%s: %s was removed; a running gateway takes it over with SIGHUP\n", path, name);
	return 0;
}

static int list(const char *path)
{
	struct users *u;
	size_t line;
	int r = users_read(&u, path, &line);

	if (r == USERS_BAD)
		fprintf(stderr, "weir user: %s:%zu: not a line of `weir user add` or of mosquitto_passwd\n", path,
			line);
	if (r != 0)
		return r < 0 ? failed(path, r) : 1;
	for (size_t i = 0; i < users_count(u); i++)
		printf("%s\n", users_at(u, i)->name);
	users_unref(u);
	return 0;
}

int cmd_user(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "add") == 0)
		return add(argv[2], argv[3], USERS_SCRYPT);
	if (argc == 5 && strcmp(argv[1], "add") == 0 && strcmp(argv[2], "--mosquitto") == 0)
		return add(argv[3], argv[4], USERS_PBKDF2);
	if (argc == 4 && strcmp(argv[1], "remove") == 0)
		return drop(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "list") == 0)
		return list(argv[2]);
	return wrong_use();
}
