/* SPDX-License-Identifier: MIT */
#include "store/store.h"

static const struct key_choice durabilities[] = {
	{"power", STORE_POWER, "flushed to the disk before anything is acknowledged: survives a power cut"},
	{"process", STORE_PROCESS, "handed to the kernel: survives a crash of weir, not a power cut"},
	{0},
};

static const struct key_choice clocks[] = {
	{"auto", STORE_CLOCK_AUTO,
		"when the kernel says that it is synchronised; or at once, on a machine whose clock went on while it "
		"was off,"
		" unless it is behind this program or behind the newest record"},
	{"synced", STORE_CLOCK_SYNCED, "only when the kernel says that it is synchronised"},
	{"always", STORE_CLOCK_ALWAYS, "it is never doubted"},
	{0},
};

static const struct key_choice on_fulls[] = {
	{"evict", STORE_EVICT, "the lowest class goes first, its oldest records first, and a gap record says so"},
	{"refuse", STORE_REFUSE, "new messages are refused until the upstreams have taken something"},
	{0},
};

static const struct key thin_keys[] = {
	{"topics", KEY_FILTER, offsetof(struct store_thin, topics), .required = true,
		.help = "readings that may be thinned, of the classes telemetry and bulk; those whose payload is no "
			"number,"
			" and no object that begins with a number \"v\", are left as they are"},
	{"bucket", KEY_TIME, offsetof(struct store_thin, bucket_ms), .dflt = "1m", .min = 1000, .max = 86400000,
		.help = "of each topic, the first, the last, the least and the greatest reading of so long a time "
			"stay"},
};

static const struct key_table thin_table = KEY_TABLE_OF("thinning", struct store_thin, thin_keys,
	.help = "Before anything is evicted or refused at max_bytes, the oldest readings are thinned: those that stay "
		"say so, and a gap record counts those that went.");

static const struct key keys[] = {
	{"dir", KEY_PATH, offsetof(struct store_opts, dir), .dflt = "/var/lib/weir", .min = 1, .max = 3900,
		.help = "directory of queue.db, made if it is not there"},
	{"max_bytes", KEY_SIZE, offsetof(struct store_opts, max_bytes), .dflt = "1GiB", .min = 1 << 20,
		.max = INT64_C(1) << 42,
		.help = "the most that the queue takes on the disk, with its write-ahead log and all"},
	{"preallocate", KEY_BOOL, offsetof(struct store_opts, preallocate), .dflt = "true",
		.help = "take max_bytes from the disk at the start, so that others who fill it cannot stop the queue"},
	{"keep_free", KEY_SIZE, offsetof(struct store_opts, keep_free), .dflt = "0", .min = 0, .max = INT64_C(1) << 42,
		.help = "room on the disk that is left to others: while there is less, the queue does not grow, gives "
			"back what it does not need of its file, and acts as at max_bytes (512 KiB it may have in any "
			"case); nothing is preallocated that would take it"},
	{"memory_bytes", KEY_SIZE, offsetof(struct store_opts, memory_bytes), .dflt = "16MiB", .min = 64 * 1024,
		.max = INT64_C(1) << 32,
		.help = "messages that wait for the disk; past this their senders are held back"},
	{"commit_ms", KEY_INT, offsetof(struct store_opts, commit_ms), .dflt = "10", .min = 0, .max = 60000,
		.help = "the longest a record waits for others to share its flush; a message whose sender waits for an"
			" acknowledgement goes sooner when nobody else comes"},
	{"batch", KEY_INT, offsetof(struct store_opts, batch), .dflt = "10000", .min = 1, .max = 100000,
		.help = "records that share one flush, at most"},
	{"durability", KEY_ENUM, offsetof(struct store_opts, durability), .dflt = "power", .choices = durabilities,
		.help = "what an acknowledged message survives"},
	{"on_full", KEY_ENUM, offsetof(struct store_opts, on_full), .dflt = "evict", .choices = on_fulls,
		.help = "what happens at max_bytes"},
	{"clock", KEY_ENUM, offsetof(struct store_opts, clock), .dflt = "auto", .choices = clocks,
		.help = "when the wall clock is believed; records that were taken before say `clock: unsynced`, and "
			"their times"
			" are put right when it is"},
	{"thin", KEY_LIST, offsetof(struct store_opts, thin), .table = &thin_table, .max = 64,
		.help = "what may be thinned before anything is evicted or refused; the first that matches holds"},
	{"keep", KEY_TIME, offsetof(struct store_opts, keep_ms), .dflt = "0s", .min = 0, .max = INT64_C(315360000000),
		.help = "acknowledged records stay this long as local history; they go first when room is needed"},
	{"keep_bytes", KEY_SIZE, offsetof(struct store_opts, keep_bytes), .dflt = "0", .min = 0,
		.max = INT64_C(1) << 42,
		.help = "acknowledged records stay as long as the queue takes less than this; with keep, both hold"},
};

const struct key_table store_table = KEY_TABLE_OF("store", struct store_opts, keys,
	.help = "The store-and-forward queue: every message that an upstream selects is kept here until the upstream "
		"has"
		" acknowledged it.");
