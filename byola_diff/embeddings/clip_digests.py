"""What the embedding of a clip depends on besides encoder and settings, as a hash per clip."""

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing

_BLOCKS, _BLOCK_BYTES = 32, 4096


def clip_digests(manifest: Manifest, preprocessing: Preprocessing) -> list[bytes]:
    """SHA-256 of each clip: of its row as far as that says what is read, and of its file.

    A file is known by its path below the manifest's folder, its size, and 32 blocks of 4 KiB spread
    evenly over it; files of up to 128 KiB are read whole. So a data set may be moved or unpacked
    anew. A change of a large file is not seen if it keeps the size and falls between two blocks,
    which needs it to be shorter than a thirtieth of the file.

    A file that is not there has a digest too: reading it is what tells.
    """
    fingerprint: Callable[[Path], str | None] = cache(_fingerprint)  # files may have many clips
    digests = []
    for clip in manifest.clips:
        seed = preprocessing.seed if preprocessing.draws(clip) else None
        row = [clip.file, clip.start_s, clip.duration_s, seed, fingerprint(manifest.path(clip))]
        digests.append(hashlib.sha256(json.dumps(row).encode()).digest())
    return digests


def _fingerprint(path: Path) -> str | None:
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(b"%d " % size)
            if size <= _BLOCKS * _BLOCK_BYTES:
                digest.update(file.read())
            else:
                for block in range(_BLOCKS):
                    file.seek((size - _BLOCK_BYTES) * block // (_BLOCKS - 1))
                    digest.update(file.read(_BLOCK_BYTES))
    except OSError:
        return None
    return digest.hexdigest()
