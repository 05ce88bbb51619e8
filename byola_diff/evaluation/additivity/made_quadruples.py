"""Quadruples that come made, as waveforms: two scenes A and C, and both with the same T added.

    FOLDER/data/test-*.parquet          A-COAT-2k as published: columns A, B, C, D and metadata
    FOLDER/quadruples.csv               any others: columns A, B, C, D of files, and perhaps label
    `ToneQuadruples`                    scenes of tones, made as they are read

B is A with T, and D is C with T. All four are of one length and one sample rate. They are read one
by one: those published are 5 GB.

Source:
    "Evaluating compositional structure in audio representations", ICASSP 2026 (arXiv 2603.13685),
    and its data set chuyangchenn/a-coat-2k on the Hugging Face hub, CC BY 4.0.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import soundfile
from jaxtyping import Float32

from byola_diff.audio.files import AudioFileError, AudioReader, read_audio
from byola_diff.optional import require
from byola_diff.soundscapes import tone_scenes
from byola_diff.storage import sha256
from byola_diff.tables.rows import FIRST_ROW, located, read_rows

SIDES = ("A", "B", "C", "D")
TABLE = "quadruples.csv"
_SHARDS = ("data/test-*.parquet", "*.parquet")
_ROWS_AT_ONCE = 16


class Quadruple(NamedTuple):
    """Waveforms of A, A + T, C and C + T, of one length."""

    waveforms: tuple[Float32[np.ndarray, " sample"], ...]
    sample_rate: int
    label: str
    """What T is, or "" where that is not said."""


@runtime_checkable
class QuadrupleSource(Protocol):
    """Quadruples, wherever they come from."""

    @property
    def name(self) -> str:
        """The task in records."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def settings(self) -> dict[str, Any]:
        """What a record says of them."""
        ...

    def read(self, limit: int) -> Iterator[Quadruple]:
        """The first `limit` of them, each checked."""
        ...


def open_quadruples(folder: Path) -> QuadrupleSource:
    """The quadruples of a folder; no audio is read yet.

    Raises:
        FileNotFoundError: If there is neither a table nor a parquet file.
        ValueError: If a column is missing, or the table can't be used; it names file and row.
        ModuleNotFoundError: If pyarrow, which reads parquet files, is not installed.
    """
    if (folder / TABLE).is_file():
        return TableQuadruples(folder)
    for pattern in _SHARDS:
        if shards := sorted(folder.glob(pattern)):
            return ParquetQuadruples(folder, tuple(shards))
    raise FileNotFoundError(
        f"{folder} has neither {TABLE} nor {_SHARDS[0]}: A-COAT-2k is published as the data set "
        "chuyangchenn/a-coat-2k on the Hugging Face hub"
    )


@dataclass(frozen=True)
class ParquetQuadruples:
    """A-COAT-2k as it is published, in shards; a ValueError if a shard lacks a column."""

    folder: Path
    shards: tuple[Path, ...]

    def __post_init__(self) -> None:
        for shard in self.shards:
            names = _parquet(shard).schema_arrow.names
            if missing := [side for side in SIDES if side not in names]:
                raise ValueError(f"{shard} has no column {', '.join(missing)}, but {names}")

    @property
    def name(self) -> str:
        """That of the folder."""
        return self.folder.resolve().name

    def __len__(self) -> int:
        return sum(_parquet(shard).metadata.num_rows for shard in self.shards)

    def settings(self) -> dict[str, Any]:
        """Names and sizes of the shards, whose content is too large to be hashed for a record."""
        return {"shards": {shard.name: shard.stat().st_size for shard in self.shards}}

    def read(self, limit: int) -> Iterator[Quadruple]:
        """The first `limit` quadruples, in the order of the shards."""
        rows = (row for shard in self.shards for row in _rows(shard))
        for _, (where, row) in zip(range(limit), rows, strict=False):
            sides = {side: _decoded(row[side], f"{where}, column {side}") for side in SIDES}
            yield _checked(where, sides, _label_of(row.get("metadata")))


