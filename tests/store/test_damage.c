/* SPDX-License-Identifier: MIT */
/* Files that are not as they were left: what fails is kept under another name, what can be read is salvaged, what is
 * lost is told by gaps, and the queue goes on. */
#include "tests/store/queue_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { PAGE = 4096, RECORDS = 3000 };

static int setup(void **state)
{
	static struct rig rig;

	rig_init(&rig);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

static char *path_in(const struct rig *r, const char *name)
{
	static char path[2][4096];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", r->dir, name);
	return path[turn];
}

static void fill(struct rig *r)
{
	assert_int_equal(rig_open(r), 0);
	while (r->sent < RECORDS)
		assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	queue_acknowledge(r->queue, 0, 50);
	assert_int_equal(queue_commit(r->queue, NULL, 0, r->now), 0);
}

static unsigned files_like(const struct rig *r, const char *prefix, const char *suffix)
{
	DIR *d = opendir(r->dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name), end = strlen(suffix);

		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0 && len > end &&
		     strcmp(e->d_name + len - end, suffix) == 0;
	}
	closedir(d);
	return n;
}

static void copy_file(const char *from, const char *to)
{
	static uint8_t bytes[8 << 20];
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	size_t n;

	assert_true(in && out);
	n = fread(bytes, 1, sizeof(bytes), in);
	assert_int_equal(fwrite(bytes, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

struct ledger {
	uint64_t first_seq, last_seq, records, gaps, lost, bad;
};

static uint64_t lost_in(const struct msg *gap)
{
	const char *at = memmem(msg_payload(gap), gap->payload_len, "\"count\":", 8);

	assert_non_null(at);
	return strtoull(at + 8, NULL, 10);
}

static void enter(void *ctx, const struct store_record *rec)
{
	struct ledger *l = ctx;

	assert_true(rec->seq > l->last_seq);
	l->last_seq = rec->seq;
	if (!rec->gap && l->records == 0)
		l->first_seq = rec->seq;
	l->gaps += rec->gap;
	l->lost += rec->gap ? lost_in(rec->msg) : 0;
	l->records += !rec->gap;
	/* Number and seq agree in an undisturbed log: anything else would be an invented record. */
	if (!rec->gap && rig_number(rec->msg) != rec->seq && rec->seq <= RECORDS)
		l->bad++;
}

static struct ledger read_all(const struct rig *r)
{
	struct ledger l = {0};

	assert_true(rig_read(r->dir, 0, enter, &l) >= 0);
	assert_int_equal(l.bad, 0);
	return l;
}

/* Opens what is there and goes on: new records are taken, with seqs above all that were ever given out. */
static struct ledger go_on(struct rig *r, struct queue_stats *st)
{
	struct ledger l;
	uint64_t before = r->sent;

	assert_int_equal(rig_open(r), 0);
	queue_stats(r->queue, st);
	assert_true(st->last_seq >= before);
	if (rig_read(r->dir, 0, NULL, NULL) < 0) {
		int err = 0;

		while (err == 0)
			err = queue_scrub(r->queue, 1 << 20);
		assert_int_equal(err, -EBADMSG);
		assert_int_equal(queue_mend(r->queue, true, r->now), 0);
	}
	l = read_all(r);
	assert_int_equal(rig_commit(r, 10, NULL, 200), 0);
	return l;
}

static void overwrite(const char *path, off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void a_header_of_noise_is_set_aside_and_seq_goes_on(void **state)
{
	static const char noise[100] = "this is not a database";
	struct rig *r = *state;
	struct queue_stats st;

	fill(r);
	rig_close(r);
	overwrite(path_in(r, "queue.db"), 0, noise, sizeof(noise));
	assert_int_equal(go_on(r, &st).records, RECORDS);
	assert_int_equal(files_like(r, "queue-", ".db"), 1);
	assert_int_equal(files_like(r, "queue-", ".page1"), 1);
	assert_true(st.last_seq >= RECORDS);
}

static void a_file_cut_short_gives_what_is_left_of_it(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;
	struct ledger l;

	fill(r);
	rig_close(r);
	assert_int_equal(truncate(path_in(r, "queue.db"), size_of(path_in(r, "queue.db")) / 2 / PAGE * PAGE), 0);
	l = go_on(r, &st);
	assert_true(l.records > 500);
	assert_true(l.gaps > 0);
	assert_int_equal(files_like(r, "queue-", ".db"), 1);
}

/* Each page of the file in turn gets one byte changed in its middle, and one at its head. Whatever the page was: the
 * queue opens, reads in order, invents nothing, and goes on. */
static void a_flipped_byte_in_any_page_is_survived(void **state)
{
	struct rig *r = *state;
	uint64_t sent;
	off_t pages;
	unsigned hurt = 0;

	fill(r);
	rig_close(r);
	copy_file(path_in(r, "queue.db"), path_in(r, "whole"));
	copy_file(path_in(r, "queue.seq"), path_in(r, "whole.seq"));
	pages = size_of(path_in(r, "whole")) / PAGE;
	assert_true(pages > 100);
	sent = r->sent;
	for (off_t i = 0; i < 2 * pages; i += i < 16 ? 1 : 7) {
		off_t at = i / 2 * PAGE + (i % 2 ? 2048 : 3);
		uint8_t byte;
		struct queue_stats st;
		struct ledger l;
		int fd;

		tempdir_empty_but(r->dir, "whole");
		copy_file(path_in(r, "whole"), path_in(r, "queue.db"));
		copy_file(path_in(r, "whole.seq"), path_in(r, "queue.seq"));
		fd = open(path_in(r, "queue.db"), O_RDWR | O_CLOEXEC);
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x55;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		close(fd);
		r->sent = sent;
		l = go_on(r, &st);
		/* Drained to the end, drops and all. */
		queue_acknowledge(r->queue, 0, l.last_seq);
		if (rig_commit(r, 10, NULL, 200) == -EBADMSG) {
			assert_int_equal(queue_mend(r->queue, true, r->now), 0);
			assert_int_equal(rig_commit(r, 10, NULL, 200), 0);
		}
		hurt += l.records < RECORDS - 50;
		if (l.records < RECORDS - 50)
			assert_true(l.gaps > 0); /* nothing is lost without a word */
		rig_close(r);
	}
	assert_true(hurt > 10);
}

static void a_missing_wal_costs_its_commits_and_no_more(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;
	struct ledger l;

	fill(r);
	rig_close(r);
	assert_int_equal(unlink(path_in(r, "queue.db-wal")), 0);
	l = go_on(r, &st);
	assert_int_equal(l.records, RECORDS);
}

/* An old WAL beside a newer database, as a careless copy leaves it: SQLite would replay it. */
static void a_stale_wal_does_not_bring_back_the_past(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;

	assert_int_equal(rig_open(r), 0);
	assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	copy_file(path_in(r, "queue.db-wal"), path_in(r, "old-wal"));
	rig_close(r);
	fill(r);
	rig_close(r);
	assert_int_equal(size_of(path_in(r, "queue.db-wal")), 0);
	copy_file(path_in(r, "old-wal"), path_in(r, "queue.db-wal"));
	assert_int_equal(go_on(r, &st).records, RECORDS);
	assert_int_equal(files_like(r, "queue-", "-wal"), 1);
}

static void set_version(struct rig *r, int version)
{
	sqlite3 *db;
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", version);
	assert_int_equal(sqlite3_open(path_in(r, "queue.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void a_newer_format_is_refused_and_left_alone(void **state)
{
	struct rig *r = *state;
	struct store_reader *reader;

	fill(r);
	rig_close(r);
	set_version(r, 99);
	assert_int_equal(rig_open(r), -EPROTO);
	assert_int_equal(store_reader_open(&reader, r->dir), -EPROTO);
	assert_int_equal(files_like(r, "queue-", ".db"), 0);
	set_version(r, 1);
	assert_int_equal(rig_open(r), 0);
	assert_int_equal(read_all(r).records, RECORDS);
}

/* What rig_open() says in a process of its own; as another user when we are root, whom no mode stops. */
static int open_as_nobody(struct rig *r)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && (chown(r->dir, 65534, 65534) < 0 || setuid(65534) < 0))
			_exit(255);
		_exit(-rig_open(r) & 0x7f);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void a_directory_without_permission_is_an_error_and_not_a_crash(void **state)
{
	struct rig *r = *state;

	assert_int_equal(chmod(r->dir, 0500), 0);
	assert_int_equal(open_as_nobody(r), -EACCES);
	assert_int_equal(chmod(r->dir, 0700), 0);
	assert_int_equal(files_like(r, "queue", ""), 0);
}

static void files_of_somebody_else_are_an_error_and_left_alone(void **state)
{
	static const char *const names[] = {"queue.db", "queue.seq"};
	struct rig *r = *state;

	fill(r);
	rig_close(r);
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(chmod(path_in(r, names[i]), 0444), 0);
		assert_int_equal(open_as_nobody(r), -EACCES);
		assert_int_equal(files_like(r, "queue-", ".db"), 0);
		assert_int_equal(chmod(path_in(r, names[i]), 0644), 0);
	}
	assert_int_equal(rig_open(r), 0);
	assert_int_equal(read_all(r).records, RECORDS);
}

/* Root is stopped by no mode, and runs. */
static void a_mode_does_not_stop_root(void **state)
{
	struct rig *r = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(r->dir, 0500), 0);
	assert_int_equal(rig_open(r), 0);
	assert_int_equal(rig_commit(r, 10, NULL, 100), 0);
	assert_int_equal(chmod(r->dir, 0700), 0);
}

/* A byte of the payload of message n is another, on the disk. */
static void hurt_record(const struct rig *r, unsigned n)
{
	static uint8_t bytes[8 << 20];
	char text[32];
	int len = snprintf(text, sizeof(text), "{\"n\":%u}...", n);
	FILE *in = fopen(path_in(r, "queue.db"), "rb");
	size_t size;
	uint8_t *at;

	assert_non_null(in);
	size = fread(bytes, 1, sizeof(bytes), in);
	fclose(in);
	at = memmem(bytes, size, text, (size_t)len);
	assert_non_null(at);
	overwrite(path_in(r, "queue.db"), at + len - bytes, "!", 1);
}

/* Two of one block, one of another. */
static void hurt_some(const struct rig *r)
{
	hurt_record(r, 1234);
	hurt_record(r, 1237);
	hurt_record(r, 2345);
}

static void records_damaged_within_a_block_cost_themselves_in_a_salvage_and_are_told(void **state)
{
	struct rig *r = *state;
	struct ledger l;

	fill(r);
	rig_close(r);
	hurt_some(r);
	assert_int_equal(rig_open(r), 0);
	assert_int_equal(queue_mend(r->queue, true, r->now), 0);
	l = read_all(r);
	assert_in_range(l.lost, 3, 40); /* and at worst those of a block whose topic it spelled out */
	assert_int_equal(l.records + l.lost, RECORDS);
	assert_int_equal(l.gaps, 2); /* one for each block */
	assert_int_equal(l.last_seq, RECORDS);
}

static void records_damaged_within_a_block_count_among_what_is_evicted(void **state)
{
	struct rig *r = *state;
	struct ledger l;

	fill(r);
	rig_close(r);
	hurt_some(r);
	assert_int_equal(rig_open(r), 0);
	while (r->sent < 5 * RECORDS)
		assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	l = read_all(r);
	assert_true(l.first_seq > 2345);
	assert_int_equal(l.records + l.lost, r->sent);
}

/* The renames of a salvage, interrupted after any of them. */
static void an_interrupted_salvage_is_finished(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;

	fill(r);
	rig_close(r);
	/* Complete, and nothing renamed yet. */
	copy_file(path_in(r, "queue.db"), path_in(r, "queue.ready"));
	copy_file(path_in(r, "queue.db"), path_in(r, "queue.new"));
	overwrite(path_in(r, "queue.db"), 0, "noise", 5);
	assert_int_equal(go_on(r, &st).records, RECORDS);
	assert_int_equal(files_like(r, "queue-", ".db"), 1);
	rig_close(r);
	/* The damaged one is away already. */
	r->sent = RECORDS;
	assert_int_equal(rename(path_in(r, "queue.db"), path_in(r, "queue.ready")), 0);
	assert_true(go_on(r, &st).records >= RECORDS);
	rig_close(r);
	/* Half a new file: begun again. */
	r->sent = RECORDS;
	copy_file(path_in(r, "queue.db"), path_in(r, "queue.new"));
	assert_int_equal(truncate(path_in(r, "queue.new"), 5000), 0);
	assert_true(go_on(r, &st).records >= RECORDS);
	assert_int_equal(files_like(r, "queue", ".new"), 0);
}

static void an_unclean_end_of_a_sound_file_costs_nothing(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;
	struct rig copy = *r;

	fill(r);
	copy.dir = tempdir_new();
	copy.opts.dir = copy.dir;
	copy.sent = r->sent;
	copy_file(path_in(r, "queue.db"), path_in(&copy, "queue.db"));
	copy_file(path_in(r, "queue.db-wal"), path_in(&copy, "queue.db-wal"));
	copy_file(path_in(r, "queue.seq"), path_in(&copy, "queue.seq"));
	assert_int_equal(go_on(&copy, &st).records, RECORDS);
	assert_int_equal(st.salvaged, 0);
	rig_fini(&copy);
}

int main(void)
{
#define IN_RIG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_RIG(a_header_of_noise_is_set_aside_and_seq_goes_on),
		IN_RIG(a_file_cut_short_gives_what_is_left_of_it),
		IN_RIG(a_flipped_byte_in_any_page_is_survived),
		IN_RIG(a_missing_wal_costs_its_commits_and_no_more),
		IN_RIG(a_stale_wal_does_not_bring_back_the_past),
		IN_RIG(a_newer_format_is_refused_and_left_alone),
		IN_RIG(a_directory_without_permission_is_an_error_and_not_a_crash),
		IN_RIG(files_of_somebody_else_are_an_error_and_left_alone),
		IN_RIG(a_mode_does_not_stop_root),
		IN_RIG(records_damaged_within_a_block_cost_themselves_in_a_salvage_and_are_told),
		IN_RIG(records_damaged_within_a_block_count_among_what_is_evicted),
		IN_RIG(an_interrupted_salvage_is_finished),
		IN_RIG(an_unclean_end_of_a_sound_file_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
