"""Containers of games, each built by hand as its engine reads it."""

import gzip
import io
import random
import struct
import zipfile

import pytest

from byola_diff.free_corpus.containers import ContainerError, is_container, sounds_within


def read(path, content):
    return dict(sounds_within(path, io.BytesIO(content)))


def packed(files, method=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, file in files.items():
            archive.writestr(name, file)
    return content.getvalue()


def riff(body):
    return b"RIFF" + struct.pack("<I", len(body)) + body


def cat(sounds):
    """A table of offset and size, then for each a name, the RIFF file and a name again."""
    table, entries = b"", b""
    for label, sound in sounds.items():
        offset = 8 * len(sounds) + len(entries)
        name = bytes([len(label) + 1]) + label.encode() + b"\0"
        table += struct.pack("<II", offset | 0x8000_0000, len(sound))
        entries += name + sound + b"\0"
    return table + entries


def group(files):
    """A group of OpenClonk; values that are dicts are groups in it."""
    head = bytearray(b"RedWolf Design GrpFolder".ljust(36, b"\0"))
    head += struct.pack("<i", len(files)) + bytes(204 - 40)
    for place in range(0, 202, 3):
        head[place], head[place + 2] = head[place + 2], head[place]
    entries, body = b"", b""
    for name, file in files.items():
        content = group(file) if isinstance(file, dict) else file
        entry = name.encode().ljust(264, b"\0")
        entry += struct.pack("<iiii", isinstance(file, dict), len(content), 0, len(body))
        entries += entry.ljust(316, b"\0")
        body += content
    return bytes(byte ^ 237 for byte in head) + entries + body


def scrambled(content):
    return b"\x1e\x8c" + gzip.compress(content)[2:]


@pytest.mark.parametrize("name", ["data.zip", "0snd.PK3"])
def test_zip(name):
    files = {"b.ogg": b"2", "a/../../x.wav": b"1", "c.txt": b"no"}
    assert read(name, packed(files)) == {"a/../../x.wav": b"1", "b.ogg": b"2"}


def test_sound_set_of_openttd():
    sounds = {"first by x": riff(b"one"), "chainsaw.wav by y": riff(b"three")}
    assert read("opensfx.cat", cat(sounds)) == {
        "00 first by x.wav": riff(b"one"),
        "01 chainsaw.wav by y.wav": riff(b"three"),
    }


def test_groups_in_groups():
    files = {"a.ogg": b"one", "Deep.ocd": {"b.wav": b"two", "c.txt": b"no"}}
    assert read("Objects.ocd", scrambled(group(files))) == {
        "a.ogg": b"one",
        "Deep.ocd/b.wav": b"two",
    }
    assert read("Plain.ocg", group(files))["a.ogg"] == b"one"


STORED = packed({"a.wav": bytes(range(256))}, zipfile.ZIP_STORED)


def with_damage(method):
    """A zip archive whose compressed content is altered."""
    content = bytearray(packed({"a.wav": random.Random(0).randbytes(999)}, method))
    start = 30 + len("a.wav")
    content[start : start + 40] = bytes(40)
    return bytes(content)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("x.zip", b"PK\3\4 and nothing"),
        *(("x.zip", with_damage(method)) for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
        ("x.zip", packed({"\u00fc.wav": b""}).replace("\u00fc".encode(), b"\xff\xff")),
        ("x.zip", STORED.replace(b"\0\1\2", b"\1\1\1")),
        ("x.cat", b"\1"),
        ("x.cat", struct.pack("<II", 8 * 1000, 1)),
        ("x.ocd", b"\x1e\x8c broken"),
        ("x.ocf", bytes(999)),
    ],
)
def test_damage_is_told(path, content):
    with pytest.raises(ContainerError, match="damaged"):
        read(path, content)


@pytest.mark.parametrize("path", ["x.zip", "x.ocd"])
def test_bombs_are_refused(path):
    zeros = bytes(10 << 20)
    content = packed({"a.wav": zeros}) if path == "x.zip" else scrambled(zeros)
    with pytest.raises(ContainerError, match="stand for"):
        read(path, content)


def test_files_that_overlap_are_refused():
    # Thirty names for one group, eight levels deep, would be 30 ** 8 files.
    inner = group({"a.ogg": bytes(10_000)})
    content = bytearray(group(dict.fromkeys(map(str, range(30)), b"")) + inner)
    for place in range(30):
        struct.pack_into("<iiii", content, 204 + 316 * place + 264, 1, len(inner), 0, 0)
    with pytest.raises(ContainerError, match="overlap"):
        read("x.ocd", bytes(content))
    table = struct.pack("<IIII", 16 | 0x8000_0000, 30, 16, 30)
    with pytest.raises(ContainerError, match="overlap"):
        read("x.cat", table + b"\2a\0" + riff(bytes(20)))


def test_bombs_within_groups_are_refused():
    # Each level is inflated to less than 50 times its size, both together to far more.
    inner = scrambled(group({"a.ogg": random.Random(0).randbytes(250) + bytes(10_000)}))
    content = bytearray(group({f"{place}.ocd": inner for place in range(40)}))
    for place in range(40):
        struct.pack_into("<i", content, 204 + 316 * place + 264, 1)
    with pytest.raises(ContainerError, match="stand for"):
        read("x.ocd", scrambled(bytes(content)))


def test_what_is_a_container():
    assert is_container("a/b.PK3")
    assert not is_container("a/b.tar")
