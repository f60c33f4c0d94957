/* SPDX-License-Identifier: MIT */
/* A Modbus device made of libmodbus alone, to be asked by a gateway that has its own ideas of Modbus:
 *
 *   modbusd tcp PORT          on 127.0.0.1
 *   modbusd rtu PATH UNIT     19200 baud, 8E1
 *
 * Holding and input register N hold 256 + N at first, coil and discrete input N are on where N is odd. Ends with
 * whoever started it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <modbus/modbus.h>

enum { CELLS = 1000 };

static void fill(modbus_mapping_t *m)
{
	for (int i = 0; i < CELLS; i++) {
		m->tab_registers[i] = m->tab_input_registers[i] = (uint16_t)(256 + i);
		m->tab_bits[i] = m->tab_input_bits[i] = (uint8_t)(i % 2);
	}
}

static void serve(modbus_t *c, modbus_mapping_t *m)
{
	uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];

	for (;;) {
		int n = modbus_receive(c, query);

		if (n > 0 && modbus_reply(c, query, n, m) < 0 && errno == ECONNRESET)
			return;
		if (n < 0 && (errno == ECONNRESET || errno == EBADF || errno == ENODEV || errno == EIO))
			return;
	}
}

static int serve_tcp(modbus_mapping_t *m, int port)
{
	modbus_t *c = modbus_new_tcp("127.0.0.1", port);
	int listener = c ? modbus_tcp_listen(c, 4) : -1;

	if (listener < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	while (modbus_tcp_accept(c, &listener) >= 0) {
		serve(c, m);
		modbus_close(c);
	}
	return 1;
}

static int serve_rtu(modbus_mapping_t *m, const char *path, int unit)
{
	modbus_t *c = modbus_new_rtu(path, 19200, 'E', 8, 1);

	if (!c || modbus_set_slave(c, unit) < 0 || modbus_connect(c) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	serve(c, m);
	return 1;
}

int main(int argc, char **argv)
{
	modbus_mapping_t *m = modbus_mapping_new(CELLS, CELLS, CELLS, CELLS);

	if (!m || argc < 3 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return 2;
	fill(m);
	if (strcmp(argv[1], "tcp") == 0)
		return serve_tcp(m, atoi(argv[2]));
	return argc > 3 ? serve_rtu(m, argv[2], atoi(argv[3])) : 2;
}
