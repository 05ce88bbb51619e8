"""Small tar shards of sounds, for the tests of this folder."""

import io
import tarfile

import numpy as np
import soundfile

RATE = 16_000


def wav(number, n_samples=600):
    """All samples of clip k are k / 1000."""
    content = io.BytesIO()
    soundfile.write(content, np.full(n_samples, number / 1000), RATE, format="WAV")
    return content.getvalue()


def write_tar(path, files, mtime=0):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mtime = mtime
            tar.addfile(member, io.BytesIO(content))


def write_shard(path, numbers, extra=None, mtime=0):
    files = {f"{number:03d}.wav": wav(number) for number in numbers}
    files |= {f"{number:03d}.json": b"{}" for number in numbers}
    write_tar(path, files | (extra or {}), mtime)
