/* SPDX-License-Identifier: MIT */
/* ports.h - the serial ports that the machine has, and which of them `usb:0403:6001:A50285BI` is.
 *
 * Pure but for reading the file systems that are handed in: sys is "/sys", dev is "/dev", or what a test made of them.
 * Names such as ttyUSB0 depend on who was plugged in first; the identity of a USB adapter does not.
 */
#ifndef DRIVERS_PORTS_H
#define DRIVERS_PORTS_H

#include <stdbool.h>
#include <stddef.h>

enum { PORTS_MAX = 256, PORTS_PATH_CAP = 256 };

/* usb:VID:PID[:SERIAL[:INTERFACE]]; interface -1 and an empty serial fit any. */
struct ports_id {
	unsigned vid, pid;
	char serial[64];
	int interface;
};

struct port_info {
	char path[PORTS_PATH_CAP]; /* "/dev/ttyUSB0" */
	char driver[64];           /* of the kernel: "ftdi_sio" */
	bool usb;                  /* id and what follows are known */
	struct ports_id id;
	char maker[64], product[64];
};

bool ports_is_usb(const char *port); /* begins with "usb:" */
bool ports_parse(struct ports_id *id, const char *port);

/* In order of their names, at most PORTS_MAX; *out is to be freed. Their number, or -errno. */
int ports_list(struct port_info **out, const char *sys, const char *dev);

/* The path of the port that fits. 0; -ENOENT: none does; -ENOTUNIQ: several do. */
int ports_find(char path[PORTS_PATH_CAP], const struct ports_id *id, const char *sys, const char *dev);

/* The shortest identity that only list[which] has, as it stands in a configuration: "usb:0403:6001", with the serial
 * number or the interface where they are needed; its path when it has none. Returns out. */
const char *ports_name(char *out, size_t cap, const struct port_info *list, size_t count, size_t which);

#endif
