"""Options of Background-known ESC-50."""

from dataclasses import dataclass, field
from typing import Annotated

from byola_diff.evaluation.options import EmbeddingOptions, Folder, Rate, ScoreOptions
from byola_diff.probing.protocols import BGKNOWN

USUAL_BGKNOWN = {
    "learning_rates": list(BGKNOWN.learning_rates),
    "seeds": list(BGKNOWN.seeds),
}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""


@dataclass(frozen=True, kw_only=True)
class BgKnownOptions(ScoreOptions, EmbeddingOptions):
    """Options of the verb `bgknown`."""

    data: Folder
    """Data set, such as datasets/make_bgknown_esc50.py makes."""
    learning_rates: list[Rate] = field(default_factory=lambda: list(BGKNOWN.learning_rates))
    """Learning rates of the probe; of several the one of lowest validation loss is taken."""
    seeds: list[Annotated[int, "N"]] = field(default_factory=lambda: list(BGKNOWN.seeds))
    """Each gives a score."""
