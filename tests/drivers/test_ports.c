/* SPDX-License-Identifier: MIT */
#include "drivers/ports.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- a /sys of our own --------------------------------------------------------------------------------------- */

static char sys[64];

static void make_dirs(const char *path)
{
	char text[512];

	snprintf(text, sizeof(text), "%s/%s", sys, path);
	for (char *slash = text + strlen(sys); (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		assert_true(mkdir(text, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	assert_true(mkdir(text, 0755) == 0 || errno == EEXIST);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	make_dirs(dir);
	snprintf(path, sizeof(path), "%s/%s/%s", sys, dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%s\n", text);
	assert_int_equal(fclose(f), 0);
}

static void link_to(const char *path, const char *target)
{
	char from[512], to[512];

	snprintf(from, sizeof(from), "%s/%s", sys, path);
	snprintf(to, sizeof(to), "%s/%s", sys, target);
	assert_int_equal(symlink(to, from), 0);
}

static void add_tty(const char *name, const char *device, const char *tty_dir, const char *driver)
{
	char path[512];

	make_dirs("class/tty");
	make_dirs("bus/drivers");
	make_dirs(tty_dir);
	snprintf(path, sizeof(path), "class/tty/%s", name);
	link_to(path, tty_dir);
	snprintf(path, sizeof(path), "%s/device", tty_dir);
	link_to(path, device);
	snprintf(path, sizeof(path), "bus/drivers/%s", driver);
	make_dirs(path);
	snprintf(path, sizeof(path), "%s/driver", device);
	if (access(path, F_OK) != 0) {
		char link[512];

		snprintf(link, sizeof(link), "bus/drivers/%s", driver);
		link_to(path, link);
	}
}

static void add_adapter(const char *where, const char *vid, const char *pid, const char *serial, const char *product)
{
	put(where, "idVendor", vid);
	put(where, "idProduct", pid);
	put(where, "product", product);
	put(where, "manufacturer", "acme");
	if (serial)
		put(where, "serial", serial);
}

static int set(void **state)
{
	(void)state;
	snprintf(sys, sizeof(sys), "/tmp/weir-sys-XXXXXX");
	assert_non_null(mkdtemp(sys));
	/* A UART on the board, one that is not there, and a console without a device. */
	add_tty("ttyS0", "devices/pnp0/00:01", "devices/pnp0/00:01/tty/ttyS0", "serial");
	put("devices/pnp0/00:01/tty/ttyS0", "type", "4");
	add_tty("ttyS1", "devices/platform/serial8250", "devices/platform/serial8250/tty/ttyS1", "serial8250");
	put("devices/platform/serial8250/tty/ttyS1", "type", "0");
	make_dirs("devices/virtual/tty/tty0");
	link_to("class/tty/tty0", "devices/virtual/tty/tty0");
	/* An adapter with a serial number, as usb-serial drivers hang in the tree. */
	add_adapter("devices/usb1/1-1", "0403", "6001", "A50285BI", "FT232R");
	put("devices/usb1/1-1/1-1:1.0", "bInterfaceNumber", "00");
	add_tty("ttyUSB0", "devices/usb1/1-1/1-1:1.0/ttyUSB0", "devices/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0",
		"ftdi_sio");
	/* One with two ports. */
	add_adapter("devices/usb1/1-2", "0403", "6010", "FT5", "Dual");
	put("devices/usb1/1-2/1-2:1.0", "bInterfaceNumber", "00");
	put("devices/usb1/1-2/1-2:1.1", "bInterfaceNumber", "01");
	add_tty("ttyUSB1", "devices/usb1/1-2/1-2:1.0/ttyUSB1", "devices/usb1/1-2/1-2:1.0/ttyUSB1/tty/ttyUSB1",
		"ftdi_sio");
	add_tty("ttyUSB2", "devices/usb1/1-2/1-2:1.1/ttyUSB2", "devices/usb1/1-2/1-2:1.1/ttyUSB2/tty/ttyUSB2",
		"ftdi_sio");
	/* Two cheap ones without a serial number, which only their places tell apart. */
	add_adapter("devices/usb1/1-3", "1a86", "7523", NULL, "USB\x1b[2J");
	put("devices/usb1/1-3/1-3:1.0", "bInterfaceNumber", "00");
	add_tty("ttyUSB3", "devices/usb1/1-3/1-3:1.0/ttyUSB3", "devices/usb1/1-3/1-3:1.0/ttyUSB3/tty/ttyUSB3", "ch341");
	add_adapter("devices/usb1/1-4", "1a86", "7523", NULL, "USB");
	put("devices/usb1/1-4/1-4:1.0", "bInterfaceNumber", "00");
	add_tty("ttyUSB10", "devices/usb1/1-4/1-4:1.0/ttyUSB10", "devices/usb1/1-4/1-4:1.0/ttyUSB10/tty/ttyUSB10",
		"ch341");
	/* A modem of class CDC, which hangs on its interface. */
	add_adapter("devices/usb1/1-5", "2341", "0043", "55:12", "Uno");
	put("devices/usb1/1-5/1-5:1.0", "bInterfaceNumber", "00");
	add_tty("ttyACM0", "devices/usb1/1-5/1-5:1.0", "devices/usb1/1-5/1-5:1.0/tty/ttyACM0", "cdc_acm");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int clear(void **state)
{
	(void)state;
	return nftw(sys, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- tests --------------------------------------------------------------------------------------------------- */

static void ports_have_their_identity(void **state)
{
	static const struct {
		const char *path, *driver, *product, *name;
	} want[] = {
		{"/dev/ttyACM0", "cdc_acm", "Uno", "usb:2341:0043"},
		{"/dev/ttyS0", "serial", "", "/dev/ttyS0"},
		{"/dev/ttyUSB0", "ftdi_sio", "FT232R", "usb:0403:6001"},
		{"/dev/ttyUSB1", "ftdi_sio", "Dual", "usb:0403:6010:FT5:0"},
		{"/dev/ttyUSB2", "ftdi_sio", "Dual", "usb:0403:6010:FT5:1"},
		{"/dev/ttyUSB3", "ch341", "USB?[2J", "/dev/ttyUSB3"},
		{"/dev/ttyUSB10", "ch341", "USB", "/dev/ttyUSB10"},
	};
	struct port_info *list;
	char name[128];

	(void)state;
	assert_int_equal(ports_list(&list, sys, "/dev"), COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_string_equal(list[i].path, want[i].path);
		assert_string_equal(list[i].driver, want[i].driver);
		assert_string_equal(list[i].product, want[i].product);
		assert_string_equal(ports_name(name, sizeof(name), list, COUNT(want), i), want[i].name);
	}
	free(list);
}

static void port_is_found_by_its_identity(void **state)
{
	static const struct {
		const char *port;
		int result;
		const char *path;
	} cases[] = {
		{"usb:0403:6001", 0, "/dev/ttyUSB0"},
		{"usb:0403:6001:A50285BI", 0, "/dev/ttyUSB0"},
		{"usb:0403:6001:A50285BI:0", 0, "/dev/ttyUSB0"},
		{"usb:0403:6001::0", 0, "/dev/ttyUSB0"},
		{"usb:0403:6001:A50285BI:1", -ENOENT, NULL},
		{"usb:0403:6001:another", -ENOENT, NULL},
		{"usb:0403:6010", -ENOTUNIQ, NULL},
		{"usb:0403:6010:FT5", -ENOTUNIQ, NULL},
		{"usb:0403:6010:FT5:1", 0, "/dev/ttyUSB2"},
		{"usb:1A86:7523", -ENOTUNIQ, NULL},
		{"usb:2341:0043", 0, "/dev/ttyACM0"},
		{"usb:dead:beef", -ENOENT, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char path[PORTS_PATH_CAP];
		struct ports_id id;

		assert_true(ports_parse(&id, cases[i].port));
		assert_int_equal(ports_find(path, &id, sys, "/dev"), cases[i].result);
		if (cases[i].path)
			assert_string_equal(path, cases[i].path);
	}
}

static void identity_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {"", "usb", "usb:", "usb:0403", "usb:0403:", "usb:403:6001", "usb:0403:601",
		"usb:0403:60011", "usb:0403:6001:", "usb:0403:6001:A:", "usb:0403:6001:A:x", "usb:0403:6001:A:256",
		"usb:0403:6001:A:-1", "usb:0403:6001:A:1:2", "usb:04g3:6001", "USB:0403:6001", "/dev/ttyUSB0",
		"usb:0403:6001:a_serial_number_that_is_longer_than_any_adapter_would_ever_have_one"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ports_id id;

		if (ports_parse(&id, bad[i]))
			fail_msg("%s", bad[i]);
	}
}

static void machine_without_sys_says_so(void **state)
{
	struct port_info *list;

	(void)state;
	assert_int_equal(ports_list(&list, "/nonexistent", "/dev"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_have_their_identity),
		cmocka_unit_test(port_is_found_by_its_identity),
		cmocka_unit_test(identity_that_is_none_is_refused),
		cmocka_unit_test(machine_without_sys_says_so),
	};

	return cmocka_run_group_tests(tests, set, clear);
}
