/* SPDX-License-Identifier: MIT */
/* Edge-triggered watches. */
#include "tests/base/loop_rig.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair {
	struct ear ear;
	int ours, theirs;
};

static void open_pair(struct pair *p, struct loop *l)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*p = (struct pair){ear_on(l), fds[0], fds[1]};
	assert_int_equal(loop_watch(l, &p->ear.watch, p->ours, EPOLLIN | EPOLLET), 0);
}

static void close_pair(struct pair *p)
{
	loop_unwatch(p->ear.loop, &p->ear.watch);
	close(p->ours);
	close(p->theirs);
}

static void say(struct pair *p)
{
	assert_int_equal(write(p->theirs, "x", 1), 1);
}

static void on_an_edge_what_was_not_taken_is_told_again_when_it_is_asked_for(void **state)
{
	struct rig *rig = *state;
	struct pair p;

	open_pair(&p, rig->loop);
	say(&p);
	rig_turn(rig);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 1);
	assert_int_equal(loop_again(rig->loop, &p.ear.watch), 0);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 2);
	assert_int_equal(loop_rewatch(rig->loop, &p.ear.watch, EPOLLIN), 0);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 3);
	close_pair(&p);
}

static void on_an_edge_what_was_taken_is_not_told_again_and_what_comes_then_is(void **state)
{
	struct rig *rig = *state;
	struct pair p;
	char bytes[8];

	open_pair(&p, rig->loop);
	say(&p);
	rig_turn(rig);
	assert_int_equal(read(p.ours, bytes, sizeof(bytes)), 1);
	loop_took(&p.ear.watch, EPOLLIN);
	assert_int_equal(loop_again(rig->loop, &p.ear.watch), 0);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 1);
	say(&p);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 2);
	close_pair(&p);
}

static void on_an_edge_what_came_while_nobody_waited_is_told_to_who_waits_again(void **state)
{
	struct rig *rig = *state;
	struct pair p;

	open_pair(&p, rig->loop);
	assert_int_equal(loop_rewatch(rig->loop, &p.ear.watch, 0), 0);
	say(&p);
	rig_turn(rig);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 0);
	assert_int_equal(loop_rewatch(rig->loop, &p.ear.watch, EPOLLIN), 0);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 1);
	assert_int_equal(p.ear.events, EPOLLIN);
	close_pair(&p);
}

/* Bytes and the end came as one edge: a short read took the bytes alone. */
static void on_an_edge_the_end_behind_the_last_bytes_is_told_as_well(void **state)
{
	struct rig *rig = *state;
	struct pair p;
	char bytes[8];

	open_pair(&p, rig->loop);
	say(&p);
	assert_int_equal(shutdown(p.theirs, SHUT_WR), 0);
	rig_turn(rig);
	assert_int_equal(read(p.ours, bytes, sizeof(bytes)), 1);
	loop_took(&p.ear.watch, EPOLLIN);
	assert_int_equal(loop_again(rig->loop, &p.ear.watch), 0);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 2);
	assert_int_equal(read(p.ours, bytes, sizeof(bytes)), 0);
	close_pair(&p);
}

static void on_an_edge_room_to_write_is_told_only_to_who_waits_for_it(void **state)
{
	struct rig *rig = *state;
	struct pair p;

	open_pair(&p, rig->loop);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 0);
	assert_int_equal(loop_rewatch(rig->loop, &p.ear.watch, EPOLLIN | EPOLLOUT), 0);
	rig_turn(rig);
	assert_int_equal(p.ear.events, EPOLLOUT);
	loop_took(&p.ear.watch, EPOLLOUT); /* as if a write had gone short */
	assert_int_equal(loop_rewatch(rig->loop, &p.ear.watch, EPOLLIN | EPOLLOUT), 0);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 1);
	assert_int_equal(loop_rewatch(rig->loop, &p.ear.watch, EPOLLIN), 0);
	say(&p);
	rig_turn(rig);
	assert_int_equal(p.ear.events, EPOLLIN);
	close_pair(&p);
}

static void an_edge_that_was_looked_at_early_is_heard_in_the_next_turn(void **state)
{
	struct rig *rig = *state;
	struct pair p;

	open_pair(&p, rig->loop);
	rig_turn(rig);
	assert_false(loop_has_ready(rig->loop));
	say(&p);
	assert_true(loop_has_ready(rig->loop));
	assert_true(loop_has_ready(rig->loop));
	assert_int_equal(p.ear.heard, 0);
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 1);
	assert_false(loop_has_ready(rig->loop));
	close_pair(&p);
}

static void an_edge_that_nobody_waits_for_disturbs_nobody_and_is_told_to_who_waits_then(void **state)
{
	struct rig *rig = *state;
	struct pair p;

	open_pair(&p, rig->loop);
	assert_int_equal(loop_rewatch(rig->loop, &p.ear.watch, 0), 0);
	say(&p);
	assert_false(loop_has_ready(rig->loop));
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 0);
	assert_int_equal(loop_rewatch(rig->loop, &p.ear.watch, EPOLLIN), 0);
	assert_true(loop_has_ready(rig->loop));
	rig_turn(rig);
	assert_int_equal(p.ear.heard, 1);
	close_pair(&p);
}

static void a_watch_that_is_gone_does_not_hear_what_was_looked_at_early(void **state)
{
	struct rig *rig = *state;
	struct pair p, other;

	open_pair(&p, rig->loop);
	open_pair(&other, rig->loop);
	say(&p);
	say(&other);
	assert_true(loop_has_ready(rig->loop));
	close_pair(&p);
	memset(&p, 0xff, sizeof(p)); /* freed, for what the loop may know */
	rig_turn(rig);
	assert_int_equal(other.ear.heard, 1);
	close_pair(&other);
}

static void what_is_level_triggered_is_heard_once_a_turn_although_it_was_looked_at_early(void **state)
{
	struct rig *rig = *state;
	struct ear e = ear_on(rig->loop);
	int fd = eventfd(1, EFD_NONBLOCK);

	assert_int_equal(loop_watch(rig->loop, &e.watch, fd, EPOLLIN), 0);
	assert_true(loop_has_ready(rig->loop));
	rig_turn(rig);
	assert_int_equal(e.heard, 1);
	loop_unwatch(rig->loop, &e.watch);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(on_an_edge_what_was_not_taken_is_told_again_when_it_is_asked_for),
		RIGGED(on_an_edge_what_was_taken_is_not_told_again_and_what_comes_then_is),
		RIGGED(on_an_edge_what_came_while_nobody_waited_is_told_to_who_waits_again),
		RIGGED(on_an_edge_the_end_behind_the_last_bytes_is_told_as_well),
		RIGGED(on_an_edge_room_to_write_is_told_only_to_who_waits_for_it),
		RIGGED(an_edge_that_was_looked_at_early_is_heard_in_the_next_turn),
		RIGGED(an_edge_that_nobody_waits_for_disturbs_nobody_and_is_told_to_who_waits_then),
		RIGGED(a_watch_that_is_gone_does_not_hear_what_was_looked_at_early),
		RIGGED(what_is_level_triggered_is_heard_once_a_turn_although_it_was_looked_at_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
