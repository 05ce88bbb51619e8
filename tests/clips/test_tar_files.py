"""Tar shards found, counted by their headers and read, from a disk and from a store that fails."""

import errno
import os
import shutil
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from aiohttp import ClientPayloadError
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from byola_diff.clips import tar_files
from byola_diff.clips.tar_files import Shard, find_shards, is_clip, read_clips
from tests.clips.shard_maker import wav, write_shard, write_tar


class Remote(AbstractFileSystem):
    """A store in memory that is read as those of networks are, request by request."""

    protocol = "remote"
    files: ClassVar[dict[str, bytes]] = {}
    requests: ClassVar[list[tuple[int, int]]] = []
    failing: ClassVar[dict[int, Exception]] = {}  # by number of the request

    def info(self, path, **_):
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file", path)
        return {"name": path, "size": len(self.files[path]), "type": "file"}

    def _open(self, path, mode="rb", **how):
        return RemoteFile(self, path, mode, **how)


class RemoteFile(AbstractBufferedFile):
    DEFAULT_BLOCK_SIZE = 4096

    def _fetch_range(self, start, end):
        Remote.requests.append((start, end))
        if error := Remote.failing.get(len(Remote.requests)):
            raise error
        return Remote.files[self.path][start:end]


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    tar_files._counted.cache_clear()
    monkeypatch.setattr(tar_files, "_WAITS_S", (0.0, 0.0))


@pytest.fixture
def remote():
    fsspec.register_implementation("remote", Remote, clobber=True)
    for kept in (Remote.files, Remote.requests, Remote.failing):
        kept.clear()
    return Remote


@pytest.fixture
def folder(tmp_path):
    for shard in range(3):
        write_shard(tmp_path / f"part-{shard}.tar", range(1 + 5 * shard, 6 + 5 * shard))
    return tmp_path


def counted(path):
    tar_files._counted.cache_clear()
    return find_shards(path)[0]


def test_shards_of_a_folder_in_the_order_of_their_names(folder):
    (folder / "._part-0.tar").write_bytes(b"what macOS writes beside files")
    (folder / "part-0.txt").write_bytes(b"words")
    shards = find_shards(folder)
    assert [shard.url for shard in shards] == [str(folder / f"part-{n}.tar") for n in range(3)]
    assert [shard.n_clips for shard in shards] == [5, 5, 5]
    assert find_shards(str(folder)) == shards


def test_braces_of_paths_and_urls(folder, remote):
    for path in folder.glob("*.tar"):
        remote.files[f"bucket//{path.name}"] = path.read_bytes()
    here = find_shards(folder / "part-{0..2}.tar")
    assert here == find_shards(folder)
    away = find_shards("remote://bucket//part-{0..2}.tar")  # with two slashes, as a key may have
    assert [shard.url for shard in away] == [f"remote://bucket//part-{n}.tar" for n in range(3)]
    assert [shard[1:] for shard in away] == [shard[1:] for shard in here]


def test_urls_are_taken_as_they_are(folder):
    url = f"file://{folder}/part-{{0,2}}.tar"
    assert [shard.url for shard in find_shards(url)] == [
        f"file://{folder}/part-0.tar",
        f"file://{folder}/part-2.tar",
    ]
    chained = f"simplecache::file://{folder}/part-1.tar"
    (shard,) = find_shards(chained)
    assert (shard.url, shard.n_clips) == (chained, 5)
    assert [name for name, _ in read_clips(shard)] == [f"{n:03d}.wav" for n in range(6, 11)]


def test_a_long_url_is_no_path(remote):
    url = f"remote://bucket/part.tar?signature={'0' * 400}//1"
    with pytest.raises(OSError, match=r"\Aremote://bucket/part\.tar: "):
        find_shards(url)


