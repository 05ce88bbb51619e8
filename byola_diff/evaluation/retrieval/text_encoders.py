"""Text encoders: their contract, the built-in one, and opening them by the words of the options.

The built-in one is for where no language model is at hand. Each run of one to three words has a
fixed random vector; a text is the sum over its runs. Runs stay within a clause: clauses end at
punctuation and at "and", so their order does not count, while the order of words within them does.
It knows no synonyms: words that it has not been trained with mean nothing.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from byola_diff.evaluation.retrieval.distilbert import PUBLISHED_NAME, load_distilbert
from byola_diff.randomness import derive_seed

BAG_OF_WORDS = "bag-of-words"
DISTILBERT = "distilbert"

_LONGEST = 3
_CLAUSE_END = re.compile(r"[^\w\s'-]+|\band\b")
_WORD = re.compile(r"\w[\w'-]*")


@runtime_checkable
class TextEncoder(Protocol):
    """A frozen text encoder: one embedding per text, whatever other texts there are."""

    dim: int
    content_hash: str
    """Hash of all that an embedding depends on."""

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "text dim"]:
        """Embeddings on the CPU.

        Raises:
            ValueError: If there is nothing in a text to be embedded.
        """
        ...

    def vocabulary(self, texts: Sequence[str]) -> set[str] | None:
        """All words that mean something after a training with these texts; None if others do."""
        ...


class BagOfWords:
    """Sums of random vectors, scaled to a mean square of 1 like standardised audio embeddings."""

    dim = 256

    def __init__(self) -> None:
        about = [BAG_OF_WORDS, self.dim, _LONGEST, _CLAUSE_END.pattern, _WORD.pattern]
        content = json.dumps([*about, np.__version__])
        self.content_hash = hashlib.sha256(content.encode()).hexdigest()

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "text dim"]:
        """Embeddings on the CPU, the same for texts that differ in case only.

        Raises:
            ValueError: If a text has no words.
        """
        return torch.from_numpy(np.stack([self._embed(text) for text in texts]).astype(np.float32))

    def vocabulary(self, texts: Sequence[str]) -> set[str]:
        """All words of the texts."""
        return {word for text in texts for clause in _clauses(text) for word in clause}

    def _embed(self, text: str) -> Float[np.ndarray, " dim"]:
        runs = sorted(run for words in _clauses(text) for run in _runs(words))
        if not runs:
            raise ValueError(f"{text!r} has no words")
        # Clauses come in any order, and are summed in one: equal to the last bit.
        total = np.sum([_vector(run, self.dim) for run in runs], axis=0)
        return total / np.sqrt(np.mean(total**2))


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


def _clauses(text: str) -> Iterator[list[str]]:
    """Words by clause."""
    return (_WORD.findall(clause) for clause in _CLAUSE_END.split(text.lower()))


def _runs(words: Sequence[str]) -> Iterator[str]:
    for length in range(1, _LONGEST + 1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])


@lru_cache(maxsize=100_000)
def _vector(run: str, dim: int) -> Float[np.ndarray, " dim"]:
    return np.random.default_rng(derive_seed("bag of words", run)).standard_normal(dim)
