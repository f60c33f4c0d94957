/* SPDX-License-Identifier: MIT */
#include "tests/bench/meter.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int64_t meter_cpu_ns(pid_t pid)
{
	char path[300];
	struct dirent *e;
	int64_t sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		int64_t ns;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (f && fscanf(f, "%" SCNd64, &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

int64_t meter_resident(pid_t pid)
{
	char path[64];
	int64_t pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%*d %" SCNd64, &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static unsigned bucket_of(uint64_t ns)
{
	unsigned high;

	if (ns < 64)
		return (unsigned)ns;
	high = 63 - (unsigned)__builtin_clzll(ns);
	return (high - 5) * 64 + (unsigned)(ns >> (high - 6) & 63);
}

void meter_add(struct meter_spread *s, int64_t ns)
{
	unsigned b = bucket_of(ns < 0 ? 0 : (uint64_t)ns);

	s->bucket[b < METER_BUCKETS ? b : METER_BUCKETS - 1]++;
	s->count++;
}

double meter_quantile_us(const struct meter_spread *s, double q)
{
	uint64_t seen = 0, want = (uint64_t)((double)s->count * q);

	for (unsigned b = 0; b < METER_BUCKETS; b++) {
		seen += s->bucket[b];
		if (seen > want)
			return b < 64 ? b / 1e3 : (double)((uint64_t)(64 + b % 64) << (b / 64 - 1)) / 1e3;
	}
	return 0;
}
