"""Pod: what runs in each pod of a training's Job, as its first process.

    python -m tagarela_dagster.training.launching.pod RUN LOG_BYTES PODS RANKS MODULE ARGUMENT…

It supervises this pod's ranks (torchrun). SIGTERM, which comes before an eviction or a deletion
with some time to spare, asks all ranks of the Job to save and stop. Output goes to the pod's log
and to the run folder: the first pod's to ``log.txt``, another's to ``log-1.txt`` and so on.
The first pod also tells Dagster, through Pipes, where that is listening.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tagarela_dagster.training.launching.environment import remove_stale_locks, training_environment
from tagarela_dagster.training.launching.failure import FAILURE_VARIABLE, read_outcome
from tagarela_dagster.training.launching.launch import torchrun
from tagarela_dagster.training.launching.log import LOG_NAME, Log
from tagarela_dagster.training.launching.preemption import STOP_VARIABLE, STOPPED_STATUS
from tagarela_dagster.training.launching.supervise import Supervisor

PIPES_VARIABLE = "DAGSTER_PIPES_CONTEXT"


def main() -> int:
    """Exit status of the ranks; STOPPED_STATUS when they have saved because they were asked."""
    folder, log_bytes, pods, ranks, module, *arguments = sys.argv[1:]
    run, index = Path(folder), int(os.environ["JOB_COMPLETION_INDEX"])
    stop = Path(tempfile.mkdtemp(prefix="tagarela-")) / "stop"
    os.environ |= training_environment(int(ranks), {STOP_VARIABLE: str(stop)})
    remove_stale_locks(Path(os.environ["TORCH_EXTENSIONS_DIR"]))
    name = LOG_NAME if index == 0 else LOG_NAME.replace(".", f"-{index}.")
    log = Log(run / name, float(log_bytes), echo=True)
    log.begin(f"pod {os.environ['TAGARELA_POD']}, {index + 1} of {pods}")
    where = [
        *(f"--nnodes={pods}", f"--node-rank={index}"),
        f"--master-addr={os.environ['MASTER_ADDR']}",
        f"--master-port={os.environ['MASTER_PORT']}",
    ]
    supervisor = Supervisor(
        torchrun(module, arguments, int(ranks), *where),
        parent=os.getppid(),
        grace_seconds=10,
        log=log,
        gentle=True,
    )
    with _telling_dagster(index) as tell:
        tell(f"{ranks} ranks in each of {pods} pods; the log is {run / LOG_NAME}")
        status = supervisor.run()
        said = read_outcome(Path(os.environ[FAILURE_VARIABLE]))
        tell(said.reason if said else f"the ranks ended with status {status}")
    return STOPPED_STATUS if said and said.stopped else status


@contextmanager
def _telling_dagster(index: int) -> Iterator[Callable[[str], None]]:
    """Function that writes into the log of the Dagster run; it does nothing without one."""
    if index or PIPES_VARIABLE not in os.environ:
        yield lambda words: None
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        yield pipes.log.info


if __name__ == "__main__":
    sys.exit(main())
