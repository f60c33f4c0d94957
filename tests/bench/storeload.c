/* SPDX-License-Identifier: MIT */
/* storeload.c - what the queue costs: records per second beside an append-only file with the same flushes, bytes written
 * in the whole life of a record, the cost with a long queue, draining, starting.
 *
 * The bytes and flushes are counted where SQLite hands them to the operating system. Records have 200 bytes of payload
 * and one of a hundred topics. Both sides of a comparison run in turn, slice by slice, so that a busy machine is busy
 * for both.
 */
#include "store/queue.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD = 200, TOPICS = 100, BATCH_MAX = 1000, SLICES = 8 };

static char dir[3000];
static struct msg *pool[BATCH_MAX];
static const char *const ups[] = {"cloud"};

static void die(const char *what, int err)
{
	fprintf(stderr, "storeload: %s: %s\n", what, strerror(-err));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static struct queue_time now(void)
{
	return (struct queue_time){clock_mono_ms(&clock_system), clock_wall_ms(&clock_system)};
}

/* --- counting ------------------------------------------------------------------------------------------------------- */

enum { MAIN, WAL, N_KINDS };

static struct {
	atomic_uint_fast64_t written[N_KINDS], read[N_KINDS], syncs;
} disk;

struct file {
	sqlite3_file head;
	int kind;
};

static sqlite3_vfs *base;
static sqlite3_vfs layer;
static sqlite3_io_methods methods;

static sqlite3_file *real(sqlite3_file *f)
{
	return (sqlite3_file *)(void *)((struct file *)(void *)f + 1);
}

static int kind(sqlite3_file *f)
{
	return ((struct file *)(void *)f)->kind;
}

static int x_close(sqlite3_file *f)
{
	return real(f)->pMethods->xClose(real(f));
}

static int x_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	disk.read[kind(f)] += (uint64_t)n;
	return real(f)->pMethods->xRead(real(f), out, n, at);
}

static int x_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
	disk.written[kind(f)] += (uint64_t)n;
	return real(f)->pMethods->xWrite(real(f), bytes, n, at);
}

static int x_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return real(f)->pMethods->xTruncate(real(f), n);
}

static int x_sync(sqlite3_file *f, int flags)
{
	disk.syncs++;
	return real(f)->pMethods->xSync(real(f), flags);
}

static int x_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return real(f)->pMethods->xFileSize(real(f), n);
}

static int x_lock(sqlite3_file *f, int l)
{
	return real(f)->pMethods->xLock(real(f), l);
}

static int x_unlock(sqlite3_file *f, int l)
{
	return real(f)->pMethods->xUnlock(real(f), l);
}

static int x_reserved(sqlite3_file *f, int *out)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int x_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int x_sector(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int x_device(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int x_shm_map(sqlite3_file *f, int at, int n, int extend, void volatile **out)
{
	return real(f)->pMethods->xShmMap(real(f), at, n, extend, out);
}

static int x_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return real(f)->pMethods->xShmLock(real(f), at, n, flags);
}

static void x_shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int x_shm_unmap(sqlite3_file *f, int remove)
{
	return real(f)->pMethods->xShmUnmap(real(f), remove);
}

static int x_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct file *file = (struct file *)(void *)f;
	int rc = base->xOpen(base, name, real(f), flags, out);

	(void)v;
	file->kind = flags & SQLITE_OPEN_WAL ? WAL : MAIN;
	file->head.pMethods = NULL;
	if (rc != SQLITE_OK)
		return rc;
	methods = (sqlite3_io_methods){2, x_close, x_read, x_write, x_truncate, x_sync, x_size, x_lock, x_unlock,
		x_reserved, x_control, x_sector, x_device, x_shm_map, x_shm_lock, x_shm_barrier, x_shm_unmap, NULL,
		NULL};
	file->head.pMethods = &methods;
	return rc;
}

static void count_from_now(void)
{
	for (int k = 0; k < N_KINDS; k++)
		disk.written[k] = disk.read[k] = 0;
	disk.syncs = 0;
}

static void install(void)
{
	base = sqlite3_vfs_find(NULL);
	layer = *base;
	layer.zName = "counting";
	layer.szOsFile = base->szOsFile + (int)sizeof(struct file);
	layer.xOpen = x_open;
	if (sqlite3_vfs_register(&layer, 1) != SQLITE_OK)
		die("vfs", -EIO);
}

