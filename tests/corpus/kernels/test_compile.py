from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tagarela_dagster.corpus.kernels import compile as compiling
from tagarela_dagster.corpus.kernels import measure
from tagarela_dagster.corpus.kernels.compile import cache_folder, remove_unused
from tagarela_dagster.corpus.kernels.lines import count_newlines

CALLEE = """from compile import jit_borrowing
@jit_borrowing
def one(value):
    return value + {}
"""
CALLER = """from compile import jit
from callee import one
@jit
def two(value):
    return one(value)
print(two(1), two.stats.cache_hits[two.signatures[0]] if two.stats.cache_hits else 0)
"""


def run(folder: Path, number: int) -> str:
    (folder / "callee.py").write_text(CALLEE.format(number))
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-B", "caller.py"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_an_edited_callee_is_compiled_into_its_callers_again(tmp_path: Path) -> None:
    shutil.copy(compiling.__file__, tmp_path / "compile.py")
    (tmp_path / "caller.py").write_text(CALLER)
    assert run(tmp_path, 1) == "2 0"
    assert run(tmp_path, 1) == "2 1"
    assert run(tmp_path, 5) == "6 0"
    # The first text's code is still there.
    assert run(tmp_path, 1) == "2 1"
    # One folder for the caller and each of two callees, and one for each callee.
    assert len(list((tmp_path / "__pycache__" / "kernels").iterdir())) == 4


def test_a_kernel_s_code_lies_in_the_folder_of_its_text() -> None:
    folder = cache_folder(count_newlines.py_func)  # type: ignore[attr-defined]
    assert Path(count_newlines.stats.cache_path).parent == folder  # type: ignore[attr-defined]


def test_folders_that_were_not_used_lately_are_removed(tmp_path: Path) -> None:
    for name, age in (("old", 100), ("new", 10)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "code.nbc").write_bytes(b"x")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    remove_unused(tmp_path, 1000 - 50)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_the_users_cache_is_taken_where_the_sources_are_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_HERE", tmp_path / "sources")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiling.numba.config, "CACHE_DIR", "")
    (tmp_path / "sources").mkdir(mode=0o500)
    compiling._base.cache_clear()
    assert compiling._base() == tmp_path / "cache" / "tagarela" / "kernels"
    compiling._base.cache_clear()


def test_all_kernels_that_a_kernel_can_call_belong_to_its_text() -> None:
    names = {path.stem for path in compiling._sources(Path(measure.__file__))}
    assert {"measure", "lines", "c4", "madlad", "repetition", "word_tables", "characters"} <= names
    assert "phrases" not in names
