# SPDX-License-Identifier: BSD-3-Clause
"""The sandbox that contain.py puts around every command: what is in view, who runs it, with what limits.

    root        prlimit … setpriv (a user id that nobody has) bwrap … the command     "bwrap+setpriv"
    others      prlimit … bwrap … the command                                          "bwrap"
    --no-sandbox          prlimit … the command, with the caller's own rights          "none"

In view are the command's own folder, at /work, and /usr, read-only; no network, no other processes,
no other files: not the solutions, not the hidden tests, not what others handed in. Nothing is handed in
by name either: what a command needs is put into its folder first, so that all of it looks the same
wherever the grader is.

Each command that runs at the same time has a user id of its own, taken by a lock below /run. Its folder
is given to that user, and taken back afterwards, without anything in it that is no plain file.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator, Mapping, Sequence

from common import ROOT, CasitaError

BOTH, BWRAP, NONE = "bwrap+setpriv", "bwrap", "none"
INSIDE = "/work"  # where a command finds its folder
PATH = "/usr/local/bin:/usr/bin:/bin"
# Between what systemd gives to containers and what user namespaces are given: nobody's.
_FIRST_UID, _UIDS = 2_000_000_000, 256
_LOCKS = Path("/run/casita")
_TMP_BYTES = 256 << 20
_PROBE_SECONDS = 10
_VIEW = (
    *("--ro-bind", "/usr", "/usr"),
    *("--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin"),
    *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--ro-bind-try", "/etc/alternatives", "/etc/alternatives"),  # Debian's awk is a link to there
    *("--proc", "/proc", "--dev", "/dev", "--size", str(_TMP_BYTES), "--tmpfs", "/tmp"),
)

_lock = threading.Lock()
_mode: str | None = None


def switch_off() -> None:
    """--no-sandbox: run commands with limits, but with our own rights, and say so in the result."""
    global _mode  # pylint: disable=global-statement
    _mode = NONE


def mode() -> str:
    """The sandbox that is to be had here; CasitaError if there is none. It is tried once, really."""
    global _mode  # pylint: disable=global-statement
    with _lock:
        if _mode is None:
            _mode = _try()
        return _mode


def _try() -> str:
    wanted = BOTH if os.geteuid() == 0 else BWRAP
    said = ""
    with tempfile.TemporaryDirectory(prefix="casita-", dir="/tmp") as name:
        os.chmod(name, 0o711)
        folder = Path(name) / "probe"
        folder.mkdir()
        try:
            with _own_uid(wanted) as uid:
                if uid is not None:
                    os.chown(folder, uid, uid)
                words = command(["true"], folder, wanted, uid, {}, processes=16, network=False)
                done = subprocess.run(
                    words, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, timeout=_PROBE_SECONDS, check=False,
                )  # fmt: skip
            if done.returncode == 0:
                return wanted
            said = " ".join(done.stdout.decode(errors="replace").split()) or f"status {done.returncode}"
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
    raise CasitaError(
        f"no sandbox can be had here to run a submission in ({said}): install the Debian package "
        "bubblewrap and allow user namespaces, or say --no-sandbox (make: NO_SANDBOX=1), which runs "
        "it with all your rights"
    )


def command(
    argv: Sequence[str],
    folder: Path,
    how: str,
    uid: int | None,
    env: Mapping[str, str],
    *,
    processes: int,
    network: bool,
    status_fd: int | None = None,
) -> list[str]:
    """The command with the sandbox around it."""
    if how == NONE:
        return ["setpriv", "--pdeathsig", "KILL", "--", *argv]
    words = []
    if uid is not None:
        words += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    words += ["bwrap", "--unshare-user", "--unshare-all", "--disable-userns"]
    words += ["--share-net"] if network else []
    words += ["--die-with-parent", "--new-session", "--hostname", "casita", *_VIEW]
    if ROOT.is_relative_to("/usr"):
        words += ["--tmpfs", str(ROOT)]
    words += ["--bind", str(folder), INSIDE, "--chdir", INSIDE]
    words += ["--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"]
    words += [word for name, value in env.items() for word in ("--setenv", name, value)]
    words += ["--json-status-fd", str(status_fd)] if status_fd is not None else []
    # Counted inside, where no other process of the same user is.
    return [*words, "--", "prlimit", f"--nproc={processes}", "--", *argv]


# ---- the folder ----------------------------------------------------------------------------------


@contextmanager
def handed_over(folder: Path, how: str, ours: Sequence[Path]) -> Iterator[tuple[Path, int | None]]:
    """The folder as a command is to have it, and its user. Afterwards it is ours again, and clean.

    `ours`: files in it that we write to ourselves meanwhile.
    """
    if how == NONE:
        try:
            yield folder, None
        finally:
            _take_back(folder, None)
        return
    with ExitStack() as stack:
        uid = stack.enter_context(_own_uid(how))
        room = folder
        if uid is not None and not _others_reach(folder):
            stage = stack.enter_context(tempfile.TemporaryDirectory(prefix="casita-", dir="/tmp"))
            os.chmod(stage, 0o711)
            room = Path(stage) / "room"
            shutil.copytree(folder, room, symlinks=True)
        try:
            if uid is not None:
                _give(room, uid)
            yield room, uid
        finally:
            _take_back(room, None if uid is None else os.geteuid())
            if room != folder:
                skip = shutil.ignore_patterns(*(path.name for path in ours))
                shutil.copytree(room, folder, dirs_exist_ok=True, ignore=skip)


def _others_reach(folder: Path) -> bool:
    """Whether a stranger who owns the folder gets to it."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in folder.resolve().parents)


def _give(folder: Path, uid: int) -> None:
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(place, name), uid, uid, follow_symlinks=False)
    os.chown(folder, uid, uid)


def _take_back(folder: Path, uid: int | None) -> None:
    """Only plain files stay, and folders. Nothing runs any more that could change them meanwhile."""
    if uid is not None:
        os.chown(folder, uid, uid)
    folder.chmod(0o700)
    for entry in list(os.scandir(folder)):
        if uid is not None:
            os.chown(entry.path, uid, uid, follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            _take_back(Path(entry.path), None if uid is None else uid)
        elif not entry.is_file(follow_symlinks=False):
            os.unlink(entry.path)
        elif not entry.stat(follow_symlinks=False).st_mode & stat.S_IRUSR:
            os.chmod(entry.path, 0o600)


@contextmanager
def _own_uid(how: str) -> Iterator[int | None]:
    """A user id that nobody else has while we have it."""
    if how != BOTH:
        yield None
        return
    _LOCKS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for uid in range(_FIRST_UID, _FIRST_UID + _UIDS):
        with open(_LOCKS / str(uid), "w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not _is_somebody(uid):
                yield uid
                return
    raise CasitaError(f"more than {_UIDS} submissions run at the same time")


def _is_somebody(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
