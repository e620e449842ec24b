"""Snapshots of a source and their files; readers by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.corpus.sources import discover, registry
from tagarela_dagster.corpus.sources.discover import SourceError, snapshots, source_folder
from tagarela_dagster.corpus.sources.unit import RawFile, Unit
from tagarela_dagster.recipe.sources import Source


def source(path: object = "x", **changes: Any) -> Source:
    return Source(**{"reader": "oscar", "path": str(path), "license": "CC0-1.0"} | changes)


def put(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("olá")


def names(found: dict[str, list[RawFile]]) -> dict[str, list[str]]:
    return {snapshot: [file.name for file in files] for snapshot, files in found.items()}


def test_every_sub_folder_with_files_is_a_snapshot(tmp_path: Path) -> None:
    put(tmp_path, "2023-23/b.zst", "2023-23/a.zst", "2022-49/x/c.zst", "README.md")
    (tmp_path / "2024-10").mkdir()
    found = snapshots(source(tmp_path))
    assert names(found) == {
        "2022-49": ["2022-49/x/c.zst"],
        "2023-23": ["2023-23/a.zst", "2023-23/b.zst"],
    }
    assert list(found) == ["2022-49", "2023-23"]
    assert found["2023-23"][0] == RawFile(tmp_path / "2023-23/a.zst", "2023-23/a.zst", 4)


def test_hidden_and_partial_files_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "s/a.zst", "s/.a.zst", "s/b.zst.partial", "s/c.part", "s/.git/d", "s/e.tmp")
    put(tmp_path, ".cache/a", "soon/a.zst.partial")
    assert names(snapshots(source(tmp_path))) == {"s": ["s/a.zst"]}


def test_globs_name_snapshots_below_the_folder(tmp_path: Path) -> None:
    put(tmp_path, "web/a.warc.gz", "web/b.warc.gz", "web/c.txt", "legal/d.md", "e.partial")
    chosen = {"leis": ["legal/*.md"], "paginas": ["web/*.warc.gz", "**/a.*"], "depois": ["e.*"]}
    found = snapshots(source(tmp_path, snapshots=chosen))
    assert names(found) == {
        "leis": ["legal/d.md"],
        "paginas": ["web/a.warc.gz", "web/b.warc.gz"],
    }


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "a/../../b"])
def test_globs_that_leave_the_folder_are_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SourceError, match="leaves the source's folder"):
        snapshots(source(tmp_path, snapshots={"s": [pattern]}))


def test_a_glob_without_files_and_an_empty_or_absent_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file in .* matches '\\*.zst'"):
        snapshots(source(tmp_path, snapshots={"s": ["*.zst"]}))
    with pytest.raises(SourceError, match="each snapshot is a sub-folder"):
        snapshots(source(tmp_path))
    with pytest.raises(SourceError, match="there is no folder"):
        snapshots(source(tmp_path / "none"))


def test_links_inside_the_folder_pass_and_links_out_of_it_are_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "mirror", tmp_path / "secret"
    put(root, "s/a.zst", "blobs/b")
    put(outside, "c.zst")
    (root / "s/b.zst").symlink_to(root / "blobs/b")
    found = snapshots(source(root, snapshots={"s": ["s/*"]}))
    assert names(found) == {"s": ["s/a.zst", "s/b.zst"]}
    (root / "s/c.zst").symlink_to(outside / "c.zst")
    for chosen in ({}, {"s": ["s/*"]}):
        with pytest.raises(SourceError, match="symbolic link that leaves"):
            snapshots(source(root, snapshots=chosen))
    (root / "s/c.zst").unlink()
    (root / "s/more").symlink_to(outside)
    with pytest.raises(SourceError, match="symbolic link that leaves"):
        snapshots(source(root))


def test_a_mirror_that_is_itself_a_link_is_followed(tmp_path: Path) -> None:
    put(tmp_path / "disk", "s/a.zst")
    (tmp_path / "mirror").symlink_to(tmp_path / "disk")
    assert names(snapshots(source(tmp_path / "mirror"))) == {"s": ["s/a.zst"]}


def test_a_folder_that_cannot_name_a_snapshot_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "maio de 2023/a.zst")
    with pytest.raises(SourceError, match="'maio de 2023' cannot name a snapshot"):
        snapshots(source(tmp_path))


def test_paths_come_from_the_sample_the_environment_or_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGARELA_TEST_MIRROR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert source_folder("${TAGARELA_TEST_MIRROR}/corpus/web") == tmp_path / "corpus/web"
    assert source_folder("dados") == tmp_path / "dados"
    assert source_folder("sample:oscar") == discover.SAMPLE / "oscar"
    assert discover.SAMPLE.parent.name == "tagarela_dagster"
    monkeypatch.delenv("TAGARELA_TEST_MIRROR")
    with pytest.raises(SourceError, match="set the environment variable TAGARELA_TEST_MIRROR"):
        source_folder("${TAGARELA_TEST_MIRROR}/corpus/web")
    for bad in ("sample:../recipes", "sample:/etc", "sample:"):
        with pytest.raises(SourceError):
            source_folder(bad)


def test_a_hub_source_has_one_snapshot_named_by_its_revision() -> None:
    hub: dict[str, Any] = {"name": "org/dados"}
    assert snapshots(source("", reader="hub", hub=hub)) == {"main": []}
    hub["revision"] = "refs/convert/parquet"
    assert snapshots(source("", reader="hub", hub=hub)) == {"refs-convert-parquet": []}


def test_readers_are_found_by_name_and_plans_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.reader("oscar").__name__.endswith("sources.oscar")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no reader 'nada'; there are arquivo_pt,"):
        registry.reader("nada")
    files = [RawFile(Path(name), name, 1) for name in ("b", "a")]
    assert registry.plan(files, source()) == [Unit("a", (files[1], files[0]))]
    twice = [Unit("a", (files[0],)), Unit("a", (files[1],))]
    monkeypatch.setattr(
        registry.reader("oscar"), "plan", lambda files, source: twice, raising=False
    )
    with pytest.raises(ValueError, match="planned the unit 'a' more than once"):
        registry.plan(files, source())
