"""Embeddings on disk, under the hash of all that they depend on.

A folder for each combination of settings (encoder, readout, length of a unit, precision, kind of
device, versions) holds parts of about 1024 clips, or 256 MiB. Within it, a clip is known by its
digest (`clip_digests`): labels can change, rows come and go, data sets be moved, and only new
clips are embedded.

A part appears whole or not at all. Its name is the SHA-256 of its content; it says which settings
it is of, and the SHA-256 of its list of clips, which is checked without reading the rest.
"""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from byola_diff.atomic import atomic_path, write_text
from byola_diff.embeddings.extracted import ClipEmbeddings, Extracted
from byola_diff.progress import note, progress
from byola_diff.storage import sha256
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing

FORMAT = 3
"""To be raised when the same settings would give other embeddings, or files look different."""

_PART_CLIPS = 1024
_PART_BYTES = 1 << 28
_SETTLED_NS = 2 * 10**9
_CLIPS, _COUNTS, _VALUE = "clips", "counts", "value/"


class EmbeddingCache:
    """Parts for one combination of settings."""

    def __init__(self, root: Path, settings: Mapping[str, Any]) -> None:
        """Below `root`, by plain values that every embedding depends on; nothing is written yet."""
        self._about = json.dumps({"format": FORMAT, **settings}, indent=2, sort_keys=True) + "\n"
        self.folder = root / hashlib.sha256(self._about.encode()).hexdigest()
        self._waiting: list[tuple[UInt8[Tensor, "clip 32"], ClipEmbeddings]] = []

    def load(self, extracted: Extracted, digests: Sequence[bytes]) -> None:
        """Put what is stored of the clips with these digests, one to a clip, into `extracted`.

        Of parts that hold none of them, the list of clips alone is read. Parts found damaged are
        removed, which is said on the standard error.
        """
        clips_of = defaultdict(list)
        for clip, digest in enumerate(digests):
            clips_of[digest].append(clip)
        for path in sorted(self.folder.glob("*.safetensors")):
            stored = self._stored_digests(path)
            found = [
                (place, clip)
                for place, digest in enumerate(stored or ())
                for clip in clips_of.get(digest, ())
            ]
            if stored is not None and not found:
                continue
            if stored is None or sha256(path) != path.stem:
                note(f"{path}: damaged, or of other settings; its clips are embedded anew")
                path.unlink()
                continue
            tensors, (places, clips) = load_file(path), zip(*found, strict=True)
            counts = tensors.pop(_COUNTS)
            del tensors[_CLIPS]
            values = {name.removeprefix(_VALUE): tensor for name, tensor in tensors.items()}
            extracted.put(clips, ClipEmbeddings(values, counts).take(places))
        extracted.n_cached = len(digests) - len(extracted.missing())

    def add(self, digests: Sequence[bytes], embeddings: ClipEmbeddings) -> None:
        """Take embeddings, one digest to a clip; a part is written when there are enough."""
        packed = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8)
        self._waiting.append((packed.reshape(len(digests), -1), embeddings))
        waiting = [each for _, each in self._waiting]
        n_bytes = sum(value.nbytes for each in waiting for value in each.values.values())
        if sum(len(each.counts) for each in waiting) >= _PART_CLIPS or n_bytes >= _PART_BYTES:
            self.flush()

    def count(self, digests: Sequence[bytes]) -> int:
        """How many of the clips with these digests are stored. Nothing is written or removed.

        Embeddings are not read: a truncated part counts nothing, but one whose values were altered,
        which `load` would remove, counts as if it were whole.
        """
        stored: set[bytes] = set()
        for path in self.folder.glob("*.safetensors"):
            stored.update(self._stored_digests(path) or ())
        return sum(digest in stored for digest in digests)

    def __enter__(self) -> "EmbeddingCache":
        """A block after which all that was added is written, also if an error ends it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the last part. If an error ended the block, that is the one that is raised."""
        try:
            self.flush()
        except OSError as problem:
            if kind is None:
                raise
            note(f"{self.folder}: the last part is lost: {problem}")

    def _metadata(self, clips: UInt8[Tensor, "clip 32"]) -> dict[str, str]:
        """What a part with these clips says of itself; of one name, as the order of more varies."""
        return {"part": f"{self.folder.name} {hashlib.sha256(clips.numpy().tobytes()).hexdigest()}"}

    def _stored_digests(self, path: Path) -> list[bytes] | None:
        """Digests of the clips of a part, of which nothing else is read; None if damaged."""
        try:
            with safe_open(path, "pt") as part:
                clips = part.get_tensor(_CLIPS)
                if part.metadata() != self._metadata(clips):
                    return None
        except SafetensorError:
            return None
        return [bytes(digest) for digest in clips.numpy()]

    def flush(self) -> None:
        """Write what was added since the last part."""
        if not self._waiting:
            return
        digests, waiting = zip(*self._waiting, strict=True)
        tensors = {
            _CLIPS: torch.cat(digests),
            _COUNTS: torch.cat([embeddings.counts for embeddings in waiting]),
        }
        for name in waiting[0].values:
            tensors[_VALUE + name] = torch.cat([embeddings.values[name] for embeddings in waiting])
        content = save(tensors, self._metadata(tensors[_CLIPS]))
        path = self.folder / f"{hashlib.sha256(content).hexdigest()}.safetensors"
        write_text(self.folder / "settings.json", self._about)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
        self._waiting.clear()


def clip_digests(manifest: Manifest, preprocessing: Preprocessing) -> list[bytes]:
    """SHA-256 of each clip: of its row as far as that says what is read, and of its file.

    A file is known by its path below the manifest's folder and by all of its bytes, which are read
    once in a process, however many encoders there are. So a data set may be moved or unpacked anew.

    A file that is not there has a digest too: reading it is what tells.
    """
    fingerprint = cache(_fingerprint)  # files may have many clips
    digests = []
    for clip in progress(manifest.clips, unit="clips", title="hashing", leave=False):
        seed = preprocessing.seed if preprocessing.draws(clip) else None
        row = [clip.file, clip.start_s, clip.duration_s, seed, fingerprint(manifest.path(clip))]
        digests.append(hashlib.sha256(json.dumps(row).encode()).digest())
    return digests


def _fingerprint(path: Path) -> str | None:
    try:
        if not path.is_file():  # opening a pipe waits for ever
            return None
        about = path.stat()
        # What was just written may be written again within one tick of the file system's clock.
        is_new = time.time_ns() - max(about.st_mtime_ns, about.st_ctime_ns) < _SETTLED_NS
        digest = _file_digest.__wrapped__ if is_new else _file_digest
        return digest(path, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
    except OSError:
        return None


@lru_cache(maxsize=1 << 20)
def _file_digest(path: Path, size: int, *_: int) -> str:
    """Hash of the bytes: once for all encoders of a process, unless the file changes meanwhile."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, lambda: hashlib.sha256(b"%d " % size)).hexdigest()
