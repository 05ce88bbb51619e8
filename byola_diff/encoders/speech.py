"""wav2vec 2.0 and HuBERT behind the contract of frozen encoders.

Source:
    Baevski et al., 2020, "wav2vec 2.0"; Hsu et al., 2021, "HuBERT"; on sounds of all kinds by Wu et
    al., 2022, "The Efficacy of Self-Supervised Speech Models as Audio Representations" (GURA).
"""

from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.encoders.contract import package_versions
from byola_diff.encoders.pretrained_folder import (
    SAMPLE_RATE,
    find_folder,
    read_network,
    read_settings,
)
from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.pooling import Pooling
from byola_diff.models.weights import WeightsSource
from byola_diff.storage import BrokenFileError

_FOLDER = "a folder with config.json and model.safetensors or pytorch_model.bin"
_HUB = "https://huggingface.co/facebook"
_SOURCES = {
    "wav2vec2": WeightsSource("wav2vec 2.0", _FOLDER, f"{_HUB}/wav2vec2-large-960h-lv60-self"),
    "hubert": WeightsSource("HuBERT", _FOLDER, f"{_HUB}/hubert-xlarge-ll60k"),
}
_RECEPTIVE_FIELD = 400
"""Samples that one frame is computed from before attention."""
_STRIDE = 320
_MODEL_SETTINGS = (
    "model_type",
    "do_stable_layer_norm",
    "feat_extract_norm",
    "feat_extract_activation",
    "hidden_act",
    "layer_norm_eps",
    "num_attention_heads",
)


class SpeechEncoder(FrozenEncoder):
    """A wav2vec 2.0 or HuBERT network; 20 ms frames, the first centred on 12.5 ms.

    Layer "0" is what enters the first transformer block, "L" the output of the last one, after the
    final layer norm where the network has one. Frames are the last layer. GURA's mean of all layers
    is an ensemble of one member with `states: mean`.

    All clips of a batch have one length: networks with a group norm give other outputs for padded
    clips, attention mask or not.
    """

    sample_rate = SAMPLE_RATE
    stride_samples = _STRIDE
    twice_first_center = _RECEPTIVE_FIELD

    def __init__(
        self, network: nn.Module, normalize: bool, pooling: Pooling, window_s: float
    ) -> None:
        """Take a model of transformers, and options as of `load_speech`."""
        super().__init__(window_s)
        self.network = network
        self.normalize, self.pooling = normalize, pooling
        config: Any = network.config
        self.scene_embedding_size = self.timestamp_embedding_size = config.hidden_size
        self.layer_strides = {str(layer): 1 for layer in range(config.num_hidden_layers + 1)}
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the weights."""
        config: Any = self.network.config
        return {
            "sample_rate": self.sample_rate,
            "normalize": self.normalize,
            "pooling": self.pooling,
            "window_samples": self.window_samples,
            "network": {name: getattr(config, name) for name in _MODEL_SETTINGS},
            "packages": package_versions("transformers"),
        }

    def n_timestamps(self, n_samples: int) -> int:
        """Whole frames of a clip, at least one.

        Differs from other encoders, which complete a last frame: GURA counts so. In whole samples:
        GURA's milliseconds in floating point miss one frame at some lengths.
        """
        return max(1, (n_samples - _RECEPTIVE_FIELD) // _STRIDE + 1)

    def _padded(self, waveform: Tensor, n_samples: int = 0) -> Tensor:
        # The statistics are those of the clip: taken before zeros are added or windows cut.
        if self.normalize:
            variance, mean = torch.var_mean(waveform, dim=1, correction=0, keepdim=True)
            waveform = (waveform - mean) / (variance + 1e-7).sqrt()
        return super()._padded(waveform, n_samples)

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        output = self.network(waveform, output_hidden_states=True)
        # The library gives the last state before or after the final layer norm, depending on its
        # version; published results have it after.
        states = [*output.hidden_states[:-1], output.last_hidden_state]
        return dict(zip(self.layer_strides, states, strict=True))

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        return self.network(waveform).last_hidden_state


def load_speech(
    weights: Path | str,
    model_type: Literal["wav2vec2", "hubert"],
    normalize: bool = False,
    pooling: Pooling = "mean",
    window_s: float = 120.0,
) -> SpeechEncoder:
    """The wav2vec 2.0 or HuBERT network of a folder, or of a name in the download cache.

    GURA feeds clips as they are and pools frames to the scene embedding by "mean"; EVAR has
    `normalize`, zero mean and unit variance for each clip, and "mean+max". Clips longer than
    `window_s`, read in one pass, lose context at the seams; a group norm sees each window alone.

    Raises:
        FileNotFoundError: If there is no such folder or it lacks files; says where to get them.
        BrokenFileError: If it is of another architecture or sampling rate, or weights are missing.
    """
    folder = find_folder(weights, _SOURCES[model_type])
    read_settings(folder, model_type)
    # Without masking there is no mask embedding, which some published files lack.
    network = read_network(folder, mask_time_prob=0.0, mask_feature_prob=0.0)
    config: Any = network.config
    field, stride = 1, 1
    for kernel, step in zip(config.conv_kernel, config.conv_stride, strict=True):
        field, stride = field + (kernel - 1) * stride, stride * step
    if (field, stride) != (_RECEPTIVE_FIELD, _STRIDE) or getattr(config, "add_adapter", False):
        raise BrokenFileError(
            folder / "config.json",
            f"frames of {field} samples every {stride}, or an adapter behind them: only networks "
            f"with {_RECEPTIVE_FIELD} and {_STRIDE} and no adapter are read",
        )
    return SpeechEncoder(network, normalize, pooling, window_s)
