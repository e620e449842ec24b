"""Archives: members as streams, nothing trusted, damage told once."""

from __future__ import annotations

import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.sources.archive import Entry, entries
from tagarela_dagster.corpus.sources.damage import CompressedError, TruncatedError
from tagarela_dagster.corpus.sources.unit import RawFile

ONE = "Era uma vez um gato maltês, tocava piano e falava francês.\n".encode() * 50
TWO = "O rato roeu a rolha da garrafa do rei da Rússia.\n".encode() * 70


def raw(path: Path) -> RawFile:
    return RawFile(path, path.name, path.stat().st_size)


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> RawFile:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data))
    return raw(path)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def read(file: RawFile, max_member: int = 10**9) -> tuple[dict[str, bytes], list[tuple[str, str]]]:
    """Contents by entry name, and (name, reason) of what was rejected or damaged."""
    good: dict[str, bytes] = {}
    bad: list[tuple[str, str]] = []
    for entry in entries(file, max_member=max_member):
        if isinstance(entry, Rejected):
            assert entry.quarantined
            bad.append((entry.file, entry.reason))
            continue
        data = bytearray()
        try:
            while block := entry.stream.read(100_000):
                data += block
        except CompressedError as error:
            bad.append((entry.name, error.reason))
            assert error.good_bytes == len(data)
        good[entry.name] = bytes(data)
    return good, bad


@pytest.mark.parametrize("suffix", ["", "gz", "bz2", "xz"])
def test_a_tar_gives_its_members_in_order(suffix: str, tmp_path: Path) -> None:
    long = "pasta/" + "muito_" * 40 + "longo.txt"
    file = write_tar(
        tmp_path / f"textos.tar.{suffix}",
        (member("pasta", tarfile.DIRTYPE), b""),
        (member("pasta/um.txt"), ONE),
        (member("pasta/vazio.txt"), b""),
        (member(long), TWO),
        mode=f"w:{suffix}",
    )
    good, bad = read(file)
    assert bad == []
    name = file.name
    assert list(good) == [f"{name}!pasta/um.txt", f"{name}!pasta/vazio.txt", f"{name}!{long}"]
    assert list(good.values()) == [ONE, b"", TWO]


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_tar_dialect_is_read(format_: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=format_) as tar:
        for name in ("é/" + "ção" * 10 + ".txt", "b.txt"):
            info = member(name)
            info.size = len(ONE)
            tar.addfile(info, io.BytesIO(ONE))
    good, bad = read(raw(path))
    assert (len(good), set(good.values()), bad) == (2, {ONE}, [])
    assert f"a.tar!é/{'ção' * 10}.txt" in good


def test_unread_members_are_skipped(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "a.tar.gz", (member("um"), ONE), (member("dois"), TWO), mode="w:gz")
    names = [entry.path for entry in entries(file) if isinstance(entry, Entry)]
    assert names == ["um", "dois"]
    wanted = entries(file, wanted=lambda name: name == "dois")
    found = [entry.stream.read() for entry in wanted if isinstance(entry, Entry)]
    assert found == [TWO]


