#!/bin/sh
# Clears away what a test process left behind. Started by janitor.go with the
# beginning of the mark that all processes of that test process carry; learns on
# standard input what else there is, and acts when standard input ends, which is
# when the test process has ended, however it ended.
#
#   netns NAME LINK    a network namespace and the host's end of its link
#   done NAME          the test itself has removed that namespace
#   directory PATH        a temporary directory
mark=$1
namespaces=
directories=
while read -r order name link; do
	case $order in
	netns) namespaces="$namespaces $name=$link" ;;
	done)
		kept=
		for namespace in $namespaces; do
			[ "${namespace%%=*}" = "$name" ] || kept="$kept $namespace"
		done
		namespaces=$kept
		;;
	directory) directories="$directories $name" ;;
	esac
done

for environ in /proc/[0-9]*/environ; do
	if tr '\0' '\n' <"$environ" | grep -q "^$mark"; then
		pid=${environ#/proc/}
		kill -9 "${pid%/environ}"
	fi
done 2>/dev/null

for namespace in $namespaces; do
	ip link delete "${namespace#*=}"
	ip netns delete "${namespace%%=*}"
done 2>/dev/null

for directory in $directories; do
	rm -rf "$directory"
done
