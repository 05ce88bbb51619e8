"""A built-in text encoder for where no language model is at hand: words and their neighbours.

Each run of one to three words has a fixed random vector; a text is the sum over its runs. Runs stay
within a clause: clauses end at punctuation and at "and", so their order does not count, while the
order of words within them does. It knows no synonyms: words that it has not been trained with mean
nothing.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from byola_diff.randomness import derive_seed

_LONGEST = 3
_CLAUSE_END = re.compile(r"[^\w\s'-]+|\band\b")
_WORD = re.compile(r"\w[\w'-]*")


class BagOfWords:
    """Sums of random vectors, scaled to a mean square of 1 like standardised audio embeddings."""

    name = "bag-of-words"
    dim = 256

    @property
    def content_hash(self) -> str:
        """Of all that an embedding depends on."""
        about = [self.name, self.dim, _LONGEST, _CLAUSE_END.pattern, _WORD.pattern, np.__version__]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "text dim"]:
        """Embeddings on the CPU, the same for texts that differ in case only.

        Raises:
            ValueError: If a text has no words.
        """
        rows = [self._embed(text) for text in texts]
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def _embed(self, text: str) -> Float[np.ndarray, " dim"]:
        runs = list(_runs(text))
        if not runs:
            raise ValueError(f"{text!r} has no words")
        # Clauses in any order, and so the sum in one order: equal to the last bit.
        total = np.sum([_vector(run, self.dim) for run in sorted(runs)], axis=0)
        return total / np.sqrt(np.mean(total**2))


def words_of(text: str) -> set[str]:
    """The words that an embedding is made of."""
    return {word for clause in _CLAUSE_END.split(text.lower()) for word in _WORD.findall(clause)}


def _runs(text: str) -> Iterator[str]:
    for clause in _CLAUSE_END.split(text.lower()):
        words = _WORD.findall(clause)
        for length in range(1, _LONGEST + 1):
            for start in range(len(words) - length + 1):
                yield " ".join(words[start : start + length])


@lru_cache(maxsize=100_000)
def _vector(run: str, dim: int) -> Float[np.ndarray, " dim"]:
    return np.random.default_rng(derive_seed("bag of words", run)).standard_normal(dim)
