/* SPDX-License-Identifier: MIT */
#include "gateway/service.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAY_PASS = 1, MAY_READ = 4 };

bool service_find(struct service *out)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *p;
	bool found = false;

	while (f && !found && (p = fgetpwent(f))) {
		found = strcmp(p->pw_name, SERVICE_USER) == 0;
		if (found)
			*out = (struct service){p->pw_uid, p->pw_gid};
	}
	if (f)
		fclose(f);
	return found;
}

static bool open_to(const struct service *s, const char *path, mode_t right)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return true;
	if (st.st_uid == s->uid)
		right <<= 6;
	else if (st.st_gid == s->gid)
		right <<= 3;
	return st.st_mode & right;
}

bool service_barred(const struct service *s, const char *path, char *out, size_t cap)
{
	for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
		if ((size_t)snprintf(out, cap, "%.*s", (int)(end - path), path) >= cap)
			return false;
		if (!open_to(s, out, MAY_PASS))
			return true;
	}
	return (size_t)snprintf(out, cap, "%s", path) < cap && !open_to(s, path, MAY_READ);
}
