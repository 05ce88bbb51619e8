"""Options of retrieval with a text modifier, and of the search in a folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from byola_diff.evaluation.options import EmbeddingOptions, Encoder, Folder, ScoreOptions, Table
from byola_diff.evaluation.retrieval.text_encoders import BAG_OF_WORDS
from byola_diff.option_fields import Count

USUAL_RETRIEVAL = {"epochs": 300, "seeds": [42, 43, 44]}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""


@dataclass(frozen=True, kw_only=True)
class RetrievalOptions(ScoreOptions, EmbeddingOptions):
    """Options of the verb `retrieval`."""

    pairs: list[Table]
    """Tables of pairs with texts, such as pairs.csv of datasets/make_apwd.py; each scene in them is
    a task of its own."""
    text_encoder: Encoder = BAG_OF_WORDS
    """bag-of-words, which is built in, as no weights come with this program; distilbert:FOLDER as
    in the paper; or distilbert, from the download cache."""
    epochs: Count = 300
    """Epochs of training; that of lowest validation loss is kept."""
    seeds: list[Annotated[int, "N"]] = field(default_factory=lambda: [42, 43, 44])
    """Each gives a system and a score."""
    systems: Folder = Path("runs/retrieval")
    """Folder for the trained systems, which search uses."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions(EmbeddingOptions):
    """Options of the verb `search`."""

    system: Folder
    """A trained system, such as runs/retrieval/NAME/seed_42."""
    query: Annotated[Path, "FILE"]
    """The recording to start from."""
    text: str
    """How what is searched differs from it, as in 'add a dog, remove the rain'."""
    folder: Folder
    """Where to search for audio files."""
    encoder: Encoder | None = None
    """The encoder that the system was trained with, if it is not found by its name there."""
    top: Count = 10
    """Files to show."""
    out: Annotated[Path, "HTML"] = Path("runs/search.html")
    """The page."""
