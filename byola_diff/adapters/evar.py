"""EVAR: clip and frame embeddings of batches, from a configuration.

Only the names and shapes of its interface are used here; EVAR itself is under a licence of its own,
for evaluation only.

Source:
    https://github.com/nttcslab/eval-audio-repr, the docstring of `evar/ar_base.py`
"""

from collections.abc import Mapping
from typing import Any

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.encoders.open import open_encoder


class EvarRepresentation(nn.Module):
    """An encoder as EVAR calls it, at its own rate, with the statistics that it comes with."""

    def __init__(self, cfg: Mapping[str, Any]) -> None:
        """Open the encoder that a configuration of EVAR names.

        EVAR keeps embeddings under its configuration, whatever the weights, and reads clips of
        `sample_rate`: a configuration that tells `content_hash` is of that encoder alone.

        Raises:
            ValueError: If the encoder is another than the configuration says, or of another rate.
        """
        super().__init__()
        named = open_encoder(cfg["encoder"])
        self.cfg, self.encoder = cfg, named.encoder
        found = {"sample_rate": self.encoder.sample_rate, "content_hash": named.content_hash}
        if wrong := [key for key, value in found.items() if cfg.get(key) != value]:
            raise ValueError(
                f"the configuration is not of {cfg['encoder']} as it is now: "
                + ", ".join(f"its {key} is {found[key]}, not {cfg.get(key)}" for key in wrong)
                + f". Print it again: byola-diff adapter evar --encoder {cfg['encoder']}"
            )

    def precompute(self, device: Any, data_loader: Any) -> None:
        """Nothing: statistics of the data of a task are not needed."""

    def encode_frames(self, batch_audio: Tensor) -> Float[Tensor, "batch dim frame"]:
        """Timestamp embeddings of clips [batch, sample]."""
        return rearrange(self.encoder.timestamps(batch_audio)[0], "b t d -> b d t")

    def forward(self, batch_audio: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip of [batch, sample]."""
        return self.encoder.scene(batch_audio)
