"""The child process that extracts pages: ``python -m tagarela_dagster.corpus.sources.web.worker``.

It reads batches of pages from its standard input and writes an answer for each page as soon as
it has it, so that the parent knows which page a dead child was at. The kernel itself enforces the
bounds, also inside a parser written in C that never comes back to Python: a timer of processor
time that ends the process (``ITIMER_VIRTUAL``, set anew for each page) and a limit on its data
(``RLIMIT_DATA``). A child whose parent is gone ends at the end of its input, within half a second
of Python code, and in any case at the page's bound of time.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
from importlib import import_module
from typing import Any, BinaryIO

from tagarela_dagster.provenance.parent import exit_with_parent

READY = "ready"
MEMORY = "out_of_memory"


def main(function: str, deadline_s: float, memory_bytes: int, parent: int) -> None:
    """Answer batches until the input ends.

    Args:
        function: ``module:name`` of what is called with each page.
        deadline_s: user time of one page.
        memory_bytes: data that the process may use beyond what it uses at its start.
        parent: the process that must be alive.
    """
    exit_with_parent()
    if os.getppid() != parent:
        return
    answers, pages = _streams()
    module, name = function.split(":")
    extract = getattr(import_module(module), name)
    _limit_memory(memory_bytes)
    _send(answers, READY)
    while True:
        try:
            batch = pickle.load(pages)
        except EOFError:
            return
        for page in batch:
            signal.setitimer(signal.ITIMER_VIRTUAL, deadline_s)
            try:
                answer = extract(page)
            except MemoryError:
                # What the parser holds now is unknown: say so and let a fresh process go on.
                _send(answers, MEMORY)
                return
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            _send(answers, answer)


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Answers and pages; whatever a library prints goes to standard error instead."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers, sys.stdin.buffer


def _send(answers: BinaryIO, answer: Any) -> None:
    pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
    answers.flush()


def _limit_memory(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _data_bytes() + memory_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _data_bytes() -> int:
    """Private writable memory of this process (``VmData``), 0 where there is no ``/proc``."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
            return next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024
    except OSError:
        return 0


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
