"""Text encoders: their contract, the built-in one, and opening them by the words of the options.

The built-in one is for where no language model is at hand. Each run of one to three words has a
fixed random vector; a text is the sum over its runs. Runs stay within a clause: clauses end at
punctuation and at "and", so their order does not count, while the order of words within them does.
It knows no synonyms: words that it has not been trained with mean nothing.

The other is DistilBERT, frozen, from a folder or the download cache, never the network.

Source:
    Sanh et al., 2019, "DistilBERT, a distilled version of BERT". That the retrieval system uses it,
    frozen: the difference-aware paper, section 5.3. The pooling is unknown there: ours is the mean
    of the last layer over all tokens of a text, the marks at its two ends among them.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from byola_diff.encoders.pretrained_folder import (
    find_folder,
    read_network,
    read_settings,
    transformers,
)
from byola_diff.models.weights import WeightsSource
from byola_diff.randomness import derive_seed
from byola_diff.storage import BrokenFileError, sha256

BAG_OF_WORDS = "bag-of-words"
DISTILBERT = "distilbert"
PUBLISHED_NAME = "distilbert-base-uncased"

_SOURCE = WeightsSource(
    "DistilBERT",
    "a folder with config.json, model.safetensors or pytorch_model.bin, and tokenizer.json or "
    "vocab.txt",
    "https://huggingface.co/distilbert/distilbert-base-uncased",
)
_TOKENIZER = ("tokenizer.json", "vocab.txt")
_CONTENT = (
    "config.json",
    "model.safetensors",
    "pytorch_model.bin",
    *_TOKENIZER,
    "tokenizer_config.json",
)
_BATCH_SIZE = 64
_MAX_TOKENS = 512

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
        """Embeddings on the CPU, the same for texts that differ in case only."""
        return torch.from_numpy(np.stack([self._embed(text) for text in texts]).astype(np.float32))

    def vocabulary(self, texts: Sequence[str]) -> set[str]:
        """All words of the texts."""
        return {word for text in texts for clause in _clauses(text) for word in clause}

    def _embed(self, text: str) -> Float[np.ndarray, " dim"]:
        runs = sorted(
            " ".join(words[start : start + length])
            for words in _clauses(text)
            for length in range(1, _LONGEST + 1)
            for start in range(len(words) - length + 1)
        )
        if not runs:
            raise ValueError(f"{text!r} has no words")
        # Clauses come in any order, and are summed in one: equal to the last bit.
        total = np.sum([_vector(run, self.dim) for run in runs], axis=0)
        return total / np.sqrt(np.mean(total**2))


def _clauses(text: str) -> Iterator[list[str]]:
    """Words by clause; letters with accents as one sign, as in tables of pairs."""
    composed = unicodedata.normalize("NFC", text).lower()
    return (_WORD.findall(clause) for clause in _CLAUSE_END.split(composed))


@lru_cache(maxsize=100_000)
def _vector(run: str, dim: int) -> Float[np.ndarray, " dim"]:
    return np.random.default_rng(derive_seed("bag of words", run)).standard_normal(dim)


class DistilBert:
    """A frozen language model with its tokenizer; texts beyond 512 tokens are cut."""

    def __init__(self, weights: Path | str, device: torch.device | str = "cpu") -> None:
        """Read a folder, or that of a name in the download cache.

        Raises:
            FileNotFoundError: If there is no such folder or it lacks files; says where to get them.
            BrokenFileError: If it is of another architecture, or weights are missing.
            ModuleNotFoundError: If transformers is not installed.
        """
        folder = find_folder(weights, _SOURCE)
        if not any((folder / name).is_file() for name in _TOKENIZER):
            raise FileNotFoundError(
                f"{folder} has neither {' nor '.join(_TOKENIZER)}: {_SOURCE.model} needs "
                f"{_SOURCE.file}, from {_SOURCE.source}"
            )
        read_settings(folder, "distilbert")
        network: Any = read_network(folder)
        try:
            self.tokenizer = transformers().DistilBertTokenizerFast.from_pretrained(
                folder, local_files_only=True
            )
        except Exception as error:  # what it raises depends on the file that is wrong
            raise BrokenFileError(folder, f"its tokenizer can't be read ({error})") from error
        self.network = network.eval().requires_grad_(False).to(device)
        self.device, self.dim = device, network.config.dim
        # The tokenizer decides as much as the weights do.
        paths = [folder / name for name in _CONTENT] + sorted(folder.glob("*.index.json"))
        digests = [f"{path.name} {sha256(path)}" for path in paths if path.is_file()]
        self.content_hash = hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def vocabulary(self, texts: Sequence[str]) -> None:
        """No closed one: a language model knows words that these texts lack."""

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "text dim"]:
        """Embeddings on the CPU."""
        if not all(text.strip() for text in texts):
            raise ValueError("a text is empty")
        embeddings = torch.empty(len(texts), self.dim)
        # Texts of about one length share a batch, so that little is padded.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), _BATCH_SIZE):
            places = order[start : start + _BATCH_SIZE]
            tokens = self.tokenizer(
                [texts[place] for place in places],
                padding=True,
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
            ).to(self.device)
            mask = tokens["attention_mask"]
            state = self.network(tokens["input_ids"], attention_mask=mask).last_hidden_state
            mean = (state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            embeddings[places] = mean.float().cpu()
        return embeddings


def open_text_encoder(word: str, device: torch.device | str = "cpu") -> TextEncoder:
    """The text encoder of a word: `bag-of-words`, or `distilbert:FOLDER`.

    FOLDER may be a name in the download cache; `distilbert` alone is the published one there.

    Raises:
        ValueError: If the word names no kind of text encoder; else as `DistilBert`.
    """
    if word == BAG_OF_WORDS:
        return BagOfWords()
    kind, _, weights = word.partition(":")
    if kind != DISTILBERT or word.endswith(":"):
        raise ValueError(
            f"{word!r} names no text encoder: it is {BAG_OF_WORDS}, {DISTILBERT}:FOLDER, or "
            f"{DISTILBERT} for {PUBLISHED_NAME} in the download cache"
        )
    return DistilBert(weights or PUBLISHED_NAME, device)
