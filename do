#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Everything there is to do with this tree, on a fresh Debian 12. `./do help` says what.
set -euo pipefail
cd "$(dirname "$0")"

# What the build needs, what the tests run against, what lint reads with: all from Debian.
BUILD_PACKAGES="gcc meson ninja-build pkg-config libmodbus-dev libserialport-dev libpaho-mqtt-dev libsqlite3-dev
	libyaml-dev libcmocka-dev libssl-dev libzstd-dev"
TEST_PACKAGES="python3 python3-paho-mqtt python3-pymodbus python3-serial-asyncio mosquitto mosquitto-clients zstd nats-server
	openssl git iproute2 util-linux systemd"
LINT_PACKAGES="clang-format cppcheck"

say() { printf '%s\n' "$*"; }
die() { printf 'do: %s\n' "$*" >&2; exit 1; }

# Installs what is missing of the named packages, and says nothing when nothing is.
need() {
	local missing=() p sudo=""
	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "not root and no sudo: as root, run  apt-get install ${missing[*]}"
		sudo="sudo"
	fi
	say "installing: ${missing[*]}"
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null || die "apt-get update failed"
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" >/dev/null ||
		die "apt-get could not install: ${missing[*]}"
	# Servers that tests start by themselves, on ports of their own, are not to run as services of this machine.
	for p in mosquitto nats-server; do
		if [ -d /run/systemd/system ] && [[ " ${missing[*]} " == *" $p "* ]]; then
			$sudo systemctl --quiet disable --now "$p" || die "systemctl could not stop the $p that was just installed"
		fi
	done
}

