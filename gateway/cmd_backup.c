/* SPDX-License-Identifier: MIT */
/* `weir backup FILE` and `weir restore FILE`: the queue with its cursors, what the broker keeps (sessions, subscriptions,
 * their queues, retained messages), what upstreams refused, and the configuration, in an archive that any tar reads:
 *
 *	broker.db           what the broker keeps, where it is durable
 *	queue.db            the log and its cursors
 *	quarantine/...      the files beside it
 *	etc/weir.yaml, etc/conf.d/...
 *
 * Each is copied before what it speaks of: a message that the broker has acknowledged as taken is in the log that is
 * copied after it, and what the log's cursors have passed as refused is in the quarantine. What is restored may so be
 * told twice, and is never missing. A restore puts both databases in place; the configuration is for a person to look
 * at and to copy: `tar xf FILE etc`. */
#include "gateway/commands.h"
#include "gateway/handover.h"
#include "gateway/schema.h"
#include "gateway/tar.h"
#include "store/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum part { BROKER, QUEUE, N_PARTS };

static const char *const part_names[N_PARTS] = {[BROKER] = "broker.db", [QUEUE] = "queue.db"};

struct job {
	const char *verb, *config, *file;
	struct gateway_opts *opts;
	char paths[N_PARTS][PATH_MAX]; /* beside the archive, while it is made or taken apart */
	bool has[N_PARTS];
};

static int complain(const struct job *j, const char *what, int error)
{
	fprintf(stderr, "weir %s: %s: %s\n", j->verb, what, strerror(-error));
	return error;
}

static int name_parts(struct job *j)
{
	for (int p = 0; p < N_PARTS; p++)
		if (snprintf(j->paths[p], PATH_MAX, "%s.%s", j->file, part_names[p]) >= PATH_MAX)
			return -ENAMETOOLONG;
	return 0;
}

static void drop_parts(const struct job *j)
{
	for (int p = 0; p < N_PARTS; p++)
		if (j->has[p])
			unlink(j->paths[p]);
}

