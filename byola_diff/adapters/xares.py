"""X-ARES: frame embeddings of padded batches, from a class that is made without arguments.

Source:
    https://github.com/jimbozhang/xares, "Notes on Encoder implementation"
"""

import re

from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.adapters.clips import frame_spacing_ms, trial_clip
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.open import open_encoder


class XaresEncoder(nn.Module):
    """An encoder as X-ARES calls it, at its own rate: the suite resamples and mixes to mono."""

    def __init__(self, encoder: Encoder, hop_size_in_ms: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.sampling_rate = encoder.sample_rate
        self.output_dim = encoder.timestamp_embedding_size
        self.hop_size_in_ms = hop_size_in_ms

    def forward(self, audio: Tensor) -> Float[Tensor, "batch frame dim"]:
        """Timestamp embeddings of `audio`, [batch, sample] or [sample]."""
        clips = audio[None] if audio.ndim == 1 else audio
        if not clips.shape[1]:
            clips = clips.new_zeros(len(clips), 1)
        return self.encoder.timestamps(clips)[0]


def encoder_class(encoder_spec: str) -> type[XaresEncoder]:
    """The class that X-ARES looks for in the file it is given; all its objects share one encoder.

    The suite keeps embeddings, trained heads and scores under the name of the class, whatever its
    weights: the name has the content hash, or else a second encoder would get the scores of the
    first.
    """
    named = open_encoder(encoder_spec)
    # Once, as the suite may have moved the encoder when it makes another object.
    hop_ms = frame_spacing_ms(named.encoder.timestamps(trial_clip(named.encoder))[1])

    class _Encoder(XaresEncoder):
        def __init__(self) -> None:
            super().__init__(named.encoder, hop_ms)

    word = re.sub(r"\W+", "_", named.name).strip("_")
    _Encoder.__name__ = _Encoder.__qualname__ = f"{word}_{named.content_hash[:12]}_Encoder"
    return _Encoder
