"""A folder of results that is whole or as it was before, and errors that a person can act on."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


class OutputError(OSError):
    """The results cannot be written; the message says why and what to do."""

    def __str__(self) -> str:
        return str(self.args[-1])


@contextmanager
def results_folder(out: Path, names: Collection[str]) -> Iterator[Path]:
    """Yield a staging folder inside ``out``; move its files to ``out`` when the block succeeds.

    Args:
        names: every file that such a run can write, in the order in which they appear, the one
            that says the results are whole last. Those of an earlier run are removed first.

    Raises:
        OutputError: nothing of this run is visible in ``out`` then.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        staging = out / f".{uuid4().hex[:8]}.partial"
        staging.mkdir()
    try:
        yield staging
        with writing(out):
            for name in reversed(list(names)):
                (out / name).unlink(missing_ok=True)
            for name in names:
                if (staging / name).exists():
                    (staging / name).replace(out / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn the operating system's errors of the block into an OutputError about ``out``.

    An error about a file elsewhere (an input) passes unchanged: it names the file.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        if error.filename:
            place = Path(error.filename)
            if not place.is_relative_to(out) and not out.is_relative_to(place):
                raise
        if error.errno in _FULL:
            sentence = (
                f"no room left to write to {out}: free some space or choose another folder; "
                "nothing of this run was left there"
            )
        elif error.errno in _FORBIDDEN:
            sentence = (
                f"{out} cannot be written to ({os.strerror(error.errno or 0)}): choose another"
            )
        elif error.errno in (errno.EEXIST, errno.ENOTDIR):
            sentence = f"{out} is not a folder: give a new or an existing folder for the results"
        else:
            reason = os.strerror(error.errno) if error.errno else str(error)
            sentence = f"{out} cannot be written to ({reason}): choose another folder"
        raise OutputError(error.errno, sentence) from error