/* --- records -------------------------------------------------------------------------------------------------------- */

static void make_pool(void)
{
	char topic[64], payload[PAYLOAD];

	for (unsigned i = 0; i < BATCH_MAX; i++) {
		struct msg_spec s = {.topic = topic,
			.payload = payload,
			.payload_len = PAYLOAD,
			.class = MSG_TELEMETRY,
			.qos = 1,
			.origin = MSG_FROM_CLIENT,
			.expiry_s = MSG_NEVER_EXPIRES};

		s.topic_len = (uint32_t)snprintf(
			topic, sizeof(topic), "plant-04/line-%u/device-%02u/flow-temp", i % 4, i % TOPICS);
		s.wall_ms = clock_wall_ms(&clock_system) + i;
		for (unsigned k = 0; k < PAYLOAD; k++)
			payload[k] = (char)(' ' + (i * 31 + k * 17) % 94);
		pool[i] = msg_new(&s);
		if (!pool[i])
			die("msg", -ENOMEM);
	}
}

static void wipe(void)
{
	static const char *const names[] = {"queue.db", "queue.db-wal", "queue.db-shm", "queue.seq", "log"};
	char path[4096];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
}

static struct queue *open_queue(int64_t max_bytes)
{
	struct queue_opts o = {
		.dir = dir, .sync = true, .preallocate = true, .max_bytes = max_bytes, .event_topic = "weir/event"};
	struct queue *q;
	int r = queue_open(&q, &o, ups, 1, now());

	if (r < 0)
		die("queue_open", r);
	return q;
}

static void append(struct queue *q, uint64_t records, size_t batch)
{
	for (uint64_t n = 0; n < records; n += batch) {
		int r = queue_commit(q, pool, batch, now());

		if (r < 0)
			die("queue_commit", r);
	}
}

/* The append-only file: length, a sum of every byte and the time in front of topic and payload, one write and one fdatasync a batch, in a
 * file that was given its room before, as the queue's was. */
static void append_log(int fd, uint64_t records, size_t batch)
{
	static char buffer[BATCH_MAX * 300];

	for (uint64_t n = 0; n < records; n += batch) {
		size_t len = 0;

		for (size_t i = 0; i < batch; i++) {
			const struct msg *m = pool[i];
			const char *from = (const char *)m->bytes;
			size_t size = m->topic_len + 1 + m->payload_len;
			uint32_t sum = 0;

			for (size_t k = 0; k < size; k++)
				sum = (sum << 5 | sum >> 27) ^ (uint8_t)from[k];
			memcpy(buffer + len, &size, 8);
			memcpy(buffer + len + 8, &sum, 4);
			memcpy(buffer + len + 12, &m->wall_ms, 8);
			memcpy(buffer + len + 20, from, size);
			len += 20 + size;
		}
		if (write(fd, buffer, len) != (ssize_t)len || fdatasync(fd) < 0)
			die("log", -errno);
	}
}

/* --- the reports ------------------------------------------------------------------------------------------------------ */

static void beside_a_log(size_t batch, uint64_t records)
{
	uint64_t slice = records / SLICES / batch * batch;
	int64_t queue_ns = 0, log_ns = 0;
	char path[4096];
	struct queue *q;
	int fd;

	wipe();
	q = open_queue(1 << 30);
	snprintf(path, sizeof(path), "%s/log", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)records * 300) < 0)
		die("log", -errno);
	count_from_now();
	for (int i = 0; i < SLICES; i++) {
		int64_t t = now_ns();

		append(q, slice, batch);
		queue_ns += now_ns() - t;
		t = now_ns();
		append_log(fd, slice, batch);
		log_ns += now_ns() - t;
	}
	records = slice * SLICES;
	printf("  %5zu  %9.0f  %9.0f  %4.0f %%  %14.3f\n", batch, (double)records * 1e9 / (double)queue_ns,
		(double)records * 1e9 / (double)log_ns, 100.0 * (double)log_ns / (double)queue_ns,
		(double)disk.syncs / ((double)records / (double)batch));
	close(fd);
	queue_close(q);
}

static void drain(struct queue *q, uint64_t to, uint64_t step)
{
	struct queue_stats st;

	for (uint64_t seq = step; seq <= to; seq += step) {
		queue_acknowledge(q, 0, seq);
		do {
			int r = queue_commit(q, NULL, 0, now());

			if (r < 0)
				die("drain", r);
		} while (queue_unsaved(q));
	}
	queue_stats(q, &st);
	if (st.first_seq <= st.last_seq)
		die("not drained", -EIO);
}

