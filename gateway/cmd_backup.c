/* SPDX-License-Identifier: MIT */
/* `weir backup FILE` and `weir restore FILE`: the queue with its cursors, what upstreams refused, and the configuration,
 * in an archive that any tar reads:
 *
 *	queue.db            the log and its cursors
 *	quarantine/...      the files beside it
 *	etc/weir.yaml, etc/conf.d/...
 *
 * The log is copied first, so what the other files speak of is in it. A restore puts the queue in place; the
 * configuration is for a person to look at and to copy: `tar xf FILE etc`. */
#include "gateway/commands.h"
#include "gateway/human.h"
#include "gateway/schema.h"
#include "gateway/tar.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
	const char *verb, *config, *file;
	struct gateway_opts *opts;
};

static int complain(const struct job *j, const char *what, int error)
{
	fprintf(stderr, "weir %s: %s: %s\n", j->verb, what, strerror(-error));
	return error;
}

/* --- backup -------------------------------------------------------------------------------------------------------- */

static bool fits(const char *name, const char *begin, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n > k && strcmp(name + n - k, end) == 0 && strncmp(name, begin, strlen(begin)) == 0;
}

/* The files of a directory whose names begin and end so; a directory that is not there has none. */
static int add_all(FILE *to, const char *dir, const char *begin, const char *end, const char *under, int64_t wall_ms)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (e = readdir(d))) {
		char path[PATH_MAX], name[PATH_MAX];

		if (!fits(e->d_name, begin, end))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path) ||
			snprintf(name, sizeof(name), "%s/%s", under, e->d_name) >= (int)sizeof(name))
			r = -ENAMETOOLONG;
		else
			r = tar_add(to, name, path, wall_ms);
	}
	closedir(d);
	return r;
}

static int add_config(FILE *to, const char *config, int64_t wall_ms)
{
	char copy[PATH_MAX], conf_d[PATH_MAX];
	int r = tar_add(to, "etc/weir.yaml", config, wall_ms);

	if (snprintf(copy, sizeof(copy), "%s", config) >= (int)sizeof(copy) ||
		snprintf(conf_d, sizeof(conf_d), "%s/conf.d", dirname(copy)) >= (int)sizeof(conf_d))
		return -ENAMETOOLONG;
	return r == 0 ? add_all(to, conf_d, "", ".yaml", "etc/conf.d", wall_ms) : r;
}

static int pack(const struct job *j, const char *queue)
{
	int64_t wall_ms = clock_wall_ms(&clock_system);
	FILE *to = fopen(j->file, "wxe");
	int r = to ? tar_add(to, "queue.db", queue, wall_ms) : -errno;

	if (r == 0)
		r = add_all(to, j->opts->store.dir, "quarantine-", "", "quarantine", wall_ms);
	if (r == 0)
		r = add_config(to, j->config, wall_ms);
	if (r == 0)
		r = tar_finish(to);
	if (to && fclose(to) != 0 && r == 0)
		r = -errno;
	if (r < 0 && to)
		unlink(j->file);
	return r;
}

static int back_up(const struct job *j)
{
	struct store_copy done;
	char queue[PATH_MAX];
	int r;

	if (snprintf(queue, sizeof(queue), "%s.queue.db", j->file) >= (int)sizeof(queue))
		return complain(j, j->file, -ENAMETOOLONG);
	r = store_backup(j->opts->store.dir, queue, &done);
	if (r < 0) {
		if (r != -EEXIST)
			unlink(queue);
		return complain(j, j->opts->store.dir, r);
	}
	r = pack(j, queue);
	unlink(queue);
	if (r < 0)
		return complain(j, j->file, r);
	printf("%s: %" PRIu64 " records up to seq %" PRIu64 ", and the configuration\n", j->file, done.records,
		done.last_seq);
	return 0;
}

/* --- restore -------------------------------------------------------------------------------------------------------- */

static int unpack_queue(const struct job *j, const char *queue)
{
	FILE *from = fopen(j->file, "re");
	struct tar_entry e;
	int r = from ? 0 : -errno;

	while (r == 0 && (r = tar_next(from, &e)) == 0 && strcmp(e.name, "queue.db") != 0)
		r = tar_skip(from, &e);
	if (r == TAR_END)
		r = -EBADMSG;
	if (r == 0)
		r = tar_extract(from, &e, queue);
	if (from)
		fclose(from);
	return r;
}

static int restore(const struct job *j)
{
	struct store_copy done;
	char queue[PATH_MAX];
	int r;

	if (snprintf(queue, sizeof(queue), "%s.queue.db", j->file) >= (int)sizeof(queue))
		return complain(j, j->file, -ENAMETOOLONG);
	r = unpack_queue(j, queue);
	if (r < 0) {
		if (r != -EEXIST)
			unlink(queue);
		return complain(j, j->file, r);
	}
	r = store_restore(j->opts->store.dir, queue, &done);
	unlink(queue);
	if (r == -EBUSY)
		fprintf(stderr, "weir restore: a gateway runs on %s; stop it first: systemctl stop weir\n",
			j->opts->store.dir);
	if (r < 0)
		return r == -EBUSY ? r : complain(j, j->opts->store.dir, r);
	printf("%s: %" PRIu64 " records restored; new ones begin at seq %" PRIu64 "\n", j->opts->store.dir,
		done.records, done.next_seq);
	if (done.lost > 0)
		printf("%" PRIu64 " records of the backup could not be read; gap records stand in their place\n",
			done.lost);
	return 0;
}

/* --- the verbs -------------------------------------------------------------------------------------------------------- */

static int run(int argc, char **argv, int (*act)(const struct job *j))
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
	struct job j = {.verb = argv[0], .config = "/etc/weir/weir.yaml"};
	int opt, r;

	while ((opt = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (opt != 'c')
			return 2;
		j.config = optarg;
	}
	if (argc - optind != 1) {
		fprintf(stderr, "usage: weir %s [--config FILE] ARCHIVE\n", j.verb);
		return 2;
	}
	j.file = argv[optind];
	r = gateway_opts_load(&j.opts, j.config, stderr);
	if (r < 0)
		complain(&j, j.config, r);
	if (r != 0)
		return 1;
	r = act(&j);
	gateway_opts_free(j.opts);
	return r == 0 ? 0 : 1;
}

int cmd_backup(int argc, char **argv)
{
	return run(argc, argv, back_up);
}

int cmd_restore(int argc, char **argv)
{
	return run(argc, argv, restore);
}
