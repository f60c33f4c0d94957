/* SPDX-License-Identifier: MIT */
/* fault_vfs.h - a disk that fails when a test says so: a layer on SQLite's own unix files.
 *
 * Installed, it is the default of the process. It counts operations, fails the nth of a kind (once, or from then on),
 * has a capacity, delays flushes, and keeps for each file what a power cut would leave: fault_vfs_crash() writes that
 * into another directory, with each 512-byte sector that was written since the last flush kept or lost by chance.
 * Flushes do not reach the real disk: only this record of them counts. Index files (-shm) are not recorded: they are
 * memory that the kernel happens to keep.
 * Threads   any; one lock.
 */
#ifndef TESTS_LIB_FAULT_VFS_H
#define TESTS_LIB_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_op {
	FAULT_OPEN,
	FAULT_READ,
	FAULT_WRITE,
	FAULT_SYNC,
	FAULT_TRUNCATE,
	FAULT_SHM,
	FAULT_SIZE,
	FAULT_DELETE,
	N_FAULT_OPS
};

void fault_vfs_install(void);
void fault_vfs_remove(void); /* SQLite's own again; forgets everything */
/* The same around a test of cmocka's. */
int fault_vfs_setup(void **state);
int fault_vfs_teardown(void **state);
void fault_vfs_reset(void); /* no faults, counts at zero, all records forgotten */

uint64_t fault_vfs_count(enum fault_op op);
const char *fault_vfs_name(enum fault_op op);
/* The nth from now (1: the next) fails, and `more` after it. n 0: none. */
void fault_vfs_fail(enum fault_op op, uint64_t n, uint64_t more);
void fault_vfs_heal(void); /* no faults from now on; power as well */

void fault_vfs_capacity(int64_t bytes); /* of all files together; 0: no bound */
void fault_vfs_sync_delay(int64_t ms);
void fault_vfs_read_delay(int64_t ms);

/* The nth write, truncate, delete or flush from now is the last thing that happens: all later ones fail. */
void fault_vfs_cut(uint64_t n);
bool fault_vfs_is_cut(void);
uint64_t fault_vfs_changes(void); /* operations that fault_vfs_cut() counts */
/* What the disk holds of a directory after a power cut at this moment. seed: which unflushed sectors made it; 0: none, 1: all. */
void fault_vfs_crash(const char *from_dir, const char *to_dir, uint64_t seed);

#endif
