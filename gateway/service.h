/* SPDX-License-Identifier: MIT */
/* service.h - the user that the service runs as, and what of the file system is closed to it.
 *
 * Who writes a password or a key writes it as root, for nobody else to read; the service is not root. So `weir user add`
 * gives a new file to the service's group, and `weir check` says which file of the configuration it may not read.
 *
 * The user is looked for in /etc/passwd alone, where systemd/weir.sysusers puts it: asking the name service would load
 * libraries into a process that stays.
 */
#ifndef GATEWAY_SERVICE_H
#define GATEWAY_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SERVICE_USER "weir"

struct service {
	uid_t uid;
	gid_t gid;
};

bool service_find(struct service *out); /* false: this machine has no such user */

/* Whether path, or a folder on the way to it, is closed to it by its permissions; out has which. What cannot be looked at
 * counts as open. path is absolute. */
bool service_barred(const struct service *s, const char *path, char *out, size_t cap);

#endif
