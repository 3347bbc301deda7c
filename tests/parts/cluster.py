# SPDX-License-Identifier: BSD-3-Clause
"""A Slurm cluster of one node on this machine's loopback, private and gone afterwards.

    with Cluster(folder) as cluster:
        subprocess.run(["sinfo"], env=cluster.environment)

munged, slurmctld and slurmd run from a configuration of their own, on ports and a socket of their own:
a cluster that the machine belongs to is not touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Callable

NODE = "casita"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_SECONDS = 60.0  # a daemon that is not there by then will not come
_CONF = """\
ClusterName=casita
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SlurmdTimeout=5
SlurmctldTimeout=5
InactiveLimit=0
KillWait=5
ReturnToService=2
MpiDefault=none
MailProg=/bin/true
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """The programs that a cluster needs and that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name, path=_PATH)]


class Cluster:
    """Its three daemons."""

    def __init__(self, folder: Path, cpus: int = 2) -> None:
        self._folder = folder
        self._cpus = cpus
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self.environment["PATH"] = f"{_PATH}:{os.environ.get('PATH', '')}"

    def __enter__(self) -> Cluster:
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in ("state", "spool"):
            (self._folder / name).mkdir(parents=True)
        self._folder.chmod(0o755)
        self._write_configuration()
        try:
            self._munged()
            self._start("slurmctld", "slurmctld", "-D", "-i")
            self.begin_node()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, *words: str) -> str:
        """One of Slurm's commands: what it says."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def begin_node(self) -> None:
        """Switch the node on, and wait until Slurm uses it."""
        self._start("slurmd", "slurmd", "-D", "-N", NODE)
        self._await(lambda: self.state() in ("idle", "mixed", "allocated"), "the node is not used")

    def state(self) -> str:
        """The node's, as sinfo says it."""
        return self.run("sinfo", "--noheader", "--format=%T", "--nodes", NODE).strip()

    def kill_node(self) -> int:
        """The power fails: all that ran on the node is gone at once. How many processes that were."""
        killed = self._kill_all(but=("slurmctld", "munged"))
        self._running.pop("slurmd").wait()
        return killed

    def await_down(self) -> None:
        """Until Slurm has noticed."""
        self._await(lambda: self.state().startswith("down"), "the dead node is not noticed")

    def stop(self) -> None:
        """End everything."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        self._kill_all(but=())
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def _write_configuration(self) -> None:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (2 << 20)
        text = _CONF.format(
            node=NODE, host=socket.gethostname().split(".")[0], folder=self._folder, cpus=self._cpus,
            control=_free_port(), daemon=_free_port(), memory=memory,
            user="root" if os.getuid() == 0 else os.environ.get("USER", "root"),
        )  # fmt: skip
        (self._folder / "slurm.conf").write_text(text)
        key = self._folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)

    def _munged(self) -> None:
        folder = self._folder
        words = [f"--socket={folder}/munge.socket", f"--key-file={folder}/munge.key", "--force"]
        words += [f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log"]
        self._start("munged", "munged", "--foreground", *words, f"--seed-file={folder}/munge.seed")
        self._await((folder / "munge.socket").exists, "munged does not start")

    def _start(self, name: str, *words: str) -> None:
        with open(self._folder / f"{name}.out", "ab") as out:
            self._running[name] = subprocess.Popen(
                words, env=self.environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _await(self, ready: Callable[[], object], what: str) -> None:
        end = time.monotonic() + _SECONDS
        while not ready():
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended or time.monotonic() > end:
                logs = [path.read_text(errors="replace")[-1500:] for path in self._folder.glob("*.out")]
                raise RuntimeError(f"{what}; ended: {ended or 'none'}\n" + "\n".join(logs))
            time.sleep(0.2)

    def _kill_all(self, but: tuple[str, ...]) -> int:
        """Kill each process of ours by its number: those that slurmd began have our configuration's
        name in their environment, and so has nobody else but who asks Slurm, and is not Slurm's child."""
        spared = {self._running[name].pid for name in but if name in self._running}
        mark = f"SLURM_CONF={self._folder / 'slurm.conf'}".encode()
        count = 0
        for path in Path("/proc").glob("[0-9]*/environ"):
            pid = int(path.parent.name)
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                daemon = any(process.pid == pid for process in self._running.values())
                step = (path.parent / "comm").read_text().strip() == "slurmstepd"
                task = any(word.startswith(b"SLURM_JOB_ID=") for word in words)
                if mark in words and pid not in spared and (daemon or step or task):
                    os.kill(pid, signal.SIGKILL)
                    count += 1
        return count


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
