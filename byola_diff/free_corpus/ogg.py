"""Ogg Vorbis files of which the same samples give the same bytes.

Vorbis, as FLAC would be four times as large, and libsndfile takes nine times as long for Opus. It
draws a stream's serial number from the clock. That identifies a stream among several in a file, and
here there is one: it is set to 1, and the checksum of each page computed anew (RFC 3533).
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from byola_diff.atomic import atomic_path

_LEVEL = 0.9
"""libsndfile's compression level: about 37 kbit/s at 16 kHz mono."""
_HIGHEST_PEAK = 0.8
"""Vorbis overshoots: of loud game sounds by 9 % in the median, and by a third at most."""
_SERIAL = struct.pack("<I", 1)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def write_ogg(path: Path, waveform: Float32[np.ndarray, " sample"], sample_rate: int) -> None:
    """Write a mono file, whole or not at all; a higher peak than 0.8 is brought down to that."""
    content = io.BytesIO()
    samples = waveform * min(1.0, _HIGHEST_PEAK / max(float(np.abs(waveform).max()), 1e-9))
    soundfile.write(
        content, samples, sample_rate, format="OGG", subtype="VORBIS", compression_level=_LEVEL
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(with_serial(content.getvalue()))


def with_serial(ogg: bytes) -> bytes:
    """The same pages with serial number 1."""
    pages, at = [], 0
    while at < len(ogg):
        table_end = at + 27 + ogg[at + 26]
        end = table_end + sum(ogg[at + 27 : table_end])
        page = ogg[at : at + 14] + _SERIAL + ogg[at + 18 : at + 22] + bytes(4) + ogg[at + 26 : end]
        pages.append(page[:22] + struct.pack("<I", ogg_checksum(page)) + page[26:])
        at = end
    return b"".join(pages)


def ogg_checksum(page: bytes) -> int:
    """CRC-32 of a page whose own checksum is 0: zlib's, with the bits the other way round."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{crc:032b}"[::-1], 2)
