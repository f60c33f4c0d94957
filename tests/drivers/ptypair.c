/* SPDX-License-Identifier: MIT */
#include "tests/drivers/ptypair.h"

#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>

int ptypair_open(char path[PTYPAIR_PATH])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios t;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, path, PTYPAIR_PATH), 0);
	assert_int_equal(tcgetattr(master, &t), 0);
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(master, TCSANOW, &t), 0);
	return master;
}
