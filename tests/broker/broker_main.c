/* SPDX-License-Identifier: MIT */
/* broker_main.c - `weir broker` without the rest of weir, for tests and measurements of the broker alone. */
#include "gateway/commands.h"

#include <string.h>

int main(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "broker") == 0 ? cmd_broker(argc - 1, argv + 1) : 2;
}
