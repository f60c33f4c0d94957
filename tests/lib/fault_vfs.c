/* SPDX-License-Identifier: MIT */
#include "tests/lib/fault_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECTOR = 512, MAX_FILES = 64 };

/* What a file holds, and what of it is on the disk. */
struct image {
	char *path;
	uint8_t *now, *durable, *dirty; /* dirty: a byte per sector */
	int64_t len, durable_len, cap;
	bool exists, durable_exists;
};

static struct {
	pthread_mutex_t lock;
	sqlite3_vfs *base;
	struct image files[MAX_FILES];
	uint64_t counts[N_FAULT_OPS];
	uint64_t fail_at[N_FAULT_OPS], fail_to[N_FAULT_OPS];
	uint64_t changes, cut_at;
	bool cut;
	int64_t capacity, delay_ms, read_ms;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const int codes[N_FAULT_OPS] = {
	[FAULT_OPEN] = SQLITE_CANTOPEN,
	[FAULT_READ] = SQLITE_IOERR_READ,
	[FAULT_WRITE] = SQLITE_IOERR_WRITE,
	[FAULT_SYNC] = SQLITE_IOERR_FSYNC,
	[FAULT_TRUNCATE] = SQLITE_IOERR_TRUNCATE,
	[FAULT_SHM] = SQLITE_IOERR_SHMMAP,
	[FAULT_SIZE] = SQLITE_IOERR_FSTAT,
	[FAULT_DELETE] = SQLITE_IOERR_DELETE,
};

const char *fault_vfs_name(enum fault_op op)
{
	static const char *const names[] = {"open", "read", "write", "sync", "truncate", "shm", "size", "delete"};

	return names[op];
}

/* --- faults ------------------------------------------------------------------------------------------------------ */

static void lock(void)
{
	pthread_mutex_lock(&disk.lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&disk.lock);
}

/* Counts an operation; SQLITE_OK or what it fails with. */
static int pass(enum fault_op op)
{
	uint64_t n;
	int rc;

	lock();
	n = ++disk.counts[op];
	rc = disk.fail_at[op] > 0 && n >= disk.fail_at[op] && n <= disk.fail_to[op] ? codes[op] : SQLITE_OK;
	if (disk.cut)
		rc = codes[op];
	unlock();
	return rc;
}

/* Counts a change of the disk, after it has happened. */
static void changed(void)
{
	if (disk.cut_at > 0 && ++disk.changes >= disk.cut_at)
		disk.cut = true;
	else if (disk.cut_at == 0)
		disk.changes++;
}

/* --- records ------------------------------------------------------------------------------------------------------- */

static struct image *image_of(const char *path)
{
	for (int i = 0; i < MAX_FILES; i++) {
		struct image *f = &disk.files[i];

		if (!f->path) {
			f->path = strdup(path);
			return f;
		}
		if (strcmp(f->path, path) == 0)
			return f;
	}
	abort(); /* a test with more files raises MAX_FILES */
}

static void ensure(struct image *f, int64_t len)
{
	int64_t cap = f->cap ? f->cap : 64 * 1024;

	if (len <= f->cap)
		return;
	while (cap < len)
		cap *= 2;
	f->now = realloc(f->now, (size_t)cap);
	f->durable = realloc(f->durable, (size_t)cap);
	f->dirty = realloc(f->dirty, (size_t)cap / SECTOR);
	if (!f->now || !f->durable || !f->dirty)
		abort();
	memset(f->now + f->cap, 0, (size_t)(cap - f->cap));
	memset(f->durable + f->cap, 0, (size_t)(cap - f->cap));
	memset(f->dirty + f->cap / SECTOR, 0, (size_t)(cap - f->cap) / SECTOR);
	f->cap = cap;
}

static void image_write(struct image *f, const void *bytes, int n, int64_t at)
{
	ensure(f, at + n);
	memcpy(f->now + at, bytes, (size_t)n);
	memset(f->dirty + at / SECTOR, 1, (size_t)((at + n - 1) / SECTOR - at / SECTOR + 1));
	if (at + n > f->len)
		f->len = at + n;
}

static void image_truncate(struct image *f, int64_t len)
{
	ensure(f, len);
	if (len < f->len) {
		memset(f->now + len, 0, (size_t)(f->len - len));
		memset(f->dirty + len / SECTOR, 1, (size_t)((f->len - 1) / SECTOR - len / SECTOR + 1));
	}
	f->len = len;
}

static void image_sync(struct image *f)
{
	if (f->cap > 0) {
		memcpy(f->durable, f->now, (size_t)f->cap);
		memset(f->dirty, 0, (size_t)f->cap / SECTOR);
	}
	f->durable_len = f->len;
	f->durable_exists = f->exists;
}

/* A file that was there before: all of it is on the disk. */
static void image_load(struct image *f)
{
	FILE *in = fopen(f->path, "rb");
	uint8_t piece[65536];
	size_t n;

	f->exists = true;
	f->len = 0;
	while (in && (n = fread(piece, 1, sizeof(piece), in)) > 0)
		image_write(f, piece, (int)n, f->len);
	if (in)
		fclose(in);
	image_sync(f);
}

static int64_t used(void)
{
	int64_t sum = 0;

	for (int i = 0; i < MAX_FILES; i++)
		sum += disk.files[i].exists ? disk.files[i].len : 0;
	return sum;
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

struct file {
	sqlite3_file head;
	struct image *image; /* NULL: not recorded */
	sqlite3_file *real;
};

static sqlite3_file *real(sqlite3_file *f)
{
	return ((struct file *)(void *)f)->real;
}

static struct image *image(sqlite3_file *f)
{
	return ((struct file *)(void *)f)->image;
}

static int x_close(sqlite3_file *f)
{
	return real(f)->pMethods ? real(f)->pMethods->xClose(real(f)) : SQLITE_OK;
}

/* One of the delays of the disk, as it is now. */
static void take_time(const int64_t *ms)
{
	struct timespec t;

	lock();
	t = (struct timespec){*ms / 1000, *ms % 1000 * 1000000};
	unlock();
	if (t.tv_sec || t.tv_nsec)
		nanosleep(&t, NULL);
}

static int x_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	int rc = pass(FAULT_READ);

	take_time(&disk.read_ms);
	return rc ? rc : real(f)->pMethods->xRead(real(f), out, n, at);
}

static int x_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
	struct image *im = image(f);
	int rc = pass(FAULT_WRITE);

