"""Signs of a truncated file that the decoder itself passes over.

Asked for a wav or Ogg file cut in the middle, libsndfile returns the part that is there without an
error. A wav states its size, and libsndfile notes the mismatch in its log; the last page of an Ogg
stream carries a flag.
"""

import re
from pathlib import Path

import soundfile

# As in `data : 441000 (should be 264589)`. The outer RIFF size is left out: sound files in which it
# alone is wrong are common. `riff` in small letters is W64, which has no other note.
_SIZE_NOTE = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.M)

# Programs that write to a pipe can't know the size and leave a placeholder near 2 or 4 GiB, or 0.
_PLACEHOLDER_BYTES = 0x7FFF_0000

_OGG_PAGE_BYTES = 65_307  # the largest page the format allows: RFC 3533, section 6
_OGG_END_OF_STREAM = 0x04


def truncation(file: soundfile.SoundFile, path: Path) -> str | None:
    """Why the open file counts as truncated, or None.

    Not seen: an MP3 without a length header, which has no mark of its end.
    """
    if file.format == "OGG":
        return None if _ogg_ends(path) else "truncated: the Ogg stream has no end-of-stream page"
    for declared, present in _SIZE_NOTE.findall(file.extra_info):
        if int(present) < int(declared) < _PLACEHOLDER_BYTES:
            return f"truncated: {present} of {declared} bytes are there"
    return None


def _ogg_ends(path: Path) -> bool:
    """Whether the last page is marked as the end of the stream and is complete."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 2 * _OGG_PAGE_BYTES))
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return False
    n_segments = tail[page + 26]
    segment_bytes = tail[page + 27 : page + 27 + n_segments]
    page_bytes = 27 + n_segments + sum(segment_bytes)
    complete = len(segment_bytes) == n_segments and len(tail) >= page + page_bytes
    return complete and bool(tail[page + 5] & _OGG_END_OF_STREAM)