@pytest.mark.parametrize("words", ["403, url='{}'", "{}", "Forbidden ({}) at /a?b"])
def test_signatures_are_not_told(words, monkeypatch):
    url = "https://mine.org/x/a.tar?X-Amz-Signature=abc%2Fdef/1"

    def refuse(_):
        raise PermissionError(words.format(url.replace("%2F", "/")))
        yield

    monkeypatch.setattr(tar_files, "_fingerprints", refuse)
    with pytest.raises(OSError, match=r"\Ahttps://mine\.org/x/a\.tar: ") as told:
        find_shards(url)
    assert "def" not in str(told.value)
    assert "https://mine.org/x/a.tar" in str(told.value).partition(": ")[2]
    monkeypatch.setattr(tar_files, "_stream", lambda _: iter([("1.wav", b"")]))
    with pytest.raises(OSError, match=r"\Ahttps://mine\.org/x/a\.tar: 1 clips, of which 2"):
        list(read_clips(Shard(url, 2, "")))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/data/a?b.tar", "a?b.tar"),
        ("https://mine.org/x/a.tar?key=secret/1", "a.tar"),
        ("simplecache::s3://mine/a.tar", "a.tar"),
    ],
)
def test_name_of_a_shard(url, name):
    assert Shard(url, 1, "").name == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.wav", True),
        ("./x/a.FLAC", True),
        ("x.y/a.b.mp3", True),
        ("a.json", False),
        ("wav", False),
        ("x/.wav", False),
        ("._a.wav", False),
        (".x/a.wav", False),
        ("__meta__/a.wav", False),
        ("x.wav/a", False),
    ],
)
def test_what_a_clip_is_is_the_same_for_counting_and_reading(tmp_path, name, expected):
    assert is_clip(name) == expected
    write_tar(tmp_path / "a.tar", {"first.wav": wav(1), name: wav(2), "last.wav": wav(3)})
    (shard,) = find_shards(tmp_path)
    assert shard.n_clips == 2 + expected
    names = [name for name, _ in read_clips(shard)]
    assert names == ["first.wav", *([name] if expected else []), "last.wav"]


def test_names_that_are_no_unicode(tmp_path):
    name = os.fsdecode(b"\xff.wav")
    write_tar(tmp_path / "a.tar", {name: wav(1)})
    assert list(read_clips(*find_shards(tmp_path))) == [(name, wav(1))]


def test_headers_are_counted_without_the_audio(remote, tmp_path):
    write_shard(tmp_path / "a.tar", [], {f"{n}.wav": wav(n, 500_000) for n in range(1, 9)})
    remote.files["bucket/a.tar"] = (tmp_path / "a.tar").read_bytes()
    (shard,) = find_shards("remote://bucket/a.tar")
    assert shard[1:] == counted(tmp_path)[1:]
    fetched = sum(end - start for start, end in remote.requests)
    assert fetched < 40_000 < 8_000_000 < len(remote.files["bucket/a.tar"])
    assert len(remote.requests) == 8 + 2  # and of the end, and what is behind it


@pytest.mark.parametrize("old", ["a", "b"])
def test_what_makes_other_shards(tmp_path, old):
    def shard(files, mtime=0):
        write_tar(tmp_path / "a.tar", files, mtime)
        return counted(tmp_path / "a.tar").sha256

    files = {"a.wav": wav(1), "b.wav": wav(2)}
    before = shard(files)
    assert shard(files) == before
    assert shard(files | {f"{old}.wav": wav(3)}) != before  # other samples
    assert shard(files | {f"{old}.wav": wav(1, 601)}) != before
    assert shard(dict(reversed(files.items()))) != before
    assert shard(files, mtime=1) != before
    assert shard({**files, "c.wav": wav(3)}) != before
    assert shard({name.replace(old, "x"): content for name, content in files.items()}) != before
    assert shard({**files, "a.json": b"{}"}) == before