	lock();
	if (!rc && im && disk.capacity > 0 && at + n > im->len && used() + at + n - im->len > disk.capacity)
		rc = SQLITE_FULL;
	if (!rc)
		rc = real(f)->pMethods->xWrite(real(f), bytes, n, at);
	if (!rc && im) {
		image_write(im, bytes, n, at);
		changed();
	}
	unlock();
	return rc;
}

static int x_truncate(sqlite3_file *f, sqlite3_int64 len)
{
	int rc = pass(FAULT_TRUNCATE);

	lock();
	if (!rc)
		rc = real(f)->pMethods->xTruncate(real(f), len);
	if (!rc && image(f)) {
		image_truncate(image(f), len);
		changed();
	}
	unlock();
	return rc;
}

static int x_sync(sqlite3_file *f, int flags)
{
	int rc = pass(FAULT_SYNC);

	(void)flags;
	take_time(&disk.delay_ms); /* the record changes after it: a cut in between loses what it should have kept */
	lock();
	if (disk.cut)
		rc = SQLITE_IOERR_FSYNC;
	if (!rc && image(f)) {
		image_sync(image(f));
		changed();
	}
	unlock();
	return rc;
}

static int x_size(sqlite3_file *f, sqlite3_int64 *out)
{
	int rc = pass(FAULT_SIZE);

	return rc ? rc : real(f)->pMethods->xFileSize(real(f), out);
}

