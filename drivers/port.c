/* SPDX-License-Identifier: MIT */
/* Serial ports through libserialport, which sets lines up well and does four things badly, so that they are done
 * here: it refuses symbolic links and ptys, takes no lock, leaves HUPCL on (closing drops DTR, which resets some
 * sensors), and reports success for rates that the adapter does not do. The descriptor is then moved into the slot
 * and the library let go: reading and waiting are ours. */
#include "drivers/port.h"

#include "base/log.h"
#include "drivers/direction.h"
#include "drivers/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/serial.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <libserialport.h>

enum { LOW_FDS = 1024, PTY_FIRST_MAJOR = 136, PTY_LAST_MAJOR = 143 };

/* --- slots --- */

static int take_slot(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fd >= LOW_FDS) {
		close(fd);
		return -EMFILE;
	}
	return fd;
}

static bool is_connection(const struct line_opts *l)
{
	return l->driver == DRIVER_MODBUS_TCP || l->driver == DRIVER_RTU_OVER_TCP;
}

int port_init(struct port *p, const struct line_opts *l)
{
	*p = (struct port){-1, -1};
	if (is_connection(l) || l->driver == DRIVER_SIM)
		return 0;
	p->slot = take_slot();
	return p->slot < 0 ? p->slot : 0;
}

void port_fini(struct port *p)
{
	if (p->slot >= 0)
		close(p->slot);
	p->slot = -1;
}

/* The slot is open again, on nothing. */
static void empty_slot(int slot)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Without a descriptor to spare the slot stays open on the dead port; the next port_open() replaces it. */
	if (fd < 0)
		return;
	dup3(fd, slot, O_CLOEXEC);
	close(fd);
}

int port_open(struct port *p, const struct line_opts *l, struct waiter *w)
{
	int r = is_connection(l) ? port_open_tcp(l, w) : port_open_serial(p->slot, l, PORT_BY_KIND);

	if (r < 0)
		return r;
	p->fd = is_connection(l) ? r : p->slot;
	return 0;
}

void port_close(struct port *p, struct waiter *w)
{
	if (p->fd < 0)
		return;
	w->leave(w, p->fd);
	if (p->fd == p->slot)
		empty_slot(p->slot);
	else
		close(p->fd);
	p->fd = -1;
}

/* --- what both ways share --- */

/* Against other programs that lock, another weir first of all. */
static int lock(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK ? -EBUSY : -errno;
}

/* Against all others. Ends with the last close of the port, which for a pty may never come: whoever holds its other
 * end often holds this one too, and a weir that was killed could not open it again. */
static int lock_out(int fd)
{
	return ioctl(fd, TIOCEXCL) < 0 ? -errno : 0;
}

/* What libserialport leaves undone on an open port. */
static int finish_termios(int fd, const struct line_opts *l)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return -errno;
	t.c_cflag &= ~(tcflag_t)(HUPCL | CRTSCTS);
	t.c_cflag |= CLOCAL | CREAD;
	if (l->flow == FLOW_RTSCTS)
		t.c_cflag |= CRTSCTS;
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return -errno;
	tcflush(fd, TCIOFLUSH);
	return 0;
}

/* Advice to the driver of the adapter: refused by many, missed by none that refuses it. */
static void ask_low_latency(int fd)
{
	struct serial_struct s;

	if (ioctl(fd, TIOCGSERIAL, &s) < 0 || (s.flags & (int)ASYNC_LOW_LATENCY))
		return;
	s.flags |= (int)ASYNC_LOW_LATENCY;
	if (ioctl(fd, TIOCSSERIAL, &s) < 0)
		log_debug("port: low latency refused: %s", strerror(errno));
}

/* --- by libserialport --- */

static int library_error(enum sp_return r)
{
	switch (r) {
	case SP_OK: return 0;
	case SP_ERR_ARG: return -EINVAL;
	case SP_ERR_MEM: return -ENOMEM;
	case SP_ERR_SUPP: return -ERANGE;
	default: return sp_last_error_code() > 0 ? -sp_last_error_code() : -EIO;
	}
}

static enum sp_parity library_parity(int parity)
{
	switch (parity) {
	case PARITY_EVEN: return SP_PARITY_EVEN;
	case PARITY_ODD: return SP_PARITY_ODD;
	case PARITY_MARK: return SP_PARITY_MARK;
	case PARITY_SPACE: return SP_PARITY_SPACE;
	default: return SP_PARITY_NONE;
	}
}

static enum sp_return fill_config(struct sp_port_config *c, const struct line_opts *l)
{
	enum sp_return r = sp_set_config_baudrate(c, (int)l->baud);

	if (r == SP_OK)
		r = sp_set_config_bits(c, (int)l->bits);
	if (r == SP_OK)
		r = sp_set_config_parity(c, library_parity(l->parity));
	if (r == SP_OK)
		r = sp_set_config_stopbits(c, (int)l->stop);
	if (r == SP_OK)
		r = sp_set_config_flowcontrol(
			c, l->flow == FLOW_XONXOFF ? SP_FLOWCONTROL_XONXOFF : SP_FLOWCONTROL_NONE);
	return r;
}

