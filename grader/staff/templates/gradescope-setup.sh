#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Gradescope runs this once, as root, when it builds the autograder's image; the zip lies in
# /autograder/source. It installs what grading needs and makes, once, what is the same for every student.

set -eu
cd "${CASITA_ROOT:-/autograder}/source/casita"

. /etc/os-release
[ "$ID-${VERSION_ID:-}" = debian-12 ] ||
	echo "casita: marks count on Debian 12 only, and this is $PRETTY_NAME: use grader/staff/templates/Dockerfile" >&2
grader/setup.sh grade class
/usr/bin/python3 -c 'import tomllib' || { echo "casita: Python 3.11 or newer is needed" >&2; exit 1; }
[ -d .git ] || git init -q
git add -A
grader/grade one --lab @LAB@
