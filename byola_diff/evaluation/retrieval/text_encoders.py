"""Text encoders by the words of the command line: `bag-of-words`, `distilbert:FOLDER`."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.evaluation.retrieval.bag_of_words import BagOfWords
from byola_diff.evaluation.retrieval.distilbert import PUBLISHED_NAME, load_distilbert

BAG_OF_WORDS = "bag-of-words"
DISTILBERT = "distilbert"


@runtime_checkable
class TextEncoder(Protocol):
    """A frozen text encoder: one embedding per text, whatever other texts there are."""

    dim: int

    @property
    def content_hash(self) -> str:
        """Of all that an embedding depends on."""
        ...

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "text dim"]:
        """Embeddings on the CPU."""
        ...


def check_text_encoder(word: str) -> None:
    """Do nothing if `open_text_encoder` may find an encoder of that name; nothing is loaded.

    Raises:
        ValueError: If the word names no kind of text encoder.
    """
    is_distilbert = word.partition(":")[0] == DISTILBERT and not word.endswith(":")
    if word != BAG_OF_WORDS and not is_distilbert:
        raise ValueError(
            f"{word!r} names no text encoder: it is {BAG_OF_WORDS}, {DISTILBERT}:FOLDER, or "
            f"{DISTILBERT} for {PUBLISHED_NAME} in the download cache"
        )


def open_text_encoder(word: str, device: torch.device | str = "cpu") -> TextEncoder:
    """The text encoder that `word` names.

    Args:
        word: `bag-of-words`; `distilbert:FOLDER`, or its name in the download cache; `distilbert`
            alone stands for the published one there.
        device: Where texts are embedded.

    Raises:
        ValueError: If the word names no kind of text encoder.
        FileNotFoundError: If there is no such folder or it lacks files; says where to get them.
        BrokenFileError: If the weights can't be used.
        ModuleNotFoundError: If transformers is needed and not installed.
    """
    check_text_encoder(word)
    if word == BAG_OF_WORDS:
        return BagOfWords()
    return load_distilbert(word.partition(":")[2] or PUBLISHED_NAME, device)
