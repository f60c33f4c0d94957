/* SPDX-License-Identifier: MIT */
/* `weir check` alone: what the tests of the configuration need of the program. */
#include "gateway/commands.h"

int main(int argc, char **argv)
{
	return cmd_check(argc - 1, argv + 1);
}