/* All of a record's life: it waits in a long queue, is acknowledged, and goes. */
static void whole_life(size_t batch, uint64_t records)
{
	uint64_t in[N_KINDS], all;
	struct queue *q;

	wipe();
	q = open_queue(1 << 30);
	count_from_now();
	append(q, records, batch);
	in[MAIN] = disk.written[MAIN];
	in[WAL] = disk.written[WAL];
	drain(q, records, batch < 100 ? 100 : batch); /* the thread saves cursors twenty times a second */
	queue_close(q);
	all = disk.written[MAIN] + disk.written[WAL];
	printf("  %5zu  %8.0f  %10.0f  %8.0f  %10.0f  %6.0f  %4.2f x\n", batch, (double)in[WAL] / (double)records,
		(double)in[MAIN] / (double)records, (double)(disk.written[WAL] - in[WAL]) / (double)records,
		(double)(disk.written[MAIN] - in[MAIN]) / (double)records, (double)all / (double)records,
		(double)all / (double)records / PAYLOAD);
}

/* Records come and go at the same rate: freed pages are used again in the transaction that freed them. */
static void steady(size_t batch, uint64_t records)
{
	uint64_t behind = 20000, all;
	struct queue *q;

	wipe();
	q = open_queue(1 << 30);
	append(q, behind, 1000);
	count_from_now();
	for (uint64_t n = 0; n < records; n += batch) {
		queue_acknowledge(q, 0, n);
		append(q, batch, batch);
	}
	all = disk.written[MAIN] + disk.written[WAL];
	printf("  %5zu  %6.0f  %4.2f x  %6.2f\n", batch, (double)all / (double)records,
		(double)all / (double)records / PAYLOAD, (double)disk.syncs / ((double)records / (double)batch));
	queue_close(q);
}

static void flat(uint64_t most)
{
	uint64_t queued = 0;
	struct queue *q;

	wipe();
	q = open_queue((int64_t)most * 300 + (64 << 20));
	for (uint64_t mark = 1000; mark <= most; mark *= 10) {
		int64_t t;
		struct rusage before, after;

		append(q, mark - queued, 1000);
		queued = mark;
		getrusage(RUSAGE_SELF, &before);
		t = now_ns();
		append(q, 50000, 1000);
		t = now_ns() - t;
		getrusage(RUSAGE_SELF, &after);
		queued += 50000;
		printf("  %9" PRIu64 "  %8.2f  %8.2f  %6ld\n", mark, (double)t / 50000e3,
			(double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 20 +
				(double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 50000.0,
			after.ru_maxrss / 1024);
		if (mark == 1000)
			mark = 10000;
	}
	queue_close(q);
}

static void start_and_drain(uint64_t records, int64_t max_bytes)
{
	struct store_record recs[100];
	struct store_reader *r;
	struct queue_stats st;
	uint64_t after = 0, n = 0;
	int64_t t = now_ns();
	struct queue *q = open_queue(max_bytes);
	int got;

	queue_stats(q, &st);
	printf("  start with %" PRIu64 " records, %" PRId64 " MB: %.0f ms\n", st.last_seq - st.first_seq + 1,
		(max_bytes - st.free_bytes) / 1000000, (double)(now_ns() - t) / 1e6);
	count_from_now();
	t = now_ns();
	if (store_reader_open(&r, dir) < 0)
		die("reader", -EIO);
	while (n < records && (got = store_read(r, after, recs, 100)) > 0) {
		n += (uint64_t)got;
		after = recs[got - 1].seq;
	}
	t = now_ns() - t;
	printf("  read %" PRIu64 " records in hundreds: %.0f records/s, %.0f bytes read a record\n", n,
		(double)n * 1e9 / (double)t, (double)(disk.read[MAIN] + disk.read[WAL]) / (double)n);
	store_reader_close(r);
	queue_close(q);
}

/* Its pages are asked for again, as after a boot. */
static void forget_pages(void)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/queue.db", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fdatasync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		die("fadvise", -errno);
	close(fd);
}

static void time_start(const char *after, int64_t max_bytes)
{
	struct queue_stats st;
	struct queue *q;
	int64_t t;

	forget_pages();
	t = now_ns();
	q = open_queue(max_bytes);
	t = now_ns() - t;
	queue_stats(q, &st);
	printf("  %-28s  %9" PRIu64 " records  %5" PRId64 " MB  %5.0f ms\n", after, st.last_seq - st.first_seq + 1,
		st.disk_bytes / 1000000, (double)t / 1e6);
	queue_close(q);
}

/* A child that ends without a word leaves the files as a crash does. */
static void crash(int64_t max_bytes)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		append(open_queue(max_bytes), 5000, 1000);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		die("crash", -EIO);
}

