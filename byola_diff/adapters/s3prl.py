"""S3PRL: an upstream, which gives hidden states of clips of unequal length.

Source:
    https://github.com/s3prl/s3prl, `s3prl/upstream/example/expert.py`
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from byola_diff.adapters.clips import (
    encoder_waveform,
    frame_spacing_ms,
    trial_clip,
)
from byola_diff.encoders.fusion import fuse, has_time_axis, layer_frames, timed_frames
from byola_diff.encoders.open import open_encoder
from byola_diff.models.embed import same_length_batches
from byola_diff.models.frozen import Timestamps

SAMPLE_RATE = 16_000
"""Hz, of all that S3PRL gives its upstreams."""


class UpstreamExpert(nn.Module):
    """An encoder as S3PRL calls it; frozen, so for representations only, not for fine-tuning.

    All layers lie on one clock, the coarsest of the encoder. Zeros follow shorter clips.
    """

    def __init__(self, ckpt: str = "byola-diff", model_config: Any = None, **options: Any) -> None:
        """Open the encoder that `ckpt` names: what a user gives as `-k` or `path_or_url`.

        What else S3PRL passes to its own upstreams (`model_config`, `refresh`) has no meaning here.
        """
        super().__init__()
        del model_config, options
        encoder = self.encoder = open_encoder(ckpt).encoder
        clip = trial_clip(encoder)
        self._widths = {"timestamps": encoder.timestamp_embedding_size}
        if has_time_axis(encoder):
            layers = encoder.layers(clip)
            self._widths = {
                name: layer_frames(layers[name]).shape[2] for name in encoder.layer_strides
            }
        spacing_ms = frame_spacing_ms(self._frames(clip)[1])
        self._downsample_rate = round(spacing_ms * SAMPLE_RATE / 1000)

    def get_downsample_rates(self, key: str) -> int:
        """Samples from one frame to the next, the same for every key."""
        del key
        return self._downsample_rate

    def forward(self, wavs: Sequence[Tensor]) -> Mapping[str, Any]:
        """Every layer by its name [clip, frame, dim], "last_hidden_state" and "hidden_states".

        The latter are the layers as wide as the last, in order: S3PRL learns a weighted sum of
        them. An encoder whose layers have no time axis has one, "timestamps".
        """
        rate = self.encoder.sample_rate
        waveforms = [encoder_waveform(wav, SAMPLE_RATE, rate) for wav in wavs]
        frames = {}
        for numbers, clips in same_length_batches(dict(enumerate(waveforms))):
            frames.update(zip(numbers, self._frames(clips)[0], strict=True))
        padded = pad_sequence([frames[number] for number in range(len(wavs))], batch_first=True)
        parts = padded.split(list(self._widths.values()), dim=2)
        layers = dict(zip(self._widths, parts, strict=True))
        same_width = [layer for layer in parts if layer.shape[2] == parts[-1].shape[2]]
        return {**layers, "last_hidden_state": parts[-1], "hidden_states": same_width}

    def _frames(self, clips: Float[Tensor, "batch sample"]) -> Timestamps:
        """All layers side by side, and the centre of each frame in ms."""
        encoder = self.encoder
        if not has_time_axis(encoder):
            return encoder.timestamps(clips)

        def all_layers(waveform: Tensor) -> Float[Tensor, "batch frame dim"]:
            return fuse(encoder.layers(waveform), encoder.layer_strides, list(self._widths)).float()

        return timed_frames(encoder, clips, all_layers)
