# SPDX-License-Identifier: ISC
# The test runner sees failures, crashes, hangs, lies about the plan, skips and leftovers.
. "$(dirname "$0")/../lib.sh"

TREE=$WORK/tree
mkdir -p "$TREE/tests/e2e" "$TREE/build"
cp "$ROOT/tests/run" "$TREE/tests/run"

# suite NAME: a script from standard input
suite() { cat >"$TREE/tests/e2e/$1.sh"; }

# outcome NAME PATTERN EXIT DESCRIPTION: run one suite and look at the runner's words and exit
outcome() {
	local output status
	output=$(python3 "$TREE/tests/run" --build "$TREE/build" --suite "e2e/$1" 2>&1)
	status=$?
	if [ "$status" -ne "$3" ]; then
		not_ok "$4"
		diag "exit $status, wanted $3" "$output"
	else
		like "$output" "$2" "$4"
	fi
}

suite good <<-'EOT'
	echo "ok 1 - a"
	echo "ok 2 - b"
	echo "1..2"
EOT
suite fails <<-'EOT'
	echo "1..2"
	echo "ok 1 - a"
	echo "not ok 2 - the broken one"
	echo "# because"
	exit 1
EOT
suite crashes <<-'EOT'
	echo "ok 1 - a"
	echo "1..1"
	kill -SEGV $$
EOT
suite dies <<-'EOT'
	echo "ok 1 - a"
	echo "1..1"
	exit 3
EOT
suite short <<-'EOT'
	echo "1..3"
	echo "ok 1 - a"
EOT
suite unplanned <<<'echo "ok 1 - a"'
suite silent <<<'true'
suite hangs <<-'EOT'
	# suite-timeout: 1
	echo "ok 1 - a"
	sleep 60
EOT
suite leaves <<-'EOT'
	setsid sleep 60 & echo $! >build/left
	sleep 60 & echo $! >>build/left
	echo "ok 1 - a"
	echo "1..1"
EOT
# Each of these ends only if the other runs at the same time; one leaves an orphan meanwhile.
suite both_a <<-'EOT'
	setsid sh -c 'sleep 60 & echo $! >build/orphan' && touch build/a
	until [ -e build/b ]; do sleep 0.1; done
	echo "ok 1 - a"
	echo "1..1"
EOT
suite both_b <<-'EOT'
	touch build/b
	until [ -e build/a ]; do sleep 0.1; done
	echo "ok 1 - b"
	echo "1..1"
EOT
for name in first second; do
	suite "single_$name" <<-'EOT'
		# alone: it says so
		mkdir build/single && sleep 0.3 && rmdir build/single && echo "ok 1 - a"
		echo "1..1"
	EOT
done
suite single_beside <<-'EOT'
	sleep 0.3
	[ ! -e build/single ] && echo "ok 1 - a"
	echo "1..1"
EOT
suite waits <<-'EOT'
	trap 'touch build/cleaned; exit 1' TERM
	touch build/waits
	for i in $(seq 600); do sleep 0.1; done
EOT
suite one_skip <<-'EOT'
	echo "ok 1 - a"
	echo "ok 2 - b # SKIP no such kernel"
	echo "1..2"
EOT
suite skips_all <<<'echo "1..0 # SKIP needs a moon"'
suite skips_77 <<-'EOT'
	echo "needs a sun"
	exit 77
EOT
suite cmocka <<-'EOT'
	echo "1..2"
	echo "ok 1 - a"
	echo "no kernel for that"
	echo "not ok 2 # SKIP test_b"
EOT
suite bails <<-'EOT'
	echo "ok 1 - a"
	echo "Bail out! no disk"
EOT

outcome good '^2 passed, 0 failed, 0 skipped$' 0 "a good suite passes"
outcome fails '^FAIL e2e/fails: the broken one$' 1 "a failed test is named"
outcome fails '^     # because$' 1 "its diagnostics are shown"
outcome fails '^1 passed, 1 failed, 0 skipped$' 1 "and counted"
outcome crashes 'ended by SIGSEGV' 1 "a crash after good results fails"
outcome dies 'exit status 3' 1 "an exit status that no test explains fails"
outcome short 'planned 3 tests, printed 1' 1 "missing tests fail"
outcome unplanned 'ended before its plan' 1 "a missing plan fails"
outcome silent 'printed no test' 1 "a suite without tests fails"
outcome hangs 'no end after 1 seconds' 1 "a hanging suite is ended and fails"
outcome leaves 'left processes behind' 1 "leftover processes fail"
outcome one_skip '^SKIP e2e/one_skip: b: no such kernel$' 0 "a skip is shown with its reason"
outcome one_skip '^1 passed, 0 failed, 1 skipped$' 0 "and counted"
outcome skips_all 'SKIP e2e/skips_all: all: needs a moon' 1 "all skipped is no success"
outcome skips_77 'SKIP e2e/skips_77: all: needs a sun' 1 "exit 77 is a skip"
outcome cmocka 'SKIP e2e/cmocka: test_b: no kernel for that' 0 "cmocka's skips are read"
outcome bails 'Bail out! no disk' 1 "a bail-out fails"
outcome nothing_like_it '^0 passed' 1 "no suite at all is no success"
outcome both_ '^FAIL e2e/both_a: left processes behind$' 1 "suites run side by side; an orphan's suite is named"
outcome both_ '^2 passed, 1 failed, 0 skipped$' 1 "and only that one"
for pid in $(cat "$TREE/build/left" "$TREE/build/orphan"); do
	check "leftover process is ended" is_gone "$pid"
done
outcome single_ '^3 passed, 0 failed, 0 skipped$' 0 "a suite that wants to be alone is"

# interrupted SIGNAL DESCRIPTION: the runner is ended; the suite cleans up
interrupted() {
	rm -f "$TREE/build/waits" "$TREE/build/cleaned"
	start_quietly "$WORK/interrupted" python3 "$TREE/tests/run" --build "$TREE/build" --suite e2e/waits
	within 10 test -e "$TREE/build/waits"
	stop "$STARTED_PID" "$1"
	check "$2" within 10 test -e "$TREE/build/cleaned"
}
interrupted KILL "a runner is killed: its suites clean up"
interrupted TERM "a runner is ended: its suites clean up"
finish
