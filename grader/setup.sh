#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# setup.sh [run|bochs|gdb|grade|class|slurm|check|handout|docs|all]...: installs the Debian packages that are missing.
#
#	run	what `make` and `make run` need
#	bochs	what ENGINE=bochs needs on top
#	gdb	what `make gdb` needs
#	grade	what `make grade` needs
#	class	what staff's `grader/grade class` needs
#	slurm	a Slurm cluster on this machine, for its test
#	check	what `make check` needs, the two above included
#	handout	what `make handout` needs
#	docs	what `make docs` needs
#	all	all of these, and comfort: GDB, unifdef (the default)
#
# Says nothing when nothing is missing. `make run` and `make check` call it each time.

set -eu

run="gcc make binutils python3 python3-kconfiglib qemu-system-x86"
[ "$(uname -m)" = x86_64 ] || run="$run gcc-x86-64-linux-gnu binutils-x86-64-linux-gnu"
bochs="bochs bochsbios vgabios"
grade="$run git bubblewrap util-linux"
class="$grade $bochs unifdef similarity-tester" # hidden tests run in Bochs as well
slurm="$class slurm-wlm munge"
check="$run $bochs bubblewrap util-linux similarity-tester slurm-wlm munge libc6-dev check pkg-config libcapstone-dev libzydis-dev lz4 clang clang-format git gdb unifdef"
handout="$run git unifdef"
docs="doxygen graphviz"
all="$check $docs"

packages=
for set in "${@:-all}"; do
	case $set in
	run) packages="$packages $run" ;;
	bochs) packages="$packages $bochs" ;;
	gdb) packages="$packages $run gdb" ;;
	grade) packages="$packages $grade" ;;
	class) packages="$packages $class" ;;
	slurm) packages="$packages $slurm" ;;
	check) packages="$packages $check" ;;
	handout) packages="$packages $handout" ;;
	docs) packages="$packages $docs" ;;
	all) packages="$packages $all" ;;
	*)
		echo "setup.sh: no such set: $set; there are run, bochs, gdb, grade, class, slurm, check, handout, docs and all" >&2
		exit 2
		;;
	esac
done

# Anything but Debian and its like: look for the programs themselves, and say what to install.
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	missing=
	for program in gcc make objcopy python3 qemu-system-x86_64; do
		command -v $program >/dev/null || missing="$missing $program"
	done
	python3 -c 'import kconfiglib' 2>/dev/null || missing="$missing kconfiglib(Python)"
	[ -n "$missing" ] || exit 0
	echo "casita: missing here:$missing. Install what your system calls these Debian packages:" >&2
	echo "$packages" | tr -s ' ' '\n' | sort -u | tr '\n' ' ' | sed 's/^ */  /; s/ *$/\n/' >&2
	exit 1
fi

# shellcheck disable=SC2086 # the lists are words
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null |
	sed -n 's/^installed //p') || true
missing=
for package in $packages; do
	case "
$installed
$missing " in
	*"
$package
"* | *" $package "*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "casita: as root, run: apt-get install$missing" >&2
		exit 1
	fi
	sudo=sudo
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
	$sudo env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -o DPkg::Lock::Timeout=600 "$@" \
		</dev/null >"$log" 2>&1
}

echo "installing Debian's$missing" >&2
# shellcheck disable=SC2086
install() { apt install -y --no-install-recommends $missing; }
# Package lists that are missing or a day old are fetched first, others only if they turn out stale.
lists=$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 2>/dev/null | head -n 1)
if { [ -n "$lists" ] && install; } || { apt update && install; }; then
	exit 0
fi
tail -n 20 "$log" >&2
echo "casita: apt-get could not install$missing" >&2
exit 1
