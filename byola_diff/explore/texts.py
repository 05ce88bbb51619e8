"""Search by text in a page: a trained retrieval system's vectors of the clips and of given texts.

The system adds the latent of a text to that of a recording, and looks where the sum points to. The
page has the latents, and does the same; it can't take up texts that were not given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16
from torch import Tensor

from byola_diff.evaluation.retrieval.search_run import text_encoder_of, warning_of_unknown_words
from byola_diff.evaluation.retrieval.system import RetrievalSystem
from byola_diff.explore.vectors import whole_numbers


class TextSpace(NamedTuple):
    """Latents by one common scale: clips are compared with sums of clips and a text."""

    texts: tuple[str, ...]
    of_clips: Int16[np.ndarray, "clip dim"]
    of_texts: Int16[np.ndarray, "text dim"]


@dataclass(frozen=True)
class Texts:
    """Texts to search by, in the latents of a system."""

    system: RetrievalSystem
    words: tuple[str, ...]
    latents: Float[Tensor, "text dim"]
    warnings: tuple[str, ...]
    """On words that the system was trained without."""

    @torch.no_grad()
    def space(self, embeddings: Float32[Tensor, "clip dim"]) -> TextSpace:
        """The latents of clips, by their embeddings, and of the texts."""
        adapter, mean, deviation = (
            self.system.network.audio_adapter,
            self.system.mean,
            self.system.deviation,
        )
        of_clips = adapter((embeddings - mean) / deviation)
        both = whole_numbers(torch.cat([of_clips, self.latents]).double().numpy())
        return TextSpace(self.words, both[: len(of_clips)], both[len(of_clips) :])


@torch.no_grad()
def texts_of(system: RetrievalSystem, texts: Sequence[str], device: torch.device | str) -> Texts:
    """The texts in the latents of the system.

    Raises:
        ValueError: If a text has no words, or occurs twice, or the text encoder is not the one that
            the system was trained with.
    """
    if len(set(texts)) < len(texts):
        raise ValueError("a text is given twice")
    encoder = text_encoder_of(system.about, device)
    latents = system.network.text_adapter(encoder.embed(list(texts)))
    warnings = [warning_of_unknown_words(system.about, encoder, text) for text in texts]
    return Texts(system, tuple(texts), latents, tuple(filter(None, dict.fromkeys(warnings))))
