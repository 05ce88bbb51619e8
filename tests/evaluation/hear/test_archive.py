import io
import tarfile

import pytest

from byola_diff.evaluation.hear import archive as module
from byola_diff.evaluation.hear.archive import unpack_task
from byola_diff.evaluation.hear.task_folder import read_hear_task
from byola_diff.evaluation.hear.task_metadata import HearTaskError
from tests.evaluation.hear.hear_folders import write_scene_task


def pack(path, members=(), folder=None):
    """An archive of `members` (TarInfo, content), after those of a task folder."""
    with tarfile.open(path, "w:gz") as tar:
        if folder:
            tar.add(folder, "hear-1/tasks/tones-v1-full")
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def packed(tmp_path):
    folder = write_scene_task(tmp_path / "original", n_clips=3)
    return pack(tmp_path / "hear-1-tones-16000.tar.gz", folder=folder)


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_task_is_unpacked_and_read(packed, tmp_path):
    folder = unpack_task(packed, tmp_path / "cache")
    assert folder.is_relative_to(tmp_path / "cache")
    assert read_hear_task(folder).metadata.name == "tones-v1-full"
    assert [path.name for path in files_below(folder)] == [
        path.name for path in files_below(tmp_path / "original")
    ]


def test_second_call_finds_the_first(packed, tmp_path, monkeypatch):
    folder = unpack_task(packed, tmp_path / "cache")
    monkeypatch.delattr(module, "_unpack")
    assert unpack_task(packed, tmp_path / "cache") == folder


def test_another_content_under_the_same_name_is_unpacked_anew(packed, tmp_path):
    first = unpack_task(packed, tmp_path / "cache")
    folder = write_scene_task(tmp_path / "original", {"version": "v2"}, n_clips=3)
    pack(packed, folder=folder)
    second = unpack_task(packed, tmp_path / "cache")
    assert read_hear_task(first).metadata.version == "v1"
    assert read_hear_task(second).metadata.version == "v2"


@pytest.mark.parametrize(
    ("info", "match"),
    [
        (member("../evil.txt"), r"'\.\.'"),
        (member("hear-1/../../evil.txt"), r"'\.\.'"),
        (member("hear-1\\..\\..\\evil.txt"), r"'\.\.'"),
        (member("/tmp/evil.txt"), "absolute"),
        (member("C:\\evil.txt"), "absolute"),
        (member("evil", tarfile.SYMTYPE, "/etc"), "link or device"),
        (member("evil", tarfile.SYMTYPE, "hear-1"), "link or device"),
        (member("evil", tarfile.LNKTYPE, "hear-1/tasks"), "link or device"),
        (member("evil", tarfile.CHRTYPE), "link or device"),
        (member("evil", tarfile.FIFOTYPE), "link or device"),
    ],
)
def test_hostile_members_are_refused(info, match, packed, tmp_path):
    content = b"evil" if info.isreg() else b""
    pack(packed, [(info, content)], folder=tmp_path / "original")
    with pytest.raises(HearTaskError, match=match) as caught:
        unpack_task(packed, tmp_path / "cache")
    assert str(packed) in str(caught.value)
    assert not files_below(tmp_path / "cache")
    assert not list(tmp_path.rglob("evil*"))


def test_a_file_that_is_there_twice_is_refused(packed, tmp_path):
    pack(packed, [(member("a.txt"), b"1"), (member("a.txt"), b"2")])
    with pytest.raises(HearTaskError, match="twice"):
        unpack_task(packed, tmp_path / "cache")


@pytest.mark.parametrize(
    ("limit", "value", "match"),
    [("MAX_BYTES", 100, "more than 100 bytes"), ("MAX_MEMBERS", 5, "more than 5 members")],
)
def test_too_much_is_refused(limit, value, match, packed, tmp_path, monkeypatch):
    monkeypatch.setattr(module, limit, value)
    with pytest.raises(HearTaskError, match=match):
        unpack_task(packed, tmp_path / "cache")
    assert not files_below(tmp_path / "cache")


def test_what_the_disk_cannot_hold_is_refused(packed, tmp_path, monkeypatch):
    usage = module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(HearTaskError, match="too small"):
        unpack_task(packed, tmp_path / "cache")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE], ids=["gnu", "pax"])
def test_a_header_that_would_fill_the_memory_is_refused(kind, packed, tmp_path):
    pack(packed, [(member("long", kind), bytes((1 << 20) + 1))])
    with pytest.raises(
        HearTaskError, match="refused: an extended header of 1048577 bytes"
    ) as caught:
        unpack_task(packed, tmp_path / "cache")
    assert str(packed) in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_archive_leaves_nothing(share, packed, tmp_path):
    content = packed.read_bytes()
    packed.write_bytes(content[: int(share * len(content))])
    with pytest.raises(HearTaskError, match=r"truncated|must hold one"):
        unpack_task(packed, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_no_archive_at_all(tmp_path):
    (tmp_path / "no.tar.gz").write_bytes(b"plain text")
    with pytest.raises(HearTaskError, match="truncated"):
        unpack_task(tmp_path / "no.tar.gz", tmp_path / "cache")
    with pytest.raises(FileNotFoundError, match="no such archive"):
        unpack_task(tmp_path / "missing.tar.gz", tmp_path / "cache")


def test_there_must_be_one_task(packed, tmp_path):
    pack(packed, [(member("readme.txt"), b"hello")])
    with pytest.raises(HearTaskError, match=r"must hold one task_metadata\.json, not 0"):
        unpack_task(packed, tmp_path / "cache")
    two = [(member(f"{name}/task_metadata.json"), b"{}") for name in "ab"]
    pack(packed, two)
    with pytest.raises(HearTaskError, match="not 2"):
        unpack_task(packed, tmp_path / "cache")
