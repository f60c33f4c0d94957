/* SPDX-License-Identifier: MIT */
/* fuzz_main.c - runs a fuzz target as an ordinary test: each file of its corpus, then mutations of them.
 *
 *	fuzz_X [-n MUTATIONS] [-s SEED] FILE|DIRECTORY...
 *
 * The same arguments give the same inputs, always, so that a failure can be had again. Each input stands in a block
 * of exactly its size: one byte read past it is found by AddressSanitizer. An input that crashes, or runs longer
 * than HANG_S, is written to ./fuzz-failure.bin; kept in the corpus it is tested for ever. A target is one function,
 * so libFuzzer can drive it in place of this file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* There when a sanitizer is linked in. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum {
	MAX_FILES = 4096,
	INPUT_CAP = 256 * 1024,
	MAX_STACKED = 6, /* mutations on top of each other */
	HANG_S = 20,
};

struct blob {
	uint8_t *at;
	size_t len;
};

static struct blob corpus[MAX_FILES];
static size_t corpus_count;
static uint64_t random_state;

/* What is being run: for the handlers. */
static struct blob current;

static uint64_t draw(void) /* splitmix64 */
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return n ? (size_t)(draw() % n) : 0;
}

/* --- one input ----------------------------------------------------------------------------------------------- */

static void keep_current(void)
{
	static const char said[] = "fuzz: the input is in ./fuzz-failure.bin\n";
	int fd = open("fuzz-failure.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool kept = fd >= 0 && write(fd, current.at, current.len) == (ssize_t)current.len;

	if (fd >= 0)
		close(fd);
	if (kept && write(STDERR_FILENO, said, sizeof(said) - 1) < 0)
		return;
}

static void on_signal(int sig)
{
	keep_current();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_failures(void)
{
	signal(SIGALRM, on_signal);
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(keep_current);
		return;
	}
	signal(SIGABRT, on_signal);
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	signal(SIGFPE, on_signal);
	signal(SIGILL, on_signal);
}

static void run(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	if (!exact)
		abort();
	if (len)
		memcpy(exact, bytes, len);
	current = (struct blob){exact, len};
	alarm(HANG_S);
	LLVMFuzzerTestOneInput(exact, len);
	alarm(0);
	current = (struct blob){0};
	free(exact);
}

/* --- mutations: each changes buf of *len bytes in place, never past INPUT_CAP ---------------------------------- */

static void insert_at(uint8_t *buf, size_t *len, size_t at, const uint8_t *bytes, size_t n)
{
	if (n > INPUT_CAP - *len)
		n = INPUT_CAP - *len;
	memmove(buf + at + n, buf + at, *len - at);
	memcpy(buf + at, bytes, n);
	*len += n;
}

static void flip_bit(uint8_t *buf, size_t *len)
{
	if (*len)
		buf[below(*len)] ^= (uint8_t)(1u << below(8));
}

static void set_byte(uint8_t *buf, size_t *len)
{
	static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '\n', '/', '#', '+', ':', '{', '[', '"', '-', '0'};

	if (*len)
		buf[below(*len)] = draw() & 1 ? edges[below(sizeof(edges))] : (uint8_t)draw();
}

static void set_number(uint8_t *buf, size_t *len)
{
	static const uint32_t edges[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0xffffffff, 268435455};
	uint32_t v = edges[below(sizeof(edges) / sizeof(edges[0]))];
	uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	size_t width = draw() & 1 ? 2 : 4;

	if (*len >= width)
		memcpy(buf + below(*len - width + 1), bytes + 4 - width, width);
}

static void cut(uint8_t *buf, size_t *len)
{
	size_t at = below(*len);
	size_t n = below(*len - at < 64 ? *len - at + 1 : 64);

	memmove(buf + at, buf + at + n, *len - at - n);
	*len -= n;
}

static void truncate_end(uint8_t *buf, size_t *len)
{
	(void)buf;
	*len = below(*len + 1);
}

static void insert_random(uint8_t *buf, size_t *len)
{
	uint8_t bytes[16];
	size_t n = 1 + below(sizeof(bytes));
	bool same = draw() & 1;

	for (size_t i = 0; i < n; i++)
		bytes[i] = same && i ? bytes[0] : (uint8_t)draw();
	insert_at(buf, len, below(*len + 1), bytes, n);
}

