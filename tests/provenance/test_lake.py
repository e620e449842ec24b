from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.lake import (
    IncompleteError,
    Lake,
    MissingPartitionError,
    PartitionWriter,
)
from tagarela_dagster.provenance.lease import Lease, LeaseHeldError, LeaseLostError
from tagarela_dagster.provenance.manifest import Manifest, ManifestError, Shard

ARGUMENTS = {"code_version": "c1", "section": {"a": 1}, "inputs": {"x": "h"}}


def fill(out: PartitionWriter, text: str) -> Manifest:
    with atomic_write(out.data / "kept" / "0.txt") as file:
        file.write(text)
    return out.publish([Shard.of(out.data, "kept/0.txt", 1)], {"documents": 1})


def test_a_partition_exists_only_once_its_manifest_is_there(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.write("filtered", "oscar@2023", **ARGUMENTS) as out:
        (out.data / "x").write_text("half")
        assert lake.manifest("filtered", "oscar@2023") is None
        manifest = fill(out, "olá")
    assert lake.require("filtered", "oscar@2023") == manifest
    assert [p.read_text() for p in lake.paths(manifest, "kept/")] == ["olá"]
    assert lake.partitions("filtered") == ["oscar@2023"]


def test_an_input_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPartitionError, match=r"filtered\[oscar@2023\].*materialize it"):
        Lake(tmp_path).require("filtered", "oscar@2023")


@pytest.mark.parametrize("key", ["../x", "a/b", "", ".x", "a" * 200, "<b>"])
def test_a_partition_key_cannot_leave_the_lake(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        Lake(tmp_path).folder("filtered", key)


def test_the_hash_covers_content_and_inputs_but_not_the_place(tmp_path: Path) -> None:
    hashes = []
    for folder, text, inputs in (
        ("a", "olá", "h"),
        ("b", "olá", "h"),
        ("c", "olé", "h"),
        ("d", "olá", "i"),
    ):
        lake = Lake(tmp_path / folder)
        arguments = {**ARGUMENTS, "inputs": {"x": inputs}}
        with lake.write("filtered", None, **arguments) as out:
            hashes.append(fill(out, text).hash)
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_new_version_replaces_the_old_and_keeps_readers_of_it_alive(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    seen = []
    for text in ("um", "dois", "três"):
        with lake.write("filtered", None, **ARGUMENTS) as out:
            seen.append(lake.paths(fill(out, text))[0])
    assert [path.exists() for path in seen] == [False, True, True]
    assert seen[-1].read_text() == "três"
    assert not list(lake.folder("filtered").glob(".staging*"))


def test_work_of_a_killed_writer_is_found_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(ZeroDivisionError), lake.write("filtered", None, **ARGUMENTS) as out:
        (out.data / "done.parquet").write_text("shard")
        raise ZeroDivisionError
    with lake.write("filtered", None, **ARGUMENTS) as out:
        assert (out.data / "done.parquet").read_text() == "shard"
    with lake.write("filtered", None, **{**ARGUMENTS, "code_version": "c2"}) as out:
        assert not (out.data / "done.parquet").exists()


class Killed(BaseException):
    """Stands for SIGKILL: no handler of errors sees it."""


def publish_killed(out: PartitionWriter, shards: list[Shard], at: int) -> bool:
    """Publish, killed before the ``at``-th change of a folder; False when there are fewer."""
    done = 0

    def or_die(change: Callable) -> Callable:
        def changed(*arguments: object, **named: object) -> object:
            nonlocal done
            done += 1
            if done > at:
                raise Killed
            return change(*arguments, **named)

        return changed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", or_die(Path.replace))
        patch.setattr(Path, "mkdir", or_die(Path.mkdir))
        patch.setattr(shutil, "rmtree", or_die(shutil.rmtree))
        try:
            out.publish(shards, {})
        except Killed:
            return True
    return False


@pytest.mark.parametrize("damaged", [False, True])
def test_a_publication_that_is_killed_at_any_step_hides_nothing_and_is_taken_up(
    tmp_path: Path, damaged: bool
) -> None:
    killed, at = True, 0
    while killed:
        lake = Lake(tmp_path / str(at))
        for again in (True, False) if damaged else (False,):
            with lake.write("clean", "oscar@2023", **ARGUMENTS) as out:
                for name in ("kept/0", "kept/1", "dropped/0"):
                    with atomic_write(out.data / name) as file:
                        file.write(f"texto de {name}")
                shards = [Shard.of(out.data, name, 1) for name in ("dropped/0", "kept/0", "kept/1")]
                if again:
                    flip(lake.paths(out.publish(shards, {}))[1])
                else:
                    killed = publish_killed(out, shards, at)
        manifest = lake.manifest("clean", "oscar@2023")
        bad = lake.damaged(manifest) if manifest else []
        assert len(bad) <= damaged, "a file that was whole is never hidden"
        if manifest and not killed:
            assert bad == [], "the same publication replaces a damaged file"
        with lake.write("clean", "oscar@2023", **ARGUMENTS) as out:
            # As a stage does that finds its ranks done: nothing is written again.
            assert lake.damaged(out.publish(shards, {})) == []
        at += 1
    assert at > 8


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_is_not_all_there_is_not_published(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.write("filtered", None, **ARGUMENTS) as out:
        (out.data / "0.txt").write_text("metade")
        shards = [Shard.of(out.data, "0.txt", 1)]
        (out.data / "0.txt").write_text("met")
        with pytest.raises(IncompleteError, match=r"0\.txt is not as it was written \(1 of 1"):
            out.publish(shards, {})
    assert lake.manifest("filtered") is None
    assert not list(lake.folder("filtered").glob(".staging-*"))


def test_what_a_killed_writer_staged_is_swept_unless_somebody_writes(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.write("filtered", None, **ARGUMENTS) as out:
        lake.sweep("filtered")
        assert out.data.exists()
    lake.sweep("filtered")
    assert not out.staging.exists()


def test_a_damaged_or_foreign_manifest_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.write("filtered", None, **ARGUMENTS) as out:
        fill(out, "olá")
    path = lake.folder("filtered") / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(ManifestError, match="format version 99"):
        lake.manifest("filtered")
    path.write_text("{")
    with pytest.raises(ManifestError, match="damaged"):
        lake.manifest("filtered")


def test_two_writers_cannot_hold_a_partition(tmp_path: Path) -> None:
    with Lease(tmp_path), pytest.raises(LeaseHeldError, match=f"process {os.getpid()}"):
        Lease(tmp_path).__enter__()
    with Lease(tmp_path):
        pass


def test_a_writer_that_was_taken_over_cannot_publish(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.write("filtered", None, **ARGUMENTS) as out:
        holder = json.loads(out.lease.path.read_text())
        out.lease.path.write_text(json.dumps({**holder, "token": "another"}))
        with pytest.raises(LeaseLostError):
            fill(out, "olá")
    assert lake.manifest("filtered") is None


def test_the_lease_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from tagarela_dagster.provenance.lease import Lease;"
        "Lease(Path(sys.argv[1])).__enter__(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeldError, match=f"process {holder.pid}"):
        Lease(tmp_path).__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with Lease(tmp_path):
        pass


def test_a_child_that_watches_its_parent_ends_with_it() -> None:
    child = (
        "import os, time; from tagarela_dagster.provenance.parent import exit_with_parent;"
        "exit_with_parent(); print(os.getpid(), flush=True); time.sleep(60)"
    )
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]);"
    code += "time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("antes")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write("depois")
        raise ZeroDivisionError
    assert path.read_text() == "antes"
    assert list(tmp_path.iterdir()) == [path]