@dataclass(frozen=True)
class TableQuadruples:
    """Audio files of a folder by its table; a ValueError if that can't be used."""

    folder: Path

    def __post_init__(self) -> None:
        self._rows()

    @property
    def name(self) -> str:
        """That of the folder."""
        return self.folder.resolve().name

    def __len__(self) -> int:
        return len(self._rows())

    def settings(self) -> dict[str, Any]:
        """A hash of the table and of all its files."""
        files = sorted({row[side] for row in self._rows() for side in SIDES})
        hashes = [sha256(self.folder / file) for file in (TABLE, *files)]
        return {"sha256": hashlib.sha256("".join(hashes).encode()).hexdigest()}

    def read(self, limit: int) -> Iterator[Quadruple]:
        """The first `limit` quadruples, in the order of the table."""
        path = self.folder / TABLE
        for number, row in enumerate(self._rows()[:limit], start=FIRST_ROW):
            sides = {side: read_audio(self.folder / row[side]) for side in SIDES}
            yield _checked(f"{path}: row {number}", sides, row.get("label", ""))

    def _rows(self) -> list[dict[str, str]]:
        path, root = self.folder / TABLE, self.folder.resolve()
        with located(f"{path}: "):
            rows = read_rows(path, "table of quadruples", [(side,) for side in SIDES])
            for number, row in enumerate(rows, start=FIRST_ROW):
                for side in SIDES:
                    if not (root / row[side]).resolve().is_relative_to(root):
                        raise ValueError(f"row {number}, column {side!r}: leaves the folder")
        return rows


@dataclass(frozen=True)
class ToneQuadruples:
    """Scenes of tones of `duration_s` each; quadruple k depends on the seed and k alone."""

    n_quadruples: int
    duration_s: float
    seed: int = 0
    name: str = "tone scenes"

    def __len__(self) -> int:
        return self.n_quadruples

    def settings(self) -> dict[str, Any]:
        """What the scenes depend on."""
        return {"duration_s": self.duration_s, "scene_seed": self.seed}

    def read(self, limit: int) -> Iterator[Quadruple]:
        """The first `limit` quadruples."""
        for number in range(min(limit, self.n_quadruples)):
            first, second, added = tone_scenes.drawn_objects(self.seed, number)
            waveforms = tone_scenes.mixed(first, second, added, self.duration_s)
            label = " + ".join(sorted(one.timbre for one in added))
            yield Quadruple(waveforms, tone_scenes.SAMPLE_RATE, label)


def _parquet(shard: Path) -> Any:
    """A shard that is open; a ValueError if it is none."""
    parquet = require("pyarrow.parquet", "parquet", "a data set in parquet files")
    try:
        return parquet.ParquetFile(shard)
    except (OSError, ValueError) as error:
        raise ValueError(f"{shard} is no parquet file: {error}") from error


def _rows(shard: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows of a shard, each with where it is, counted from 1."""
    file, number = _parquet(shard), 0
    known = [name for name in (*SIDES, "metadata") if name in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=known):
        for row in batch.to_pylist():
            number += 1
            yield f"{shard}: row {number}", row


def _decoded(audio: Any, where: str) -> tuple[Float32[np.ndarray, " sample"], int]:
    """Mean of the channels and sample rate of a file that is a cell, as "bytes" of a struct."""
    content = audio.get("bytes") if isinstance(audio, Mapping) else None
    if not isinstance(content, bytes):
        raise AudioFileError(where, "no bytes of an audio file")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            return AudioReader(file, Path(where)).read(), file.samplerate
    except soundfile.LibsndfileError as error:
        raise AudioFileError(where, f"unreadable: {error.error_string}") from error


def _checked(
    where: str, sides: Mapping[str, tuple[Float32[np.ndarray, " sample"], int]], label: str
) -> Quadruple:
    rates = {side: rate for side, (_, rate) in sides.items()}
    if len({*rates.values()}) > 1:
        raise ValueError(f"{where}: sample rates differ: {rates}")
    lengths = {side: len(waveform) for side, (waveform, _) in sides.items()}
    if len({*lengths.values()}) > 1:
        raise ValueError(f"{where}: lengths in samples differ: {lengths}")
    return Quadruple(tuple(waveform for waveform, _ in sides.values()), rates["A"], label)


def _label_of(metadata: Any) -> str:
    """Timbres of the objects that are added, sorted; "" where nothing is said of them."""
    added = metadata.get("T") if isinstance(metadata, Mapping) else None
    return " + ".join(sorted(str(one["timbre_label"]) for one in added)) if added else ""