/* All settings in one call: on some ports a setting alone that changes nothing is an error. */
static int configure(struct sp_port *port, const struct line_opts *l)
{
	struct sp_port_config *c, *now;
	enum sp_return r = sp_new_config(&c);
	int baud = 0;

	if (r != SP_OK)
		return library_error(r);
	r = fill_config(c, l);
	if (r == SP_OK)
		r = sp_set_config(port, c);
	sp_free_config(c);
	if (r != SP_OK)
		return library_error(r);
	r = sp_new_config(&now);
	if (r != SP_OK)
		return library_error(r);
	r = sp_get_config(port, now);
	if (r == SP_OK)
		r = sp_get_config_baudrate(now, &baud);
	sp_free_config(now);
	if (r != SP_OK)
		return library_error(r);
	/* Adapters round to what their divisor can do; 2 % is what a receiver still understands. */
	return llabs(baud - l->baud) * 50 > l->baud ? -ERANGE : 0;
}

static int setup_by_library(struct sp_port *port, int slot, const struct line_opts *l)
{
	int fd = -1;
	int r = library_error(sp_get_port_handle(port, &fd));

	if (r == 0)
		r = lock(fd);
	if (r == 0)
		r = lock_out(fd);
	if (r == 0)
		r = configure(port, l);
	if (r == 0)
		r = finish_termios(fd, l);
	if (r == 0 && l->low_latency)
		ask_low_latency(fd);
	if (r == 0)
		r = direction_set(fd, l);
	if (r == 0 && dup3(fd, slot, O_CLOEXEC) < 0)
		r = -errno;
	return r;
}

static int open_by_library(const char *path, int slot, const struct line_opts *l)
{
	struct sp_port *port;
	int r = library_error(sp_get_port_by_name(path, &port));

	if (r < 0)
		return r;
	r = library_error(sp_open(port, SP_MODE_READ_WRITE));
	if (r == 0) {
		r = setup_by_library(port, slot, l);
		sp_close(port);
	}
	sp_free_port(port);
	return r;
}

/* --- by hand: a pty has no line to set up --- */

static int setup_by_hand(int fd, int slot, const struct line_opts *l)
{
	struct termios t;
	int r = lock(fd);

	if (r < 0)
		return r;
	if (tcgetattr(fd, &t) < 0)
		return -errno;
	cfmakeraw(&t);
	t.c_cflag &= ~(tcflag_t)HUPCL;
	t.c_cflag |= CLOCAL | CREAD;
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return -errno;
	tcflush(fd, TCIOFLUSH);
	r = direction_set(fd, l);
	if (r < 0)
		return r;
	return dup3(fd, slot, O_CLOEXEC) < 0 ? -errno : 0;
}

static int open_by_hand(const char *path, int slot, const struct line_opts *l)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = setup_by_hand(fd, slot, l);
	close(fd);
	return r;
}

static int is_pty(const char *path, bool *pty)
{
	struct stat st;
	unsigned major_number;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode))
		return -ENOTTY;
	major_number = major(st.st_rdev);
	*pty = major_number >= PTY_FIRST_MAJOR && major_number <= PTY_LAST_MAJOR;
	return 0;
}

/* The device that the configuration means, at this moment: an adapter that was plugged in again may have another
 * name. libserialport takes no symbolic links. */
static int resolve(char path[PATH_MAX], const char *port)
{
	char found[PORTS_PATH_CAP];
	struct ports_id id;
	int r = 0;

	if (ports_is_usb(port)) {
		r = ports_parse(&id, port) ? ports_find(found, &id, "/sys", "/dev") : -EINVAL;
		port = found;
	}
	if (r == 0 && !realpath(port, path))
		r = -errno;
	return r;
}

int port_open_serial(int slot, const struct line_opts *l, enum port_way way)
{
	char path[PATH_MAX];
	bool pty = false;
	int r = resolve(path, l->port);

	if (r == 0)
		r = is_pty(path, &pty);
	if (r < 0)
		return r;
	if (way == PORT_BY_HAND || (way == PORT_BY_KIND && pty))
		return open_by_hand(path, slot, l);
	return open_by_library(path, slot, l);
}

const char *port_reason(int error)
{
	static const struct {
		int error;
		const char *text;
	} reasons[] = {
		{ENOENT, "no such port; `weir ports` lists those that are there"},
		{ENOTUNIQ, "several adapters fit; name the serial number or the interface, too (`weir ports`)"},
		{EBUSY, "another program has it open"},
		{EACCES, "this user may not open it; serial ports belong to the group dialout"},
		{ENOTTY, "it is not a serial port"},
		{EOPNOTSUPP,
			"its driver cannot switch RS-485 by itself, or it has no RTS; try `direction: rts`, or leave "
			"direction out for an adapter that switches by itself"},
		{ERANGE, "the adapter cannot do these settings (baud, bits, parity, stop)"},
	};

	for (size_t i = 0; i < KEY_COUNT(reasons); i++)
		if (reasons[i].error == error)
			return reasons[i].text;
	return strerror(error);
}