def test_unsafe_tar_members_are_rejected_and_the_good_ones_go_on(tmp_path: Path) -> None:
    file = write_tar(
        tmp_path / "mau.tar",
        (member("../../etc/passwd"), b"x"),
        (member("/absoluto.txt"), b"x"),
        (member("a\\..\\b.txt"), b"x"),
        (member("C:/janela.txt"), b"x"),
        (member("simbolico", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (member("duro", tarfile.LNKTYPE, "bom.txt"), b""),
        (member("dispositivo", tarfile.CHRTYPE), b""),
        (member("fila", tarfile.FIFOTYPE), b""),
        (member("bom.txt"), ONE),
    )
    good, bad = read(file)
    assert good == {"mau.tar!bom.txt": ONE}
    assert len(bad) == 8
    assert {reason for _, reason in bad} == {"unsafe_member"}
    assert bad[0][0] == "mau.tar!../../etc/passwd"
    assert list(tmp_path.iterdir()) == [file.path]


def test_members_have_a_bound(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "a.tar", (member("grande"), TWO), (member("pequeno"), b"sim"))
    assert read(file, max_member=100) == (
        {"a.tar!pequeno": b"sim"},
        [("a.tar!grande", "too_large")],
    )


def test_a_bomb_in_a_tar_stops_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "bomba.tar.xz"
    with lzma.open(path, "wb") as out:
        info = member("zeros")
        info.size = 90_000_000
        out.write(info.tobuf())
        for _ in range(90):
            out.write(bytes(1_000_000))
    good, bad = read(raw(path))
    assert bad == [("bomba.tar.xz!zeros", "bomb")]
    assert 60_000_000 < len(good["bomba.tar.xz!zeros"]) < 70_000_000


def test_a_huge_tar_header_is_a_bomb(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 5_000_000
    path = tmp_path / "nome.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"a" * 5_000_000)
    assert read(raw(path)) == ({}, [("nome.tar", "bomb")])


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_cut_tar_gives_what_came_before_the_cut(mode: str, tmp_path: Path) -> None:
    noise = bytes((n * n * 31 + n // 7) % 251 for n in range(300_000))
    path = tmp_path / "cortado.tar"
    write_tar(path, (member("um"), ONE), (member("dois"), noise), mode=mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    good, bad = read(raw(path))
    assert good["cortado.tar!um"] == ONE
    assert noise.startswith(good["cortado.tar!dois"])
    assert bad == [("cortado.tar!dois", "truncated")]


def test_a_tar_cut_between_members_is_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", (member("um"), ONE), (member("dois"), TWO)).path
    path.write_bytes(path.read_bytes()[: 512 + -(-len(ONE) // 512) * 512])
    good, bad = read(raw(path))
    assert good == {"a.tar!um": ONE}
    assert bad == [("a.tar", "truncated")]


def test_garbage_between_tar_members_is_corrupt(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", (member("um"), ONE), (member("dois"), TWO)).path
    data = bytearray(path.read_bytes())
    second = 512 + -(-len(ONE) // 512) * 512
    data[second : second + 300] = b"lixo" * 75
    path.write_bytes(data)
    assert read(raw(path)) == ({"a.tar!um": ONE}, [("a.tar", "corrupt")])


def test_a_zip_gives_its_members(tmp_path: Path) -> None:
    path = tmp_path / "textos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("pasta")
        archive.writestr("pasta/um.txt", ONE)
        archive.writestr("dois.txt.xz", lzma.compress(TWO))
    good, bad = read(raw(path))
    assert good == {"textos.zip!pasta/um.txt": ONE, "textos.zip!dois.txt.xz": TWO}
    assert bad == []


def test_bad_zip_members_are_rejected_and_the_good_ones_go_on(tmp_path: Path) -> None:
    path = tmp_path / "mau.zip"
    link = zipfile.ZipInfo("atalho")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../fora.txt", b"x")
        archive.writestr("/absoluto.txt", b"x")
        archive.writestr(link, "/etc/passwd")
        archive.writestr("segredo.txt", b"segredo")
        archive.writestr("outro.zip", path.read_bytes()[:1] + b"K\x03\x04resto")
        archive.writestr("estragado.txt", ONE)
        archive.writestr("bom.txt", TWO)
    data = bytearray(path.read_bytes())
    _set_flag(data, b"segredo.txt", 0x1)
    start = data.index(ONE)
    data[start + 10] ^= 0xFF
    path.write_bytes(data)
    good, bad = read(raw(path))
    assert good.pop("mau.zip!bom.txt") == TWO
    assert ONE not in good.values()
    assert sorted(bad) == [
        ("mau.zip!../fora.txt", "unsafe_member"),
        ("mau.zip!/absoluto.txt", "unsafe_member"),
        ("mau.zip!atalho", "unsafe_member"),
        ("mau.zip!estragado.txt", "corrupt"),
        ("mau.zip!outro.zip", "nested_archive"),
        ("mau.zip!segredo.txt", "encrypted"),
    ]


def _set_flag(data: bytearray, name: bytes, flag: int) -> None:
    """Set a general purpose flag of a member in its local and its central header."""
    for signature, flags, length in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        at = 0
        while (at := data.find(signature, at)) >= 0:
            if data[at + length : at + length + len(name)] == name:
                data[at + flags] |= flag
            at += 4


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(lambda data: data[: len(data) // 2], "truncated"), (lambda data: data[:30], "truncated")],
)
def test_a_zip_without_its_directory_is_told(
    damage: Callable[[bytes], bytes], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "cortado.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("um.txt", ONE)
    path.write_bytes(damage(path.read_bytes()))
    assert read(raw(path)) == ({}, [("cortado.zip", reason)])


def test_a_zip_with_bytes_missing_inside_gives_what_is_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("um.txt", ONE)
        archive.writestr("dois.txt", TWO)
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data[:200] + data[201:])
    assert read(raw(tmp_path / "a.zip")) == (
        {"a.zip!dois.txt": TWO},
        [("a.zip!um.txt", "corrupt")],
    )


def test_a_zip_bomb_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "bomba.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(100_000_000))
    assert read(raw(path)) == ({}, [("bomba.zip", "bomb")])


def test_an_entry_of_a_cut_archive_raises_after_its_good_bytes(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", (member("um"), ONE)).path
    path.write_bytes(path.read_bytes()[: 512 + 1000])
    found = entries(raw(path))
    entry = next(found)
    assert isinstance(entry, Entry)
    assert entry.stream.read() == ONE[:1000]
    with pytest.raises(TruncatedError):
        entry.stream.read()
