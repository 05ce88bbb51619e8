"""HEAR API (hearbenchmark.com/hear-api.html): `hear-validator byola_diff.hear --model BUNDLE`."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from byola_diff.models.bundle import load_encoder
from byola_diff.models.encoder import AudioEncoder


def load_model(model_file_path: str = "", **options: Any) -> AudioEncoder:
    """Encoder from a path, in eval mode.

    Args:
        model_file_path: Bundle folder or `.pth` file. HEAR's tools call without it when none is
            given to them (`--model PATH`); as no weights come with the package, that is an error
            rather than an untrained model.
        options: `statistics` (mean, std) and `front_end`, which a `.pth` file needs; see
            `byola_diff.load_encoder`.

    Raises:
        ValueError: If no path is given.
    """
    if not model_file_path:
        raise ValueError(
            "no weights come with byola_diff: give --model BUNDLE, a folder written by "
            "byola-diff export CHECKPOINT BUNDLE, or a released BYOL-A .pth file with "
            """--model-options '{"statistics": [mean, std]}'"""
        )
    return load_encoder(model_file_path, **options)


def get_scene_embeddings(audio: Tensor, model: AudioEncoder) -> Float[Tensor, "batch dim"]:
    """One embedding per clip of `audio` [batch, sample], at the rate of the model."""
    return model.scene(audio)


def get_timestamp_embeddings(
    audio: Tensor, model: AudioEncoder
) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
    """Frame embeddings of `audio` [batch, sample], and the centre of each frame in ms."""
    return model.timestamps(audio)
