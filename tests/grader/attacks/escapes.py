# SPDX-License-Identifier: BSD-3-Clause
"""Shell scripts that run in the sandbox, as if a build step, or QEMU, were the student's own process.

No step is known that gives a student that. Should there be one, this is what it is worth.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Escape:
    """A script; it must print `ok` for each thing that did not work, and nothing else."""

    name: str
    script: str
    exceeded: str = ""  # the limit that ends it


def denied(name: str, *attempts: str) -> Escape:
    """None of these commands may succeed."""
    return Escape(name, "".join(f"({each}) >/dev/null 2>&1 && echo '{name} works'; " for each in attempts) + "echo ok")


ESCAPES = [
    denied("passwords", "cat /etc/shadow", "cat /etc/passwd", "cat /proc/1/root/etc/shadow", "ls /etc/ssh"),
    denied("solutions", "ls @ROOT@", "ls /work/..//solutions | grep .", "find / -xdev -name hidden.toml | grep ."),
    denied("home", "ls /root", "ls /home", "ls /run", "ls /var"),
    denied("network", "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", @PORT@), 2)'",
           "grep -v -e lo: -e Inter -e face /proc/net/dev"),
    denied("write", "touch /usr/x", "touch /x", "touch /dev/x", "touch /dev/shm/x", "mkdir /etc/x"),
    denied("more-rights", "unshare -Ur true", "mount -t tmpfs x /tmp", "setpriv --reuid=0 true", "chroot / true",
           "ulimit -f unlimited", "ulimit -t unlimited"),
    denied("other-processes", "ls /proc | grep -x '[0-9]*' | grep -v -e '^.$' -e '^..$'", "grep -a S3CRET /proc/*/environ"),
    denied("stop-the-parent", "kill -STOP 1; grep -q 'State:.T' /proc/1/status", "kill -STOP $PPID; false"),
    Escape("kill-all", "kill -KILL -1; echo ok"),
    Escape("delete-all", "rm -rf /work /tmp/* 2>/dev/null; echo ok"),
    Escape("fork-bomb", "python3 -c 'import os\nwhile 1:\n try: os.fork()\n except OSError: pass'", "seconds"),
    Escape("daemon", "setsid sleep 987654321 >/dev/null 2>&1 & echo ok"),
    Escape("sleep", "sleep 60", "seconds"),
    Escape("spin", "while :; do :; done", "seconds"),
    Escape("flood", "yes", "output"),
    Escape("big-file", "exec dd if=/dev/zero of=big bs=1M count=100 status=none", "file"),
    denied("full-tmp", "for n in 1 2 3 4 5 6 7; do dd if=/dev/zero of=/tmp/$n bs=1M count=40 || exit 1; done"),
    denied("memory", "python3 -c 'bytearray(2 << 30)'"),
    Escape("memory-of-many", "python3 -c 'import os, time\nfor n in range(12): os.fork() or (bytearray(b\"x\") * (64 << 20), "
           "time.sleep(60))\ntime.sleep(60)'", "memory"),
    Escape("many-big-files", "n=0; while :; do dd if=/dev/zero of=$n bs=1M count=40 status=none; n=$((n + 1)); sleep 0.1; done",
           "disk"),
    Escape("links-left-behind", "ln -s /etc/shadow evidence; mkfifo pipe; mkdir d; ln -s / d/root; chmod 0 d; echo ok"),
    Escape("unreadable-left-behind", "mkdir -p a/b/c; echo x >a/b/c/d; chmod 0 a/b/c/d a/b/c a/b a; echo ok"),
    Escape("names-left-behind", "touch \"$(printf 'a\\377\\nb\\033[2J')\"; echo ok"),
]  # fmt: skip
