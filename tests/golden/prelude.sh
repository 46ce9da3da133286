#!/bin/sh
# Read by every case before its own text. The working directory is empty and the case's own.

SVDIR=$PWD/sv
export SVDIR
mkdir sv
umask 022

# script FILE TEXT: an executable shell script.
script() {
	mkdir -p "$(dirname "$1")"
	printf '#!/bin/sh\n%s\n' "$2" >"$1"
	chmod 755 "$1"
}

# service NAME [TEXT]: a service directory with that run script.
service() {
	script "sv/$1/run" "${2-exec sleep 1000}"
}

# A run script that writes the signals it gets to ./signals and stays.
# shellcheck disable=SC2016,SC2034
SIGNALS='for s in HUP INT QUIT USR1 USR2 ALRM TERM CONT; do trap "echo $s >>signals" $s; done
echo ready >>signals
while :; do sleep 1000 & wait; done'

# await CONDITION: looks until it is true.
await() {
	_n=0
	until eval "$1"; do
		_n=$((_n + 1))
		if [ $_n -gt 1500 ]; then
			echo "gave up: $1"
			exit 99
		fi
		sleep 0.01
	done
}

# start NAME...: a runsv for each, until it listens. Its output goes to NAME.out and NAME.err.
start() {
	for _s; do
		# A shell without job control starts background processes with INT and QUIT ignored.
		env --default-signal=INT,QUIT runsv "sv/$_s" >"$_s.out" 2>"$_s.err" &
		echo $! >"$_s.runsv"
		listening "$_s"
	done
}

# listening NAME: waits until a runsv holds it. Opening the fifo blocks until there is a reader.
listening() {
	await "[ -p 'sv/$1/supervise/ok' ]"
	: >"sv/$1/supervise/ok"
}

# ended NAME: waits for the end of its runsv and tells the exit code.
ended() {
	wait "$(cat "$1.runsv")"
	echo "runsv: exit $?"
}

# ctl NAME BYTES: written to the control fifo at once.
ctl() {
	printf '%b' "$2" >"sv/$1/supervise/control"
}

# is NAME STAT...: waits until the stat text is that and the status bytes say the same.
is() {
	await "agree 'sv/$1/supervise' '$2'"
}

agree() {
	[ "$(cat "$1/stat" 2>/dev/null)" = "$2" ] || return 1
	# shellcheck disable=SC2046
	set -- "$2" $(od -An -tu1 -j16 "$1/status")
	case $1 in
	down*) [ "$5" = 0 ] || return 1 ;;
	run*) [ "$5" = 1 ] || return 1 ;;
	finish*) [ "$5" = 2 ] || return 1 ;;
	esac
	case $1 in
	*paused*) [ "$2" = 1 ] ;;
	*) [ "$2" = 0 ] ;;
	esac || return 1
	case $1 in
	*TERM*) [ "$4" = 1 ] ;;
	*) [ "$4" = 0 ] ;;
	esac || return 1
	case $1 in
	down*) ;;
	*want*) [ "$3" = 100 ] ;;
	*) [ "$3" = 117 ] ;;
	esac
}

# show NAME: stat text, whether there is a pid and whether status has the same, last four bytes of status.
show() {
	_pid=$(cat "sv/$1/supervise/pid")
	_stat=$(cat "sv/$1/supervise/stat")
	# shellcheck disable=SC2046
	set -- $(od -An -tu1 -j12 "sv/$1/supervise/status")
	if [ "${_pid:-0}" = $(($1 + $2 * 256 + $3 * 65536 + $4 * 16777216)) ]; then
		echo "$_stat; ${_pid:+a }${_pid:-no }pid; $5 $6 $7 $8" | sed 's/a [0-9]*pid/a pid/'
	else
		echo "$_stat; pid and status differ"
	fi
}

# lines FILE N: waits until it has at least N lines.
lines() {
	await "[ \$(cat '$1' 2>/dev/null | wc -l) -ge $2 ]"
}

# pid NAME: its process.
pid() {
	cat "sv/$1/supervise/pid"
}

# runits_files [DIR]: what is in DIR, a `supervise`, but for the files that runit does not have.
runits_files() {
	for _f in "${1-.}"/*; do
		case ${_f##*/} in
		child | history) ;;
		*) echo "${_f##*/}" ;;
		esac
	done
}

# next_second: waits for the clock's next second. To runit 2.1.2 a start counts as a restart when both are in one second.
next_second() {
	_now=$(date +%s)
	await "[ \"\$(date +%s)\" -gt $_now ]"
}
