"""A Slurm cluster of two nodes on this machine, from Debian's packages, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")

CONFIGURATION = """\
ClusterName=tagarela
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobRequeue=1
MailProg=/bin/true
KillWait=10
SlurmdTimeout=30
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1 RealMemory=4000
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why no cluster can be started here; None if it can."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=_path())]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: slurm-wlm, munge)"
    return None if os.geteuid() == 0 else "a Slurm of its own needs root"


@contextmanager
def two_nodes(folder: Path) -> Iterator[dict[str, str]]:
    """Start the cluster; yield the environment in which its commands work."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    (folder / "state").mkdir()
    ports = _free_ports(3)
    names = dict(zip(("port", "first", "second"), ports, strict=True))
    text = CONFIGURATION.format(host=socket.gethostname(), folder=folder, **names)
    (folder / "slurm.conf").write_text(text)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
    running = [_start_munge(folder)]
    try:
        for command in (
            ["slurmctld", "-D"],
            ["slurmd", "-D", "-N", "n1"],
            ["slurmd", "-D", "-N", "n2"],
        ):
            running.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
        _wait_until_idle(environment, folder)
        yield environment
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _start_munge(folder: Path) -> subprocess.Popen[bytes]:
    private = folder / "munge"
    private.mkdir(mode=0o700)
    (private / "key").write_bytes(os.urandom(128))
    (private / "key").chmod(0o400)
    command = [
        *("munged", "--foreground", "--force", f"--socket={folder}/munge.socket"),
        *(f"--key-file={private}/key", f"--pid-file={private}/pid", f"--log-file={private}/log"),
        *(f"--seed-file={private}/seed",),
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PATH": _path()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _wait_for((folder / "munge.socket").exists, "munged has no socket")
    return process


def _wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    def idle() -> bool:
        answer = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format", "%t"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return answer.stdout.split() == ["idle", "idle"]

    _wait_for(idle, f"the nodes are not up: see the logs in {folder}")


def _wait_for(condition: object, complaint: str, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise RuntimeError(complaint)
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