def test_where_shards_lie_changes_nothing(folder, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved")
    shutil.copy(folder / "part-1.tar", moved / "other.tar")
    assert counted(moved).sha256 == find_shards(folder)[1].sha256


def header(content, number):
    """Place of the header of a member, of which each has one block of header."""
    place = 0
    for _ in range(number):
        place += 512 + -(-int(content[place + 124 : place + 135], 8) // 512) * 512
    return place


def cut_at_header(content):
    return content[: header(content, 3)]


def flip_in_header(content):
    place = header(content, 3) + 130
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def blank_blocks(content):
    place = header(content, 3)
    return content[:place] + bytes(1024) + content[place + 1024 :]


def leave_out_end(content):
    return content.rstrip(b"\0").ljust(header(content, 5), b"\0")


@pytest.mark.parametrize(
    ("damage", "after"),
    [(cut_at_header, 3), (flip_in_header, 3), (blank_blocks, 3), (leave_out_end, 5)],
)
def test_a_damaged_shard_is_not_a_shorter_one(tmp_path, damage, after):
    write_tar(tmp_path / "a.tar", {f"{n}.wav": wav(n) for n in range(1, 6)})
    content = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(damage(content))
    with pytest.raises(OSError, match=rf"a\.tar: cut off or damaged after {after}\.wav"):
        find_shards(tmp_path)


def test_a_shard_cut_within_a_clip(tmp_path):
    write_tar(tmp_path / "a.tar", {f"{n}.wav": wav(n) for n in range(1, 6)})
    os.truncate(tmp_path / "a.tar", 4 * 2048 + 700)
    with pytest.raises(OSError, match=r"a\.tar: unexpected end of data"):
        find_shards(tmp_path)


def test_the_least_end_is_two_blocks(tmp_path):
    write_tar(tmp_path / "a.tar", {"1.wav": wav(1)})
    os.truncate(tmp_path / "a.tar", 2048 + 1024)
    assert counted(tmp_path).n_clips == 1
    os.truncate(tmp_path / "a.tar", 2048 + 1023)
    with pytest.raises(OSError, match=r"damaged after 1\.wav"):
        counted(tmp_path)


def test_what_is_no_shard(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no tar files in {tmp_path}"):
        find_shards(tmp_path)
    with pytest.raises(OSError, match=r"none\.tar: .*No such file"):
        find_shards(tmp_path / "none.tar")
    with pytest.raises(OSError, match=r"nowhere://a\.tar: "):
        find_shards("nowhere://a.tar")
    (tmp_path / "a.tar").write_bytes(b"not a tar" * 200)
    with pytest.raises(OSError, match=r"a\.tar: no uncompressed tar file"):
        find_shards(tmp_path)
    with pytest.raises(ValueError, match="Unbalanced"):
        find_shards("s3://mine/part-{0..2.tar")


def test_a_shard_that_has_changed_since_it_was_counted(folder):
    (shard, *_) = find_shards(folder)
    with pytest.raises(OSError, match=r"part-0\.tar: 5 clips, of which 6 were counted"):
        list(read_clips(shard._replace(n_clips=6)))
    os.truncate(folder / "part-0.tar", 3000)
    with pytest.raises(OSError, match=r"part-0\.tar: unexpected end of data"):
        list(read_clips(shard))


def test_after_a_fault_of_the_network_reading_goes_on_where_it_was(tmp_path, remote):
    write_shard(tmp_path / "a.tar", range(1, 61))
    remote.files["bucket/a.tar"] = (tmp_path / "a.tar").read_bytes()
    remote.failing.update({3: ClientPayloadError("cut"), 5: ClientPayloadError("cut")})
    (here,), (shard,) = find_shards(tmp_path), find_shards("remote://bucket/a.tar")
    assert shard[1:] == here[1:]
    remote.requests.clear()
    assert list(read_clips(shard)) == list(read_clips(here))
    starts = [start for start, _ in remote.requests]
    assert starts.count(0) == 3
    # A third fault is one too many.
    remote.requests.clear()
    remote.failing[7] = ClientPayloadError("cut")
    with pytest.raises(OSError, match=r"remote://bucket/a\.tar: cut.* \(ClientPayloadError\)"):
        list(read_clips(shard))


def test_a_web_server_that_fails_once_is_asked_again(folder, remote):
    remote.files["bucket/a.tar"] = (folder / "part-0.tar").read_bytes()
    remote.failing[1] = FileNotFoundError("https://mine.org/a.tar")  # as fsspec tells status 500
    assert find_shards("remote://bucket/a.tar")[0].n_clips == 5


def test_what_will_not_come_is_not_waited_for(remote, monkeypatch):
    monkeypatch.setattr(tar_files, "_WAITS_S", (60.0,))
    with pytest.raises(OSError, match=r"remote://bucket/none\.tar: "):
        find_shards("remote://bucket/none.tar")
    with pytest.raises(OSError, match=r"none\.tar"):
        list(read_clips(Shard(str(Path("none.tar")), 1, "")))