# build DIR [meson options] [TARGETS]: sets up once, then builds what changed. Who looks on sees how far it is.
build() {
	local dir=$1 target="" quiet=--quiet
	shift
	if [ $# -gt 0 ] && [[ ${!#} != -* ]]; then
		target=${!#}
		set -- "${@:1:$#-1}"
	fi
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$@" >"/tmp/weir-setup.$$" 2>&1 || { cat "/tmp/weir-setup.$$"; rm -f "/tmp/weir-setup.$$"; die "meson setup failed"; }
		rm -f "/tmp/weir-setup.$$"
	fi
	[ ! -t 1 ] || quiet=""
	# shellcheck disable=SC2086
	ninja -C "$dir" $quiet $target || die "the build failed"
}

# Runs meson's tests in DIR and ends with a line of counts.
run_tests() {
	local dir=$1 r=0
	shift
	meson test -C "$dir" --no-rebuild --print-errorlogs "$@" || r=$?
	/usr/bin/python3 tests/lib/count.py "$dir/meson-logs/testlog.json"
	return $r
}

# The browser test wants these commands, from wherever they come; without them it skips and says so.
want_browser() {
	local c
	for c in chromium npm; do
		command -v "$c" >/dev/null || (need "$c") || say "no $c: the test with a browser will be skipped"
	done
}

do_test() {
	# shellcheck disable=SC2086
	need $BUILD_PACKAGES $TEST_PACKAGES
	if [ "${1:-}" = --sanitize ]; then
		shift
		do_sanitize "$@"
		return
	fi
	want_browser
	build build
	# Most tests of whole gateways wait, for time-outs and devices, and take a tenth of a core: two more than there are cores.
	run_tests build --num-processes "$(($(nproc) + 2))" "$@"
}

# sanitize DIR OPTIONS MESON-ARGUMENTS...: builds with a sanitizer and runs the tests. Reports go to files, since a process
# that a test expects to die, or that weir starts again, would end with its report unseen: one report fails the run.
sanitize() {
	local dir=$1 options=$2 r=0 v
	local n
	local reports=$PWD/$dir/reports
	shift 2
	# Instrumented code confuses gcc's flow warnings; build/ is where they count.
	build "$dir" -Db_sanitize="$options" -Db_lundef=false -Dwerror=false
	mkdir -p "$reports"
	rm -f "$reports"/at.*
	for v in ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:suppressions=$PWD/tests/lib/tsan.supp; do
		export "$v:log_path=$reports/at"
	done
	export LSAN_OPTIONS=suppressions=$PWD/tests/lib/lsan.supp:print_suppressions=0
	run_tests "$dir" --timeout-multiplier 4 "$@" || r=$?
	# A file with nothing in it but the word that swapcontext is not fully supported is no report.
	find "$reports" -name 'at.*' ! -exec grep -qvF makecontext/swapcontext {} \; -delete
	n=$(find "$reports" -name 'at.*' | wc -l)
	if [ "$n" != 0 ]; then
		find "$reports" -name 'at.*' -exec cat {} +
		r=1
	fi
	say "$n reports in $dir/reports"
	return $r
}

do_sanitize() {
	local r=0
	say "address and undefined behaviour sanitizers"
	sanitize build-asan address,undefined "$@" || r=$?
	say "thread sanitizer"
	sanitize build-tsan thread "$@" || r=$?
	return $r
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null || die "not root and no sudo: as root, run  $*"
		sudo "$@"
	fi
}

has_systemd() { [ -d /run/systemd/system ]; }

# The program alone: a first start needs neither the tests nor what they run against.
do_install() {
	# shellcheck disable=SC2086
	need $BUILD_PACKAGES
	build build-install --buildtype=release gateway/weir
	as_root meson install -C build-install --no-rebuild --quiet >/dev/null || die "meson install failed"
	if command -v systemd-sysusers >/dev/null; then # a container without systemd has no service either
		as_root systemd-sysusers weir.conf || die "systemd-sysusers could not make the user weir"
	fi
	as_root mkdir -p /etc/weir
	say "installed: $(/usr/bin/weir version), its manual and weir.service"
	if has_systemd; then
		as_root systemctl daemon-reload
		if systemctl --quiet is-active weir; then
			/usr/bin/weir check /etc/weir/weir.yaml || die "the gateway that runs goes on; mend the file, then  systemctl restart weir"
			as_root systemctl restart weir
			say "the gateway was running: it runs the new one now"
			return
		fi
	fi
	say "next: write /etc/weir/weir.yaml (weir ports names the ports), weir check, then  systemctl enable --now weir"
}

do_uninstall() {
	local f
	if has_systemd; then
		as_root systemctl --quiet disable --now weir 2>/dev/null || true
	fi
	for f in /usr/bin/weir /lib/systemd/system/weir.service /usr/lib/sysusers.d/weir.conf \
		/usr/share/bash-completion/completions/weir /usr/share/man/man1/weir.1 /usr/share/man/man5/weir.yaml.5; do
		as_root rm -f "$f" "$f.gz"
	done
	if has_systemd; then
		as_root systemctl daemon-reload
	fi
	say "removed; /etc/weir, /var/lib/weir with the queue, and the user weir are still there"
}

do_run() {
	# shellcheck disable=SC2086
	need $BUILD_PACKAGES python3
	# What the site is made of, and no tests: those take four times as long to build.
	build build "gateway/weir tests/sim/weir-sim tests/lib/linkcut tests/lib/cloudstub"
	exec tests/sim/demo build "$@"
}

# A word to the site that ./do run started: cut, heal, reset, dead, alive.
do_tell() {
	need python3
	exec tests/sim/demo build --tell "$1"
}

do_lint() {
	# shellcheck disable=SC2086
	need $BUILD_PACKAGES $LINT_PACKAGES python3 git
	local sources
	mapfile -t sources < <(git ls-files '*.c' '*.h')
	clang-format --dry-run -Werror "${sources[@]}" || die "layout differs from .clang-format; mend it with ./do format"
	say "layout: ${#sources[@]} files as .clang-format wants them"
	/usr/bin/python3 tests/check_tree.py
	[ -f build/build.ninja ] || build build
	# Leaks are the sanitizers' business: cppcheck does not follow memory into a list or a parent.
	cppcheck --quiet --std=c11 --enable=warning,performance --inline-suppr --error-exitcode=1 -j2 \
		--suppress=missingIncludeSystem --suppress=memleak --suppress=normalCheckLevelMaxBranches -D__linux__ -D_GNU_SOURCE \
		-DWEIR_VERSION='"0"' -I. base config store broker drivers bridge gateway || die "cppcheck found something"
	say "cppcheck: nothing"
}

do_format() {
	# shellcheck disable=SC2086
	need clang-format git
	git ls-files '*.c' '*.h' | xargs clang-format -i
}

do_bench() {
	# shellcheck disable=SC2086
	need $BUILD_PACKAGES $TEST_PACKAGES
	build build-release --buildtype=release -Db_lto=true -Db_ndebug=true
	exec tests/bench/run build-release "$@"
}

do_torture() {
	# shellcheck disable=SC2086
	need $BUILD_PACKAGES $TEST_PACKAGES
	build build
	exec /usr/bin/python3 tests/torture/torture.py --build build "$@"
}

do_help() {
	cat <<-'TEXT'
	./do run                 install what is missing, build, and start weir on a simulated site with a stand-in
	                         cloud; shows values, what the cloud received and the queue; Ctrl-C ends it all
	./do cut|heal|reset      break and mend the link of the site that runs, and watch its queue
	./do dead|alive          one slave of that site falls silent, and comes back
	./do install             install what is missing, build the program alone, and install it with its manual and its
	                         systemd unit; a gateway that runs is restarted on it
	./do uninstall           the opposite; configuration and queue stay
	./do test [NAME...]      install, build, run every test (or the named ones); ends with a line of counts
	./do test --sanitize     all of it under ASan+UBSan, then under TSan; takes meson's --suite unit and the like
	./do torture [--seed N] [--minutes M]
	                         random faults against the whole thing, then an account of every message
	./do bench [NAME...]     measure, beside a peer or a physical limit in the same run
	./do lint                layout, direction of includes, cppcheck
	./do format              lay the sources out as .clang-format wants them
	./do help                this
	TEXT
}

verb=${1:-help}
[ $# -gt 0 ] && shift
case "$verb" in
run | install | uninstall | test | lint | format | bench | torture | help) "do_$verb" "$@" ;;
cut | heal | reset | dead | alive) do_tell "$verb" ;;
-h | --help) do_help ;;
*) die "no such thing as '$verb'; ./do help lists what there is" ;;
esac
