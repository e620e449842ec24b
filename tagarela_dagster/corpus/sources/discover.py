"""Which snapshots a source has, and which raw files each of them holds.

This is the boundary to the network. Readers, pins and stages know files in a folder and nothing
else; whatever downloads a dump or a crawl fills ``<path>/<snapshot>/`` (with names ending in
``.partial`` while it writes) and is done. A mirror of a source and its bundled sample are
such folders already.

Layout: every sub-folder of ``path`` is a snapshot, loose files beside them belong to none; or
the recipe's ``snapshots:`` name globs below ``path``. Hidden and partial files are left out (a
snapshot that has no other file yet is none), linked folders are not walked into.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.recipe.sources import SnapshotName, Source

SAMPLE = Path(__file__).parents[2] / "sample"
"""Folder of the bundled sample corpus, in the sources' native formats."""
PARTIAL_SUFFIXES = (".partial", ".part", ".tmp", ".crdownload", ".aria2", ".download", "~")
"""Endings that download tools give to files that they are still writing."""
HUB_SNAPSHOT = "main"

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SNAPSHOT_NAME: TypeAdapter[str] = TypeAdapter(SnapshotName)


class SourceError(ValueError):
    """A source's folder or snapshots cannot be used as the recipe says; tells what to do."""


def snapshots(source: Source) -> dict[str, list[RawFile]]:
    """Snapshot -> its raw files in name order; snapshots in name order too.

    A ``hub`` source has one snapshot without files, named by its revision or ``main``.

    Raises:
        SourceError: an environment variable is not set, the folder is absent or empty, a glob
            matches nothing or leaves the folder, a symbolic link leaves the folder, a sub-folder
            has a name that no snapshot can have.
    """
    if source.reader == "hub":
        revision = (source.hub.revision if source.hub else None) or HUB_SNAPSHOT
        return {_snapshot_name(re.sub(r"[^A-Za-z0-9._-]+", "-", revision), "hub revision"): []}
    root = source_folder(source.path)
    if not root.is_dir():
        raise SourceError(
            f"source path '{source.path}': there is no folder {root}; put the source's files"
            " there, or change 'path' in the recipe"
        )
    if source.snapshots:
        named = {
            name: _checked(root, _matches(root, name, patterns))
            for name, patterns in sorted(source.snapshots.items())
        }
        return {name: files for name, files in named.items() if files}
    found = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and _visible(path.name)):
        name = _snapshot_name(folder.name, f"folder {folder}")
        files = _checked(root, _walk(folder))
        if files:
            found[name] = files
    if not found:
        raise SourceError(
            f"source path '{source.path}': no sub-folder of {root} holds a file; each snapshot"
            " is a sub-folder, or name the files under 'snapshots' in the recipe"
        )
    return found


def source_folder(path: str) -> Path:
    """Absolute folder of a source's ``path`` (``sample:NAME``, ``${VARIABLE}``, relative)."""
    if path.startswith("sample:"):
        name = PurePosixPath(path.removeprefix("sample:"))
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise SourceError(f"source path '{path}': a sample is named by a plain folder name")
        return SAMPLE / name

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match.group(1))
        if not found:
            raise SourceError(
                f"source path '{path}': set the environment variable {match.group(1)} to the"
                " folder that it stands for"
            )
        return found

    return Path(_VARIABLE.sub(value, path)).expanduser().absolute()


def _snapshot_name(name: str, where: str) -> str:
    try:
        return _SNAPSHOT_NAME.validate_python(name)
    except ValidationError:
        raise SourceError(
            f"{where}: '{name}' cannot name a snapshot; use up to 64 letters, digits, '.', '_'"
            " and '-', beginning with a letter or digit"
        ) from None


def _matches(root: Path, name: str, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        parts = PurePosixPath(pattern)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            raise SourceError(f"snapshot '{name}': the glob '{pattern}' leaves the source's folder")
        found = [path for path in root.glob(pattern) if path.is_file()]
        if not found:
            raise SourceError(f"snapshot '{name}': no file in {root} matches '{pattern}'")
        yield from found


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _visible(name))
        # A linked folder is listed as a folder and not walked into: check it like a file.
        yield from (Path(parent, name) for name in folders if Path(parent, name).is_symlink())
        yield from (Path(parent, name) for name in names)


def _checked(root: Path, paths: Iterable[Path]) -> list[RawFile]:
    """Regular, visible, complete files, each once; refuses links that leave ``root``."""
    inside = root.resolve()
    files: dict[str, RawFile] = {}
    for path in paths:
        relative = path.relative_to(root)
        if not all(_visible(part) for part in relative.parts):
            continue
        if not path.resolve().is_relative_to(inside):
            raise SourceError(
                f"{path} is a symbolic link that leaves the source's folder; copy the file there,"
                " or give the folder that holds it as 'path'"
            )
        if path.is_file():
            name = relative.as_posix()
            files[name] = RawFile(path, name, path.stat().st_size)
    return [files[name] for name in sorted(files)]


def _visible(name: str) -> bool:
    return not name.startswith(".") and not name.lower().endswith(PARTIAL_SUFFIXES)
