/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include "base/hash.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static int64_t system_mono_us(const struct clock *c)
{
	struct timespec t;

	(void)c;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t system_wall_ms(const struct clock *c)
{
	struct timespec t;

	(void)c;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- what is known of it ------------------------------------------------------------------------------------------- */

static bool first_line(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool is_synced(void)
{
	struct timex t = {.modes = 0};

	if (adjtimex(&t) >= 0)
		return !(t.status & STA_UNSYNC);
	return access("/run/systemd/timesync/synchronized", F_OK) == 0;
}

/* A board without a battery-backed clock has the class and no device in it. Where there is no such class, as in a guest,
 * the time came from the host. A clock whose battery is flat is found out by the time that it says. */
static bool is_kept(void)
{
	DIR *d = opendir("/sys/class/rtc");
	bool kept = !d;
	struct dirent *e;

	while (d && !kept && (e = readdir(d)))
		kept = e->d_name[0] != '.';
	if (d)
		closedir(d);
	return kept;
}

static enum clock_state system_state(const struct clock *c)
{
	(void)c;
	return is_synced() ? CLOCK_SYNCED : is_kept() ? CLOCK_KEPT : CLOCK_ADRIFT;
}

static uint32_t system_boot(const struct clock *c)
{
	char id[64];
	uint32_t h;

	(void)c;
	if (!first_line("/proc/sys/kernel/random/boot_id", id, sizeof(id)))
		return 0;
	h = hash32_text(id);
	return h ? h : 1;
}

const struct clock clock_system = {system_mono_us, system_wall_ms, system_state, system_boot};
