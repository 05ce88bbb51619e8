"""Debian packages read in Python, whole, damaged and hostile."""

import io
from contextlib import nullcontext

import pytest

from byola_diff.free_corpus.deb import DebError, package_files, read_control
from tests.free_corpus.debs import deb

FILES = {"usr/a.wav": b"one", "usr/b/c.wav": b"three"}


@pytest.mark.parametrize("compression", ["xz", "gz", ""])
def test_control_and_files(tmp_path, compression):
    path = deb(tmp_path, "alpha", FILES, version="1:2.0-3", compression=compression)
    assert read_control(path)["Version"] == "1:2.0-3"
    assert {name: file.read() for name, file in package_files(path)} == FILES


def test_other_compressions_are_named(tmp_path):
    path = deb(tmp_path, "alpha", FILES)
    path.write_bytes(path.read_bytes().replace(b"data.tar.xz ", b"data.tar.zst"))
    with pytest.raises(DebError, match=r"data\.tar\.zst has a compression"):
        list(package_files(path))


@pytest.mark.parametrize("content", [b"", b"no package", b"!<arch>\n", b"!<arch>\n" + b"x" * 60])
def test_what_is_no_package(tmp_path, content):
    path = tmp_path / "x.deb"
    path.write_bytes(content)
    with pytest.raises(DebError, match="no Debian package"):
        read_control(path)


@pytest.mark.parametrize("compression", ["xz", "gz", ""])
def test_truncated(tmp_path, compression):
    noise = bytes(range(256)) * 999
    path = deb(tmp_path, "a", {"x": noise}, compression=compression, damage=lambda c: c[:-600])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(DebError):
        [file.read() for _, file in package_files(path)]


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("byola_diff.free_corpus.deb._ALWAYS_ALLOWED_BYTES", 1 << 20)
    path = deb(tmp_path, "alpha", {"zeros.wav": bytes(3 << 20)})
    with pytest.raises(DebError, match="far more than its own size"):
        [file.read() for _, file in package_files(path)]


@pytest.mark.parametrize("size", [str(4 << 30), "many"])
def test_what_a_sparse_file_stands_for_is_not_read(tmp_path, monkeypatch, size):
    import tarfile

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        about = tarfile.TarInfo("./zeros.sf2")
        about.size = 1
        about.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": size}
        tar.addfile(about, io.BytesIO(b"x"))
    monkeypatch.setattr("tests.free_corpus.debs.archive", lambda *_: content.getvalue())
    path = deb(tmp_path, "alpha", {}, compression="")
    with pytest.raises(DebError) if size == "many" else nullcontext():
        assert list(package_files(path)) == []


def test_links_and_folders_are_no_files(tmp_path):
    import tarfile

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE):
            about = tarfile.TarInfo(f"./entry{kind!r}")
            about.type, about.linkname = kind, "/etc/passwd"
            tar.addfile(about)
    path = tmp_path / "x.deb"
    header = f"{'data.tar':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content.getvalue()):<10}`\n"
    path.write_bytes(b"!<arch>\n" + header.encode() + content.getvalue())
    assert list(package_files(path)) == []
