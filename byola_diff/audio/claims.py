"""Whether the length in a header is true, as far as that can be told without decoding.

libsndfile gives what the header says, reads of a damaged file the part that is there, and of a
longer one the part that was stated: all without an error.
"""

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import soundfile

# The length of an MP3 without a length header is an estimate, and encoders add silence.
MP3_TOLERANCE_S = 0.25
_MP3_TOLERANCE_FRAMES = 6

# As in `data : 441000 (should be 264589)`. The outer RIFF size is left out: sound files in which it
# alone is wrong are common. `riff` in small letters is W64, which has no other note.
_SIZE_NOTE = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.M)
_RF64_NOTE = re.compile(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)")
_NIST_COUNT = re.compile(rb"sample_count -i (\d+)")
_NIST_HEADER_BYTES = 1024
_NO_CHUNK = "Exiting parser"
SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4}
SAMPLE_BYTES |= {"DOUBLE": 8, "ULAW": 1, "ALAW": 1}
"""Bytes of a sample, by subtype, where all samples have the same number."""

# Programs that write to a pipe can't know the size and leave a placeholder near 2 or 4 GiB, or 0.
_PLACEHOLDER_BYTES = 0x7FFF_0000
_UNKNOWN = 1 << 62

_OGG_START = re.compile(rb"OggS\x00[\x02\x03\x06\x07]")
_OGG_PAGE_BYTES = 65_307  # the largest page the format allows: RFC 3533, section 6
_OGG_END_OF_STREAM = 0x04

_MP3_KBPS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_LENGTH_HEADERS = (b"Xing", b"Info", b"VBRI")


class Doubt(NamedTuple):
    """What is wrong with a stated length."""

    reason: str
    readable: bool
    """Whether a decoder that reads the file to its end, whatever the header says, gets it whole."""


def doubt(file: soundfile.SoundFile, path: Path, content: bytes | None = None) -> Doubt | None:
    """What is wrong with the stated length of an open file; None where nothing can be seen.

    Of a file in memory, `content` are its bytes.
    """
    if file.frames > _UNKNOWN:
        return Doubt("its header has no length", readable=True)
    if file.format in ("OGG", "MP3"):
        with _bytes_of(path, content) as held:
            return (_doubt_ogg if file.format == "OGG" else _doubt_mp3)(file, held)
    for declared, present in _SIZE_NOTE.findall(file.extra_info):
        if int(present) < int(declared) < _PLACEHOLDER_BYTES:
            return Doubt(f"truncated: {present} of {declared} bytes are there", readable=False)
    if (note := _RF64_NOTE.search(file.extra_info)) and int(note[1]) < int(note[2]):
        return Doubt(f"truncated: {note[1]} of {note[2]} samples are there", readable=False)
    if file.format == "NIST":
        with _bytes_of(path, content) as held:
            count = _NIST_COUNT.search(held[:_NIST_HEADER_BYTES])
        if count and file.frames < int(count[1]):
            reason = f"truncated: {file.frames} of {int(count[1])} samples are there"
            return Doubt(reason, readable=False)
    return _doubt_rest(file, path, content)


@contextmanager
def _bytes_of(path: Path, content: bytes | None) -> Iterator[bytes | mmap.mmap]:
    """All bytes of a file, mapped where they are not in memory."""
    if content is not None:
        yield content
        return
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        yield mapped


def _doubt_rest(file: soundfile.SoundFile, path: Path, content: bytes | None) -> Doubt | None:
    """Bytes after the stated end that are no part of the format: a header that was not updated."""
    frame_bytes = SAMPLE_BYTES.get(file.subtype, 0) * file.channels
    if not frame_bytes or not (file.format == "AU" or _NO_CHUNK in file.extra_info):
        return None
    n_bytes = path.stat().st_size if content is None else len(content)
    rest = n_bytes - file.frames * frame_bytes
    if file.format == "FLAC" or rest < 4096 + frame_bytes * file.samplerate // 4:
        return None
    reason = f"its header says {file.frames} samples, but {rest} further bytes are no part of it"
    return Doubt(reason, readable=False)


def _doubt_ogg(file: soundfile.SoundFile, content: bytes | mmap.mmap) -> Doubt | None:
    if not _ogg_ends(content[-2 * _OGG_PAGE_BYTES :]):
        return Doubt("truncated: the Ogg stream has no end-of-stream page", readable=False)
    if (n_streams := len(_OGG_START.findall(content))) > 1:
        return Doubt(f"it holds {n_streams} Ogg streams, of {file.frames} samples the first", True)
    return None


def _ogg_ends(tail: bytes) -> bool:
    """Whether the last page is marked as the end of the stream and is complete."""
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return False
    n_segments = tail[page + 26]
    segment_bytes = tail[page + 27 : page + 27 + n_segments]
    page_bytes = 27 + n_segments + sum(segment_bytes)
    complete = len(segment_bytes) == n_segments and len(tail) >= page + page_bytes
    return complete and bool(tail[page + 5] & _OGG_END_OF_STREAM)


def _doubt_mp3(file: soundfile.SoundFile, content: bytes | mmap.mmap) -> Doubt | None:
    """The stated or estimated length against that of all frames."""
    n_frames, frame_samples, stated = _mp3_frames(content)
    more = n_frames * frame_samples - file.frames
    tolerance = MP3_TOLERANCE_S * file.samplerate
    if not n_frames or abs(more) <= max(tolerance, _MP3_TOLERANCE_FRAMES * frame_samples):
        return None
    held = f"its {n_frames} MP3 frames hold {n_frames * frame_samples} samples"
    if stated and more < 0:
        return Doubt(f"truncated: {held} of {file.frames}", readable=False)
    return Doubt(f"{held}, and {file.frames} are {'stated' if stated else 'estimated'}", True)


def _mp3_frames(content: bytes | mmap.mmap) -> tuple[int, int, bool]:
    """Whole frames, samples of one, and whether the first is a header that states the length."""
    at = n_frames = frame_samples = 0
    stated, in_step = False, True
    while at < len(content):
        if content[at : at + 3] == b"ID3" and at + 10 <= len(content):
            size = content[at + 6 : at + 10]
            at += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
            continue
        n_bytes, n_samples = _mp3_frame(content, at)
        # What looks like a frame after other bytes is one if another follows.
        end = at + n_bytes
        if n_bytes and (in_step or end >= len(content) or _mp3_frame(content, end)[0]):
            if not n_frames and not stated:
                head, frame_samples = content[at : at + 200], n_samples
                stated = any(name in head for name in _MP3_LENGTH_HEADERS)
                n_frames -= stated
            n_frames, at, in_step = n_frames + (end <= len(content)), end, True
            continue
        in_step = False
        at = content.find(b"\xff", at + 1)
        if at < 0:
            break
    return n_frames, frame_samples, stated


def _mp3_frame(content: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    """Bytes and samples of the layer III frame that begins here; zeros where none does."""
    head = content[at : at + 3]
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0, 0
    version, kbps, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or kbps in (0, 15) or rate == 3:
        return 0, 0
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    kbit = _MP3_KBPS[1 if version == 3 else 2][kbps - 1]
    n_samples = 1152 if version == 3 else 576
    return n_samples * 125 * kbit // hertz + (head[2] >> 1 & 1), n_samples