static int x_lock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xLock(real(f), level);
}

static int x_unlock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xUnlock(real(f), level);
}

static int x_reserved(sqlite3_file *f, int *out)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int x_control(sqlite3_file *f, int op, void *arg)
{
	if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_NOTFOUND; /* would change the file past our record */
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int x_sector(sqlite3_file *f)
{
	(void)f;
	return SECTOR;
}

static int x_device(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int x_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **out)
{
	int rc = pass(FAULT_SHM);

	return rc ? rc : real(f)->pMethods->xShmMap(real(f), region, size, extend, out);
}

static int x_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return real(f)->pMethods->xShmLock(real(f), at, n, flags);
}

static void x_shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int x_shm_unmap(sqlite3_file *f, int delete)
{
	return real(f)->pMethods->xShmUnmap(real(f), delete);
}

static const sqlite3_io_methods methods = {2, x_close, x_read, x_write, x_truncate, x_sync, x_size, x_lock, x_unlock,
	x_reserved, x_control, x_sector, x_device, x_shm_map, x_shm_lock, x_shm_barrier, x_shm_unmap, NULL, NULL};

/* --- the file system --------------------------------------------------------------------------------------------------- */

static int x_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	struct file *file = (struct file *)(void *)f;
	int rc = pass(FAULT_OPEN), existed = 1;

	(void)v;
	file->real = (sqlite3_file *)(void *)(file + 1);
	file->real->pMethods = NULL;
	file->head.pMethods = NULL;
	file->image = NULL;
	if (rc)
		return rc;
	lock();
	if (name)
		disk.base->xAccess(disk.base, name, SQLITE_ACCESS_EXISTS, &existed);
	rc = disk.base->xOpen(disk.base, name, file->real, flags, out_flags);
	if (!rc && name && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL))) {
		file->image = image_of(name);
		if (!existed) {
			image_truncate(file->image, 0);
			file->image->exists = true;
		} else if (!file->image->exists) {
			image_load(file->image);
		}
	}
	unlock();
	if (!rc)
		file->head.pMethods = &methods;
	return rc;
}

static int x_delete(sqlite3_vfs *v, const char *name, int sync)
{
	int rc = pass(FAULT_DELETE);

	(void)v;
	lock();
	if (!rc)
		rc = disk.base->xDelete(disk.base, name, sync);
	if (!rc) {
		struct image *im = image_of(name);

		image_truncate(im, 0);
		im->exists = false;
		if (sync)
			image_sync(im);
		changed();
	}
	unlock();
	return rc;
}

static int x_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
	(void)v;
	return disk.base->xAccess(disk.base, name, flags, out);
}

static int x_full(sqlite3_vfs *v, const char *name, int n, char *out)
{
	(void)v;
	return disk.base->xFullPathname(disk.base, name, n, out);
}

static int x_random(sqlite3_vfs *v, int n, char *out)
{
	(void)v;
	return disk.base->xRandomness(disk.base, n, out);
}

static int x_sleep(sqlite3_vfs *v, int us)
{
	(void)v;
	return disk.base->xSleep(disk.base, us);
}

static int x_time(sqlite3_vfs *v, double *out)
{
	(void)v;
	return disk.base->xCurrentTime(disk.base, out);
}

static int x_error(sqlite3_vfs *v, int n, char *out)
{
	(void)v;
	return disk.base->xGetLastError(disk.base, n, out);
}

static sqlite3_vfs layer = {.iVersion = 1,
	.mxPathname = 1024,
	.zName = "fault",
	.xOpen = x_open,
	.xDelete = x_delete,
	.xAccess = x_access,
	.xFullPathname = x_full,
	.xRandomness = x_random,
	.xSleep = x_sleep,
	.xCurrentTime = x_time,
	.xGetLastError = x_error};

/* --- for tests ----------------------------------------------------------------------------------------------------------- */