static void repeat(uint8_t *buf, size_t *len)
{
	uint8_t piece[64];
	size_t at = below(*len);
	size_t n = below(*len - at < sizeof(piece) ? *len - at + 1 : sizeof(piece));

	memcpy(piece, buf + at, n);
	for (size_t i = 1 + below(8); i > 0; i--)
		insert_at(buf, len, at, piece, n);
}

/* The head of this one and the tail of another. */
static void graft(uint8_t *buf, size_t *len)
{
	struct blob other = corpus[below(corpus_count)];
	size_t from = below(other.len + 1);

	*len = below(*len + 1);
	insert_at(buf, len, *len, other.at + from, other.len - from);
}

static bool in_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
	       c == '.';
}

/* The word at or behind a random place; empty at the end. */
static struct blob some_word(struct blob in)
{
	size_t begin = below(in.len + 1), end;

	while (begin < in.len && !in_word(in.at[begin]))
		begin++;
	for (end = begin; end < in.len && in_word(in.at[end]); end++)
		;
	return (struct blob){in.at + begin, end - begin};
}

/* One word for another: what keeps a text well-formed and makes it mean something else. */
static void trade_word(uint8_t *buf, size_t *len)
{
	struct blob out = some_word((struct blob){buf, *len});
	struct blob in = some_word(corpus[below(corpus_count)]);
	size_t at = (size_t)(out.at - buf);

	memmove(out.at, out.at + out.len, *len - at - out.len);
	*len -= out.len;
	insert_at(buf, len, at, in.at, in.len);
}

static void (*const mutations[])(uint8_t *buf, size_t *len) = {
	flip_bit,
	set_byte,
	set_byte,
	set_number,
	cut,
	truncate_end,
	insert_random,
	repeat,
	graft,
	trade_word,
	trade_word,
	trade_word,
};

static void run_mutation(uint8_t *buf)
{
	struct blob seed = corpus[below(corpus_count)];
	size_t len = seed.len;

	memcpy(buf, seed.at, len);
	for (size_t i = 1 + below(MAX_STACKED); i > 0; i--)
		mutations[below(sizeof(mutations) / sizeof(mutations[0]))](buf, &len);
	run(buf, len);
}

/* --- the corpus ---------------------------------------------------------------------------------------------- */

static void die(const char *what)
{
	fprintf(stderr, "fuzz: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void load_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct blob b = {malloc(INPUT_CAP), 0};

	if (!f || !b.at || corpus_count == MAX_FILES)
		die(path);
	b.len = fread(b.at, 1, INPUT_CAP, f);
	if (ferror(f))
		die(path);
	fclose(f);
	corpus[corpus_count++] = b;
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* In order of name, so that a run can be had again on any file system. */
static void load(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n;

	if (stat(path, &st) < 0)
		die(path);
	if (!S_ISDIR(st.st_mode)) {
		load_file(path);
		return;
	}
	n = scandir(path, &names, visible, alphasort);
	if (n < 0)
		die(path);
	for (int i = 0; i < n; i++) {
		char *full;

		if (asprintf(&full, "%s/%s", path, names[i]->d_name) < 0)
			die(path);
		load_file(full);
		free(full);
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	unsigned long count = 4000;
	uint8_t *buf = malloc(INPUT_CAP);
	int opt;

	while ((opt = getopt(argc, argv, "n:s:")) != -1) {
		if (opt == 'n')
			count = strtoul(optarg, NULL, 10);
		else if (opt == 's')
			random_state = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	for (int i = optind; i < argc; i++)
		load(argv[i]);
	if (!buf || corpus_count == 0) {
		fprintf(stderr, "fuzz: no corpus: give files or directories that hold some\n");
		return 2;
	}
	catch_failures();
	run(NULL, 0);
	for (size_t i = 0; i < corpus_count; i++)
		run(corpus[i].at, corpus[i].len);
	for (unsigned long i = 0; i < count; i++)
		run_mutation(buf);
	printf("fuzz: %zu files and %lu mutations of them\n", corpus_count, count);
	for (size_t i = 0; i < corpus_count; i++)
		free(corpus[i].at);
	free(buf);
	return 0;
}
