"""Retrieval with a text modifier: two adapters into one space, on frozen embeddings.

The text's latent is added to that of the query audio; the sum should lie where the target audio
does. Query and target share one audio adapter.

Source:
    Takeuchi et al., 2022, "Introducing auxiliary text query-modifier to content-based audio
    retrieval" (APwD), and the difference-aware paper, section 5.3 and Fig. 3. They state frozen
    encoders, the sum, adapters with a GELU, a contrastive and a multi-label loss. The shape of the
    adapters is unknown: see `Adapter`.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import cross_entropy, normalize

from byola_diff.randomness import derive_seed

LEAST_TEMPERATURE = 0.01
"""Training may not sharpen the similarities beyond this."""


class PairBatch(NamedTuple):
    """Embeddings of some pairs. First clips come before second clips: one pass serves both."""

    audio: Float[Tensor, "clip feature"]
    text: Float[Tensor, "pair text"]
    labels: Float[Tensor, "clip class"]


class Adapter(nn.Module):
    """Linear, GELU, Linear, plus the output of the first Linear; then layer normalisation.

    The papers name the GELU and a linear layer, and neither depth, width nor skip.
    """

    def __init__(self, n_features: int, dim: int = 512) -> None:
        super().__init__()
        self.first = nn.Linear(n_features, dim)
        self.second = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, embedding: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch dim"]:
        """Latents of embeddings."""
        hidden = self.first(embedding)
        return self.norm(hidden + self.second(functional.gelu(hidden)))


class RetrievalNetwork(nn.Module):
    """The adapters, a classifier of sound events on audio latents, and the temperature."""

    def __init__(
        self, audio_features: int, text_features: int, n_classes: int, dim: int = 512
    ) -> None:
        super().__init__()
        self.audio_adapter = Adapter(audio_features, dim)
        self.text_adapter = Adapter(text_features, dim)
        # Without labels there is nothing to classify, and an empty layer only warns.
        self.classifier = nn.Linear(dim, n_classes) if n_classes else None
        self.log_temperature = nn.Parameter(torch.tensor(math.log(0.07)))

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """What cosines are divided by in the contrastive loss."""
        return self.log_temperature.exp()

    @torch.no_grad()
    def bound_temperature(self) -> None:
        """Bring the temperature back to its least value; to be called after each step.

        The parameter itself is moved: bounding what is made of it would end its gradient.
        """
        self.log_temperature.clamp_(min=math.log(LEAST_TEMPERATURE))

    def query(
        self, audio: Float[Tensor, "batch audio"], text: Float[Tensor, "batch text"]
    ) -> Float[Tensor, "batch dim"]:
        """Unit vectors of what is searched: the audio as the text would have it."""
        return normalize(self.audio_adapter(audio) + self.text_adapter(text), dim=1)

    def target(self, audio: Float[Tensor, "batch audio"]) -> Float[Tensor, "batch dim"]:
        """Unit vectors of what can be found."""
        return normalize(self.audio_adapter(audio), dim=1)


def seeded_retrieval_network(
    seed: int, audio_features: int, text_features: int, n_classes: int, dim: int = 512
) -> RetrievalNetwork:
    """A new network on the CPU whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("retrieval weights", seed))
        return RetrievalNetwork(audio_features, text_features, n_classes, dim)


def info_nce(
    query: Float[Tensor, "batch dim"],
    target: Float[Tensor, "batch dim"],
    temperature: Float[Tensor, ""] | float,
) -> Float[Tensor, ""]:
    """Mean of both directions: which target is the query's, and which query is the target's.

    Lengths do not count: similarities are cosines. A single pair has nothing to be mistaken for,
    and costs 0.
    """
    # In float32 whatever the adapters ran in: a temperature of 0.07 or less magnifies rounding.
    with torch.autocast(query.device.type, enabled=False):
        cosines = normalize(query.float(), dim=1) @ normalize(target.float(), dim=1).T
    logits = cosines / temperature
    own = torch.arange(len(query), device=query.device)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def retrieval_loss(
    network: RetrievalNetwork, batch: PairBatch, class_weight: float
) -> dict[str, Float[Tensor, ""]]:
    """The terms `contrastive` and `classes`, and their `total` by the weight of the latter."""
    latent = network.audio_adapter(batch.audio)  # first clips, then second clips
    first, second = latent.chunk(2)
    query = first + network.text_adapter(batch.text)
    contrastive = info_nce(query, second, network.temperature)
    classes = latent.new_zeros(())
    if network.classifier is not None:
        logits = network.classifier(latent).float()
        classes = functional.binary_cross_entropy_with_logits(logits, batch.labels)
    total = contrastive + class_weight * classes
    return {"contrastive": contrastive, "classes": classes, "total": total}
