"""MTEB: scene embeddings of batches of audio items, and what its leaderboard asks of a model.

Source:
    https://embeddings-benchmark.github.io/mteb, `EncoderProtocol` and `ModelMeta`; audio since the
    pull request 3470 (MAEB)
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from byola_diff.adapters.clips import encoder_waveform
from byola_diff.encoders.open import open_encoder
from byola_diff.models.embed import same_length_batches
from byola_diff.models.shipped import SHIPPED
from byola_diff.optional import require


class MtebEncoder:
    """An encoder as MTEB calls it, for audio alone; embeddings are compared by their cosine."""

    mteb_model_meta: Any = None
    """Set by MTEB as it loads the model."""

    def __init__(
        self,
        model_name: str,
        revision: str | None = None,
        *,
        encoder_spec: str,
        device: str | None = None,
        **options: Any,
    ) -> None:
        """Open the encoder on the device, by default on a GPU where there is one.

        MTEB passes name and revision of its `ModelMeta`, and options that have no meaning here.
        """
        del model_name, revision, options
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.encoder = open_encoder(encoder_spec, device=self.device).encoder

    def encode(
        self, inputs: Iterable[Mapping[str, Any]], **task: Any
    ) -> Float[np.ndarray, "clip dim"]:
        """One embedding per clip, in order; any rate, number of channels and length.

        A clip without a sample is one zero. Nothing depends on the `task`.

        Args:
            inputs: Batches. Each has under "audio" its items, with "array" and "sampling_rate".
            task: What MTEB tells of it.

        Raises:
            ValueError: If a batch has no audio.
        """
        del task
        scenes = [torch.zeros(0, self.encoder.scene_embedding_size)]
        for batch in inputs:
            if "audio" not in batch:
                raise ValueError(f"this encoder takes audio alone, not {', '.join(batch)}")
            scenes.append(self._scenes(batch["audio"]))
        return torch.cat(scenes).numpy()

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Float[Tensor, "first second"]:
        """Cosine of each embedding of the first with each of the second."""
        return _unit_length(embeddings1) @ _unit_length(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Float[Tensor, " pair"]:
        """Cosine of each embedding of the first with that of the second at its place."""
        return (_unit_length(embeddings1) * _unit_length(embeddings2)).sum(dim=1)

    def _scenes(self, items: Iterable[Any]) -> Float[Tensor, "clip dim"]:
        rate = self.encoder.sample_rate
        waveforms = [encoder_waveform(item["array"], item["sampling_rate"], rate) for item in items]
        scenes = torch.zeros(len(waveforms), self.encoder.scene_embedding_size)
        for numbers, clips in same_length_batches(dict(enumerate(waveforms))):
            scenes[numbers] = self.encoder.scene(clips.to(self.device)).float().cpu()
        return scenes


def model_meta(encoder_spec: str, **facts: Any) -> Any:
    """The `ModelMeta` of an encoder; its `load_model()` is what `mteb.evaluate` takes.

    Its revision is the content hash: results are kept under name and revision, so those of other
    weights are never taken for these.

    Args:
        encoder_spec: As in all commands.
        facts: Fields of `ModelMeta`, such as `license`, `training_datasets` and `release_date`,
            which are not known of an encoder that is not shipped with this package.

    Raises:
        ModuleNotFoundError: If MTEB is not installed.
    """
    mteb = require("mteb.models", "mteb", "the adapter to MTEB")
    named = open_encoder(encoder_spec)
    assert isinstance(named.encoder, nn.Module)
    parameters, state = named.encoder.parameters(), named.encoder.state_dict().values()
    word = re.sub(r"[^\w.-]+", "-", named.name).strip("-.")
    known = {
        "loader": MtebEncoder,
        "loader_kwargs": {"encoder_spec": encoder_spec},
        "name": f"byola-diff/{word}",
        "revision": named.content_hash,
        "modalities": ["audio"],
        "framework": ["PyTorch"],
        "similarity_fn_name": "cosine",
        "embed_dim": named.encoder.scene_embedding_size,
        "n_parameters": sum(parameter.numel() for parameter in parameters),
        "memory_usage_mb": sum(tensor.nbytes for tensor in state) / 2**20,
        "use_instructions": False,
    }
    stated = _SHIPPED_FACTS if encoder_spec in SHIPPED else {}
    return mteb.ModelMeta(**{**dict.fromkeys(_NOT_KNOWN), **known, **stated, **facts})


_NOT_KNOWN = (
    *("release_date", "languages", "max_tokens", "license", "open_weights"),
    *("public_training_code", "public_training_data", "training_datasets"),
)
_SHIPPED_FACTS = {
    "license": "mit",
    "open_weights": True,
    "public_training_data": True,
    "training_datasets": set(),
}


def _unit_length(embeddings: Any) -> Float[Tensor, "clip dim"]:
    return normalize(torch.atleast_2d(torch.as_tensor(embeddings)).float(), dim=-1)