/* Where the broker keeps what outlives it; NULL: nowhere. */
static const char *state_dir(const struct job *j)
{
	const struct broker_opts *o = &j->opts->broker;

	return !o->durable ? NULL : o->state_dir ? o->state_dir : j->opts->store.dir;
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

/* What is beside the file and belongs to it; passwords and keys are not copied. */
static int add_folder(FILE *to, const char *config, const char *name, int64_t wall_ms)
{
	char copy[PATH_MAX], folder[PATH_MAX], as[64];

	if (snprintf(copy, sizeof(copy), "%s", config) >= (int)sizeof(copy) ||
		snprintf(folder, sizeof(folder), "%s/%s", dirname(copy), name) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	snprintf(as, sizeof(as), "etc/%s", name);
	return add_all(to, folder, "", ".yaml", as, wall_ms);
}

static int add_config(FILE *to, const char *config, int64_t wall_ms)
{
	int r = tar_add(to, "etc/weir.yaml", config, wall_ms);

	if (r == 0)
		r = add_folder(to, config, "conf.d", wall_ms);
	return r == 0 ? add_folder(to, config, "templates", wall_ms) : r;
}

/* For its owner alone: all that clients said is in it, and how they are known. */
static int open_archive(FILE **out, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r;

	*out = fd < 0 ? NULL : fdopen(fd, "w");
	r = *out ? 0 : -errno;
	if (fd >= 0 && !*out)
		close(fd);
	return r;
}

static int pack(const struct job *j)
{
	int64_t wall_ms = clock_wall_ms(&clock_system);
	FILE *to;
	int r = open_archive(&to, j->file);

	for (int p = 0; r == 0 && p < N_PARTS; p++)
		if (j->has[p])
			r = tar_add(to, part_names[p], j->paths[p], wall_ms);
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

/* A broker that keeps nothing, or has not kept anything yet, has no part in it. */
static int copy_broker(struct job *j, struct ledger_copy *out)
{
	int r = state_dir(j) ? ledger_backup(state_dir(j), j->paths[BROKER], out) : -ENOENT;

	j->has[BROKER] = r != -EEXIST && r != -ENOENT;
	return r == -ENOENT ? 0 : r;
}

static int back_up(struct job *j)
{
	struct ledger_copy state = {0};
	struct store_copy done = {0};
	int r = copy_broker(j, &state);

	if (r < 0)
		return complain(j, state_dir(j), r);
	r = store_backup(j->opts->store.dir, j->paths[QUEUE], &done);
	j->has[QUEUE] = r != -EEXIST;
	if (r < 0)
		return complain(j, j->opts->store.dir, r);
	r = pack(j);
	if (r < 0)
		return complain(j, j->file, r);
	printf("%s: %" PRIu64 " records up to seq %" PRIu64, j->file, done.records, done.last_seq);
	if (j->has[BROKER])
		printf(", %" PRIu64 " entries of what the broker keeps", state.entries);
	printf(", and the configuration\n");
	if (done.lost > 0 || state.lost > 0 || state.unknown)
		printf("damaged and not in it: %" PRIu64 " records, %" PRIu64 " entries%s\n", done.lost, state.lost,
			state.unknown ? " and perhaps more" : "");
	return 0;
}

/* --- restore -------------------------------------------------------------------------------------------------------- */

static int unpack_one(struct job *j, FILE *from, const struct tar_entry *e)
{
	for (int p = 0; p < N_PARTS; p++)
		if (!j->has[p] && strcmp(e->name, part_names[p]) == 0) {
			int r = tar_extract(from, e, j->paths[p]);

			j->has[p] = r != -EEXIST;
			return r;
		}
	return tar_skip(from, e);
}

static int unpack(struct job *j)
{
	FILE *from = fopen(j->file, "re");
	struct tar_entry e;
	int r = from ? 0 : -errno;

	while (r == 0 && (r = tar_next(from, &e)) == 0)
		r = unpack_one(j, from, &e);
	if (from)
		fclose(from);
	return r < 0 ? r : j->has[QUEUE] ? 0 : -EBADMSG;
}

static int busy(const struct job *j, const char *dir, int r)
{
	if (r != -EBUSY)
		return complain(j, dir, r);
	fprintf(stderr, "weir restore: a gateway runs on %s; stop it first: systemctl stop weir\n", dir);
	return r;
}

static int restore_broker(const struct job *j)
{
	struct ledger_copy state;
	int r;

	if (!j->has[BROKER])
		return 0;
	if (!state_dir(j)) {
		printf("what the broker kept is in the archive, and stays there: broker.durable is false\n");
		return 0;
	}
	r = ledger_restore(state_dir(j), j->paths[BROKER], &state);
	if (r < 0)
		return busy(j, state_dir(j), r);
	printf("%s: %" PRIu64 " entries of what the broker keeps restored\n", state_dir(j), state.entries);
	if (state.lost > 0 || state.unknown)
		printf("%" PRIu64 " entries of the backup could not be read%s\n", state.lost,
			state.unknown ? ", and perhaps more" : "");
	return 0;
}

static int put_in_place(struct job *j)
{
	struct store_copy done;
	int r = unpack(j);

	if (r < 0)
		return complain(j, j->file, r);
	r = restore_broker(j);
	if (r < 0)
		return r;
	r = store_restore(j->opts->store.dir, j->paths[QUEUE], &done);
	if (r < 0)
		return busy(j, j->opts->store.dir, r);
	printf("%s: %" PRIu64 " records restored; new ones begin at seq %" PRIu64 "\n", j->opts->store.dir,
		done.records, done.next_seq);
	if (done.lost > 0)
		printf("%" PRIu64 " records of the backup could not be read; gap records stand in their place\n",
			done.lost);
	return 0;
}

/* Whatever came of it: what is half in place is for the service to open as well. */
static int restore(struct job *j)
{
	int r, given;

	umask(0077);
	r = put_in_place(j);
	given = handover(j->opts->store.dir);
	if (given == 0 && state_dir(j))
		given = handover(state_dir(j));
	return given < 0 ? complain(j, j->opts->store.dir, given) : r;
}

/* --- the verbs ---------------------------------------------------------------------------------------------------- */

static int run(int argc, char **argv, int (*act)(struct job *j))
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
	r = name_parts(&j);
	r = r < 0 ? complain(&j, j.file, r) : act(&j);
	drop_parts(&j);
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
