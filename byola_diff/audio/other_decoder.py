"""Files that libsndfile does not read, or not to their end: decoded as a whole by PyAV (FFmpeg).

PyAV is the extra `decode`. Without it such files are refused by name.
"""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from byola_diff.optional import require

OTHER_SUFFIXES = {
    *(".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".aac", ".adts", ".amr", ".awb"),
    *(".webm", ".weba", ".mka", ".mkv", ".avi", ".wma", ".wmv", ".asf", ".ra", ".rm"),
    *(".wv", ".ape", ".tta", ".tak", ".mpc", ".shn", ".dsf", ".dff", ".spx"),
    *(".ac3", ".eac3", ".dts"),
}
EXTRA = "pip install 'byola-diff[decode]'"

# Plain containers alone: play lists and the like name other files, or addresses.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,aac,amr,amrnb,amrwb,rm,wv,ape,tta,tak,mpc,mpc8,"
    "shn,dsf,iff,ac3,eac3,dts,ogg,mp3,flac"
)
# Those that state a length; that of others is estimated from the bit rate.
_STATED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "asf", "wv", "ape", "tta", "tak", "avi")
_TOLERANCE_S = 0.5


def other_decoder_name() -> str:
    """Name and version of the decoder, if it is installed; else empty."""
    return f"av {require('av', 'decode').__version__}" if find_spec("av") else ""


def decode(
    path: Path, most_samples: int, content: bytes | None = None
) -> tuple[Float32[np.ndarray, " sample"], int]:
    """Mean of the channels and the sample rate of the first audio stream, decoded to its end.

    Of a file in memory, `content` are its bytes.

    Raises:
        ModuleNotFoundError: If PyAV is not installed.
        ValueError: If there is no audio, it changes its format, is longer than `most_samples`, or
            shorter than the file says.
        OSError: Of PyAV, if the file can't be decoded.
    """
    av = require("av", "decode")
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": ""}
    blocks, n_samples = [], 0
    with _opened(path, content) as file, av.open(file, options=options) as container:
        if not container.streams.audio:
            raise ValueError("no audio in it")
        stream = container.streams.audio[0]
        is_opus = stream.codec_context.name in ("opus", "libopus")
        if is_opus and (content or path.read_bytes()).count(b"OpusHead") > 1:
            raise ValueError("several Opus streams, of which PyAV reads the first alone: split it")
        to_float = av.AudioResampler(format="fltp")
        for frame in container.decode(stream):
            for part in to_float.resample(frame):
                blocks.append(part.to_ndarray().mean(axis=0, dtype=np.float32))
                n_samples += len(blocks[-1])
            if n_samples > most_samples:
                raise ValueError(f"longer than {most_samples} samples: cut it into parts")
        if not blocks:
            raise ValueError("no samples in its audio")
        stated = stream.duration and float(stream.duration * stream.time_base)
        rate = to_float.rate or stream.codec_context.sample_rate
        is_stated = stated and container.format.name in _STATED
        if is_stated and n_samples / rate < stated - _TOLERANCE_S:
            raise ValueError(f"truncated: {n_samples / rate:.3f} of {stated:.3f} s are there")
    return np.concatenate(blocks), rate


def _opened(path: Path, content: bytes | None) -> io.BufferedIOBase:
    """The file; one in memory has its name, by which FFmpeg knows some formats."""
    if content is None:
        return path.open("rb")
    file = io.BytesIO(content)
    file.name = str(path)
    return file