static void start_with(int64_t bytes)
{
	int64_t max_bytes = bytes + bytes / 8 + (64 << 20);
	struct queue_stats st = {0};
	struct queue *q;

	wipe();
	q = open_queue(max_bytes);
	while (st.disk_bytes < bytes) {
		append(q, 100000, 1000);
		queue_stats(q, &st);
	}
	queue_close(q);
	time_start("after a clean end", max_bytes);
	crash(max_bytes);
	time_start("after a crash", max_bytes);
}

/* --- through the thread ------------------------------------------------------------------------------------------------- */

static uint64_t wait_for(struct store_source *src)
{
	struct pollfd p = {.fd = store_source_fd(src), .events = POLLIN};

	poll(&p, 1, 1000);
	return store_source_committed(src);
}

static void through_the_thread(uint64_t records, uint64_t window)
{
	struct store_opts o = {.dir = dir,
		.max_bytes = 1 << 30,
		.memory_bytes = 16 << 20,
		.commit_ms = 10,
		.batch = 10000,
		.preallocate = true};
	const struct store_events events = {0};
	struct store_stats st;
	struct store *s;
	struct store_source *src;
	uint64_t ticket = 0, done = 0;
	int64_t t, in_append = 0;

	wipe();
	if (store_open(&s, &o, ups, 1, &events, &clock_system) < 0 || store_source_new(&src, s) < 0)
		die("store", -EIO);
	t = now_ns();
	while (done < records) {
		int64_t a = now_ns();

		while (ticket < records && ticket - done < window &&
			store_append(src, pool[ticket % BATCH_MAX], &ticket) == 0)
			;
		in_append += now_ns() - a;
		done = wait_for(src);
	}
	t = now_ns() - t;
	store_stats(s, &st);
	printf("  %6" PRIu64 "  %9.0f  %8.1f  %8.0f\n", window, (double)records * 1e9 / (double)t,
		(double)records / (double)st.commits, (double)in_append / (double)records);
	store_close(s);
}

int main(int argc, char **argv)
{
	bool longer = getenv("BENCH_LONG") != NULL;

	if (argc != 2)
		return 2;
	snprintf(dir, sizeof(dir), "%s", argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	install();
	make_pool();
	printf("records of %d bytes, durability power\n\nappended, beside an append-only file\n", PAYLOAD);
	printf("  batch    queue/s     file/s  ratio   flushes/batch\n");
	beside_a_log(1, 4000);
	beside_a_log(10, 40000);
	beside_a_log(100, 200000);
	beside_a_log(1000, 400000);
	printf("\nbytes written for a record that waits in a long queue, by what and when\n");
	printf("  batch    WAL in  database in   WAL out  database out   all\n");
	whole_life(1, 5000);
	whole_life(10, 50000);
	whole_life(100, 200000);
	whole_life(1000, 400000);
	printf("\nbytes and flushes, records coming and going\n  batch   bytes          flushes/batch\n");
	steady(1, 5000);
	steady(10, 50000);
	steady(100, 200000);
	steady(1000, 400000);
	printf("\ncost of a record with so many in the queue\n     queued  us/record  user us  RSS MB\n");
	flat(longer ? 10000000 : 1000000);
	printf("\nstart and drain\n");
	start_and_drain(1000000, (longer ? 10000000 : 1000000) * INT64_C(300) + (64 << 20));
	printf("\nstart with nothing of the file in memory\n");
	start_with(longer ? INT64_C(5000) * 1000000 : INT64_C(300) * 1000000);
	printf("\nthrough the writer thread, one sender with so many unacknowledged\n");
	printf("  window   records/s  a commit  ns in append\n");
	through_the_thread(2000, 1);
	through_the_thread(40000, 20);
	through_the_thread(200000, 1000);
	through_the_thread(400000, 100000);
	wipe();
	return 0;
}