void fault_vfs_install(void)
{
	disk.base = sqlite3_vfs_find("unix");
	layer.szOsFile = (int)sizeof(struct file) + disk.base->szOsFile;
	if (sqlite3_vfs_register(&layer, 1) != SQLITE_OK)
		abort();
	fault_vfs_reset();
}

void fault_vfs_remove(void)
{
	fault_vfs_reset();
	sqlite3_vfs_unregister(&layer);
	sqlite3_vfs_register(disk.base, 1);
}

int fault_vfs_setup(void **state)
{
	(void)state;
	fault_vfs_install();
	return 0;
}

int fault_vfs_teardown(void **state)
{
	(void)state;
	fault_vfs_remove();
	return 0;
}

void fault_vfs_reset(void)
{
	fault_vfs_heal();
	lock();
	for (int i = 0; i < MAX_FILES; i++) {
		struct image *f = &disk.files[i];

		free(f->path);
		free(f->now);
		free(f->durable);
		free(f->dirty);
		*f = (struct image){0};
	}
	memset(disk.counts, 0, sizeof(disk.counts));
	disk.changes = 0;
	unlock();
}

void fault_vfs_heal(void)
{
	lock();
	memset(disk.fail_at, 0, sizeof(disk.fail_at));
	disk.cut_at = 0;
	disk.cut = false;
	disk.capacity = disk.delay_ms = disk.read_ms = 0;
	unlock();
}

uint64_t fault_vfs_count(enum fault_op op)
{
	uint64_t n;

	lock();
	n = disk.counts[op];
	unlock();
	return n;
}

void fault_vfs_fail(enum fault_op op, uint64_t n, uint64_t more)
{
	lock();
	disk.fail_at[op] = n ? disk.counts[op] + n : 0;
	disk.fail_to[op] = disk.fail_at[op] + more;
	unlock();
}

void fault_vfs_capacity(int64_t bytes)
{
	lock();
	disk.capacity = bytes;
	unlock();
}

void fault_vfs_sync_delay(int64_t ms)
{
	lock();
	disk.delay_ms = ms;
	unlock();
}

void fault_vfs_read_delay(int64_t ms)
{
	lock();
	disk.read_ms = ms;
	unlock();
}

void fault_vfs_cut(uint64_t n)
{
	lock();
	disk.cut_at = disk.changes + n;
	unlock();
}

bool fault_vfs_is_cut(void)
{
	bool cut;

	lock();
	cut = disk.cut;
	unlock();
	return cut;
}

uint64_t fault_vfs_changes(void)
{
	uint64_t n;

	lock();
	n = disk.changes;
	unlock();
	return n;
}

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static void leave(const struct image *f, const char *to_dir, uint64_t *state, uint64_t seed)
{
	const char *base = strrchr(f->path, '/');
	bool grown = seed == 1 || (seed > 1 && (draw(state) & 1));
	int64_t len = grown ? f->len : f->durable_len;
	char path[4096];
	FILE *out;

	if (!f->durable_exists && !(f->exists && grown))
		return;
	snprintf(path, sizeof(path), "%s/%s", to_dir, base ? base + 1 : f->path);
	out = fopen(path, "wb");
	for (int64_t at = 0; out && at < len; at += SECTOR) {
		bool made_it = seed == 1 || (seed > 1 && (draw(state) & 1));
		const uint8_t *from = f->dirty[at / SECTOR] && made_it ? f->now : f->durable;
		size_t n = (size_t)(len - at < SECTOR ? len - at : SECTOR);

		if (fwrite(from + at, 1, n, out) != n)
			abort();
	}
	if (!out || fclose(out) != 0)
		abort();
}

void fault_vfs_crash(const char *from_dir, const char *to_dir, uint64_t seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15u;

	lock();
	for (int i = 0; i < MAX_FILES; i++)
		if (disk.files[i].path && strncmp(disk.files[i].path, from_dir, strlen(from_dir)) == 0)
			leave(&disk.files[i], to_dir, &state, seed);
	unlock();
}
