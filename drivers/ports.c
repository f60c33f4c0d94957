/* SPDX-License-Identifier: MIT */
/* A tty with a `device` is a port. Above a USB one, /sys has first the interface (bInterfaceNumber), then the device
 * (idVendor, idProduct, serial). */
#include "drivers/ports.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CLIMB = 8 }; /* levels from a tty to its USB device, at most */

/* --- usb:VID:PID:SERIAL:INTERFACE ---------------------------------------------------------------------------- */

bool ports_is_usb(const char *port)
{
	return strncmp(port, "usb:", 4) == 0;
}

static bool hex4(unsigned *out, const char *s)
{
	size_t n = strspn(s, "0123456789abcdefABCDEF");

	if (n != 4 || (s[4] != ':' && s[4] != '\0'))
		return false;
	*out = (unsigned)strtoul(s, NULL, 16);
	return true;
}

static bool take_interface(struct ports_id *id, const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (!isdigit((unsigned char)*s) || *end || n > 255)
		return false;
	id->interface = (int)n;
	return true;
}

bool ports_parse(struct ports_id *id, const char *port)
{
	const char *serial, *end;

	*id = (struct ports_id){.interface = -1};
	if (!ports_is_usb(port) || !hex4(&id->vid, port + 4) || port[8] != ':' || !hex4(&id->pid, port + 9))
		return false;
	if (port[13] == '\0')
		return true;
	serial = port + 14;
	end = strchr(serial, ':');
	if (!end)
		end = serial + strlen(serial);
	if ((size_t)(end - serial) >= sizeof(id->serial) || (end == serial && *end == '\0'))
		return false;
	memcpy(id->serial, serial, (size_t)(end - serial));
	return *end == '\0' || take_interface(id, end + 1);
}

static bool fits(const struct port_info *p, const struct ports_id *id)
{
	return p->usb && p->id.vid == id->vid && p->id.pid == id->pid &&
	       (!id->serial[0] || strcmp(p->id.serial, id->serial) == 0) &&
	       (id->interface < 0 || p->id.interface == id->interface);
}

/* --- reading /sys -------------------------------------------------------------------------------------------- */

/* The first line of dir/name, cut to fit; what a terminal or YAML would trip over becomes `?`. False: not there. */
static bool read_text(char *out, size_t cap, const char *dir, const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	out[0] = '\0';
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(out, (int)cap, f))
		out[0] = '\0';
	fclose(f);
	out[strcspn(out, "\n")] = '\0';
	for (char *s = out; *s; s++) {
		if (!isprint((unsigned char)*s))
			*s = '?';
	}
	return true;
}

static bool read_number(unsigned *out, const char *dir, const char *name, int base)
{
	char text[32], *end;

	if (!read_text(text, sizeof(text), dir, name))
		return false;
	*out = (unsigned)strtoul(text, &end, base);
	return end != text;
}

static bool parent(char *dir)
{
	char *slash = strrchr(dir, '/');

	if (!slash || slash == dir)
		return false;
	*slash = '\0';
	return true;
}

static void read_usb(struct port_info *p, char *dir)
{
	unsigned interface = 0;

	p->id.interface = 0;
	for (int i = 0; i < CLIMB && parent(dir); i++) {
		if (read_number(&interface, dir, "bInterfaceNumber", 16))
			p->id.interface = (int)interface;
		if (!read_number(&p->id.vid, dir, "idVendor", 16))
			continue;
		p->usb = read_number(&p->id.pid, dir, "idProduct", 16);
		read_text(p->id.serial, sizeof(p->id.serial), dir, "serial");
		read_text(p->maker, sizeof(p->maker), dir, "manufacturer");
		read_text(p->product, sizeof(p->product), dir, "product");
		return;
	}
}

static void read_driver(struct port_info *p, const char *device)
{
	char link[PATH_MAX], target[PATH_MAX];
	ssize_t n;
	const char *name;

	if (snprintf(link, sizeof(link), "%s/driver", device) >= (int)sizeof(link))
		return;
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	name = strrchr(target, '/');
	snprintf(p->driver, sizeof(p->driver), "%.63s", name ? name + 1 : target);
}

/* A board lists UARTs that it does not have: their type is 0. */
static bool read_port(struct port_info *p, const char *sys, const char *dev, const char *name)
{
	char tty[PATH_MAX], link[PATH_MAX + 8], device[PATH_MAX];
	unsigned type;

	*p = (struct port_info){.usb = false};
	if (snprintf(tty, sizeof(tty), "%s/class/tty/%s", sys, name) >= (int)sizeof(tty) ||
		snprintf(p->path, sizeof(p->path), "%s/%s", dev, name) >= (int)sizeof(p->path))
		return false;
	snprintf(link, sizeof(link), "%s/device", tty);
	if (!realpath(link, device) || (read_number(&type, tty, "type", 10) && type == 0))
		return false;
	read_driver(p, device);
	if (realpath(tty, device)) /* from the tty up, the interface comes before the device */
		read_usb(p, device);
	return true;
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int ports_list(struct port_info **out, const char *sys, const char *dev)
{
	struct port_info *list = calloc(PORTS_MAX, sizeof(*list));
	struct dirent **names = NULL;
	char dir[PATH_MAX];
	int n, count = 0;

	if (!list)
		return -ENOMEM;
	snprintf(dir, sizeof(dir), "%s/class/tty", sys);
	n = scandir(dir, &names, visible, versionsort);
	if (n < 0) {
		free(list);
		return -errno;
	}
	for (int i = 0; i < n; i++) {
		if (count < PORTS_MAX)
			count += read_port(&list[count], sys, dev, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	*out = list;
	return count;
}

/* --- finding one --------------------------------------------------------------------------------------------- */

int ports_find(char path[PORTS_PATH_CAP], const struct ports_id *id, const char *sys, const char *dev)
{
	struct port_info *list;
	int n = ports_list(&list, sys, dev);
	int found = 0;

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		if (!fits(&list[i], id))
			continue;
		if (found++ == 0)
			memcpy(path, list[i].path, PORTS_PATH_CAP);
	}
	free(list);
	return found == 0 ? -ENOENT : found == 1 ? 0 : -ENOTUNIQ;
}

static size_t count_fits(const struct port_info *list, size_t count, const struct ports_id *id)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += fits(&list[i], id);
	return n;
}

const char *ports_name(char *out, size_t cap, const struct port_info *list, size_t count, size_t which)
{
	const struct port_info *p = &list[which];
	struct ports_id id = {.vid = p->id.vid, .pid = p->id.pid, .interface = -1};

	if (!p->usb) {
		snprintf(out, cap, "%s", p->path);
		return out;
	}
	snprintf(out, cap, "usb:%04x:%04x", id.vid, id.pid);
	if (count_fits(list, count, &id) == 1)
		return out;
	if (!strchr(p->id.serial, ':'))
		memcpy(id.serial, p->id.serial, sizeof(id.serial));
	if (id.serial[0])
		snprintf(out, cap, "usb:%04x:%04x:%s", id.vid, id.pid, id.serial);
	if (id.serial[0] && count_fits(list, count, &id) == 1)
		return out;
	id.interface = p->id.interface;
	snprintf(out, cap, "usb:%04x:%04x:%s:%d", id.vid, id.pid, id.serial, id.interface);
	if (count_fits(list, count, &id) > 1)
		snprintf(out, cap, "%s", p->path);
	return out;
}
