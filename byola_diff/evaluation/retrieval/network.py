"""Retrieval with a text modifier: two adapters into one space, on frozen embeddings.

The text's latent is added to that of the query audio; the sum should lie where the target audio
does. Query and target share one audio adapter.

Source:
    Takeuchi et al., 2022, "Audio retrieval with a text modifier" (APwD), and the difference-aware
    paper, section 5.3 and Fig. 3. They state frozen encoders, the sum, adapters with a GELU, a
    contrastive and a multi-label loss. The shape of the adapters is unknown: see `Adapter`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from byola_diff.randomness import derive_seed

LEAST_TEMPERATURE = 0.01
"""Training may not sharpen the similarities beyond this."""


class Adapter(nn.Module):
    """Linear, GELU, Linear, plus the output of the first Linear; then layer normalisation.

    Our reading of an unknown: the papers name the GELU and a linear layer, and neither depth, width
    nor skip.
    """

    def __init__(self, n_features: int, dim: int = 512) -> None:
        super().__init__()
        self.first = nn.Linear(n_features, dim)
        self.second = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, embedding: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch dim"]:
        """Latents of embeddings."""
        hidden = self.first(embedding)
        return self.norm(hidden + self.second(gelu(hidden)))


class RetrievalNetwork(nn.Module):
    """The adapters, a classifier of sound events on audio latents, and the temperature."""

    def __init__(
        self,
        audio_features: int,
        text_features: int,
        n_classes: int,
        dim: int = 512,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        self.audio_adapter = Adapter(audio_features, dim)
        self.text_adapter = Adapter(text_features, dim)
        # Without labels there is nothing to classify, and an empty layer only warns.
        self.classifier = nn.Linear(dim, n_classes) if n_classes else None
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

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
