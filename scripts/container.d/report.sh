# shellcheck shell=bash
# Running scenarios, two at a time, and the table at the end. A gateway that boots
# or stops keeps one core busy at most half of its time.
# shellcheck disable=SC2034,SC2154 # what other parts set and use

lanes=${SMOKE_LANES:-2}
scenarios=() # their functions, in the order of the table
lane_pids=()

# scenario TITLE FUNCTION: one row of the table. The function fails, or it ends
# with not_run, or it leaves its evidence.
scenario() {
	[[ -z ${only-} || $2 == *"$only"* ]] || return 0
	while ((${#lane_pids[@]} >= lanes)); do
		free_lane
	done
	scenarios+=("$2")
	mkdir "$work/$2"
	run_scenario "$@" &
	lane_pids+=($!)
}

# free_lane waits until one of the scenarios that run has ended.
free_lane() {
	local pid left=()
	wait -n "${lane_pids[@]}" || true
	for pid in "${lane_pids[@]}"; do
		! kill -0 "$pid" 2>/dev/null || left+=("$pid")
	done
	lane_pids=("${left[@]}")
}

# await_scenario FUNCTION waits until that scenario has ended.
await_scenario() {
	while ((${#lane_pids[@]})) && [[ -d $work/$1 && ! -f $work/$1/row ]]; do
		free_lane
	done
}

# run_scenario is a process of its own, with names and a directory of its own. Where
# the machine was too busy for a deadline that a gateway sets itself at its start,
# the scenario is run once more.
run_scenario() {
	local title=$1 function=$2 code result again='' start=$SECONDS
	trap - EXIT INT TERM HUP
	own_names "$function"
	work=$work/$function
	try_scenario "$function"
	if [[ $code != 0 && $code != 75 ]] && too_busy; then
		echo "$title: $function is run again, for a gateway gave its own start up"
		again='again: '
		sweep >/dev/null 2>&1
		rm -rf "${work:?}"
		mkdir "$work"
		try_scenario "$function"
	fi
	case $code in
	0) result=ok ;;
	75) result='NOT RUN' ;;
	*)
		result=FAILED
		explain >"$work/explained"
		;;
	esac
	sweep >/dev/null 2>&1
	echo "$result" >"$work/result"
	printf '%-50s %-8s %4d s  %s%s\n' "$title" "$result" $((SECONDS - start)) "$again" "$(tr '\n' ' ' <"$work/evidence")" >"$work/row"
	cat "$work/row"
	if [[ -s $work/explained ]]; then
		cat "$work/explained"
	fi
}

# try_scenario FUNCTION sets code.
try_scenario() {
	: >"$work/evidence"
	# Not within "if": that would switch off "set -e" in the scenario.
	set +e
	(
		set -e
		"$1"
	) >"$work/log" 2>&1 </dev/null
	code=$?
}

# too_busy: a gateway of this scenario has ended because its lease's heartbeat did
# not start in time (2026.9.5 and 2026.9.6, at ten processes a core), or over a lock of
# its own (2026.9.6, one boot of 24).
too_busy() {
	local container late='state lease heartbeat did not become ready
sidecars failed to start: Error: database is locked'
	# Compose, and what CI runs, have removed their containers by now; what those
	# said is in a log.
	! grep -rF --include=log --include=gateway.log "$late" "$work" >/dev/null || return 0
	for container in $("$docker" ps --all --quiet --filter "label=$label"); do
		! timeout 30 "$docker" logs "$container" 2>&1 | grep -F "$late" >/dev/null || return 0
	done
	return 1
}

# own_names FUNCTION sets the prefix of all names, and the label, of a scenario.
own_names() {
	run=bs$$-${1//_/-}
	label=bootstrap-smoke=$run
}

# explain shows what a failed scenario and its containers said.
explain() {
	local container
	tail -n 25 "$work/log" | sed 's/^/    /'
	for container in $("$docker" ps --all --quiet --filter "label=$label"); do
		printf '    ---- %s\n' "$(timeout 30 "$docker" inspect --format '{{.Name}} {{.State.Status}} {{.State.ExitCode}}' "$container")"
		timeout 30 "$docker" logs --tail 15 "$container" 2>&1 | cut -c 1-300 | sed 's/^/    /'
	done
	[[ -s $work/evidence ]] || tail -n 1 "$work/log" | cut -c 1-150 >"$work/evidence"
}

evidence() { printf '%s\n' "$*" >>"$work/evidence"; }

# not_run WHY: a scenario that cannot be run here says so in the table.
not_run() {
	evidence "$*"
	exit 75
}

# fail WHY ends the scenario.
fail() {
	evidence "$*"
	echo "FAILED: $*"
	exit 1
}

# table waits for the scenarios, prints all rows, and fails if one has failed.
table() {
	local each failed=0
	while ((${#lane_pids[@]})); do
		free_lane
	done
	printf '\n%-50s %-8s %6s  %s\n' scenario result time evidence
	for each in "${scenarios[@]}"; do
		cat "$work/$each/row" || echo "$each: no result"
		[[ $(cat "$work/$each/result") =~ ^(ok|NOT RUN)$ ]] || failed=1
	done
	return "$failed"
}

# stop_scenarios ends those that still run, and removes what they have made.
stop_scenarios() {
	local each
	((${#lane_pids[@]} == 0)) || kill "${lane_pids[@]}" 2>/dev/null || true
	for each in "${scenarios[@]}"; do
		own_names "$each"
		sweep >/dev/null 2>&1 || true
	done
}
