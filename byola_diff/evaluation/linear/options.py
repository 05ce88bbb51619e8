"""Options of the linear evaluation and of `embed`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from byola_diff.evaluation.options import (
    EmbeddingOptions,
    Encoder,
    Folder,
    Rate,
    ScoreOptions,
    Table,
    npy_file,
)


@dataclass(frozen=True, kw_only=True)
class LinearOptions(ScoreOptions, EmbeddingOptions):
    """Options of the verbs `linear`, `layers`, `fusion` and `ensemble`."""

    manifest: list[Table]
    """Tasks: columns file, label, and split or fold; `prepare task` makes those of published
    tasks."""
    audio_root: Folder | None = None
    """Folder that files of manifests are relative to (default: that of each manifest)."""
    protocol: Literal["evar", "diff24", "logistic"] = "evar"
    """evar, diff24: a linear layer trained as in the papers, the learning rate chosen on validation
    clips by score or by loss; logistic: the optimum of a regularised regression, found directly."""
    learning_rates: list[Rate] | None = None
    """To choose from (default: 13 from 1e-5 to 1e-2)."""
    seeds: list[Annotated[int, "N"]] | None = None
    """Each gives a score (default: 42 43 44)."""


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(EmbeddingOptions):
    """Options of the verb `embed`."""

    encoder: Encoder
    """A bundle folder, a kind as in cnn14:FILE, or a YAML file: see `evaluate --help`."""
    manifest: Table
    """The clips: columns file, label, and split or fold."""
    audio_root: Folder | None = None
    """Folder that files of the manifest are relative to (default: that of the manifest)."""
    out: Annotated[Path, npy_file, "NPY"]
    """File for the embeddings."""
