"""Any module that follows the HEAR API, by its import name.

What the package promises of its own encoders can't be given for others: clips of any length, or
long ones in bounded memory. Whether a module keeps to the API is tried when it is loaded, on one
second of sound.

Source:
    https://hearbenchmark.com/hear-api.html, and the HEAR validator,
    https://github.com/hearbenchmark/hear-validator
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.waveform import checked_waveform
from byola_diff.encoders.code_of_user import identity_of_user, import_module_of_user
from byola_diff.models.frozen import EvalModule, Timestamps
from byola_diff.randomness import torch_generator

FUNCTIONS = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")
SAMPLE_RATES = (16_000, 22_050, 32_000, 44_100, 48_000)
"""Hz; those at which HEAR gives its tasks."""

_CLIP_MS = 1000
_SPACING_TOLERANCE_MS = 1.0
_SAME = 1e-4
"""Share of the largest value of a clip: another order of summation changes less, a normalisation
more."""


class HearEncoder(EvalModule):
    """The model of a HEAR module behind the contract of encoders.

    If a clip gets other embeddings alone than in a batch of two, clips are encoded one at a time.
    """

    def __init__(self, module: ModuleType, model: Any, identity: Mapping[str, Any]) -> None:
        """Try what `load_model` of a module returned on one second of noise.

        Plain values in `identity` tell the model from others.

        Raises:
            ValueError: If it breaks the API, saying how.
        """
        super().__init__()
        _check_model(module.__name__, model)
        self.module, self.model, self.identity = module, model, dict(identity)
        self.sample_rate = int(model.sample_rate)
        self.scene_embedding_size = int(model.scene_embedding_size)
        self.timestamp_embedding_size = int(model.timestamp_embedding_size)
        self.layer_strides: Mapping[str, int] = {"embedding": 1}
        self.freeze()
        self.one_at_a_time = False
        self.one_at_a_time = self._depends_on_neighbours()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the weights."""
        return {**self.identity, "one_at_a_time": self.one_at_a_time}

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip."""
        return self._given("scene", checked_waveform(waveform))[0]

    @torch.no_grad()
    def timestamps(self, waveform: Tensor) -> Timestamps:
        """Frame embeddings, and the centre of each in ms, as the module gives them."""
        return self._timestamps(checked_waveform(waveform))

    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """The timestamp embeddings, as "embedding": the API shows no other layer."""
        return {"embedding": self.timestamps(waveform)[0]}

    def _timestamps(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        embeddings, centers_ms = self._given("timestamp", waveform)
        return embeddings, centers_ms.float().to(embeddings.device)

    def _given(self, kind: str, waveform: Tensor) -> list[Tensor]:
        """What the module gives of the clips, copied, as what goes in: it may reuse their memory.

        Raises:
            ValueError: If it fails, with the size of what it was given.
        """
        encode = getattr(self.module, f"get_{kind}_embeddings")
        size = 1 if self.one_at_a_time else len(waveform)
        parts = []
        try:
            for clips in waveform.split(size):
                with torch.autocast(clips.device.type, enabled=False):
                    given = encode(clips.clone(), self.model)
                pair = given if kind == "timestamp" else [given]
                parts.append([torch.cat([each]) for each in pair])
            return [torch.cat(each) for each in zip(*parts, strict=True)]
        except Exception as error:  # code of others: it may raise anything
            raise ValueError(
                f"{self.module.__name__} fails on {kind} embeddings of {size} clips of "
                f"{waveform.shape[1]} samples at {self.sample_rate} Hz: "
                f"{type(error).__name__}: {error}"
            ) from error

    @torch.no_grad()
    def _depends_on_neighbours(self) -> bool:
        """Whether a clip gets other embeddings in a batch; checks the API on the way."""
        noise = torch.rand(2, self.sample_rate, generator=torch_generator("HEAR probe")) * 2 - 1
        noise[0] /= 100  # what leaks from a loud neighbour shows in a faint clip
        name = self.module.__name__
        together = self.scene(noise)
        _check_values(f"{name}.get_scene_embeddings", together, 2, self.scene_embedding_size)
        embeddings, centers_ms = self._timestamps(noise)
        what = f"{name}.get_timestamp_embeddings"
        _check_values(what, embeddings, 3, self.timestamp_embedding_size)
        _check_times(what, centers_ms, embeddings)
        if _differs(self.scene(noise), together):
            raise ValueError(f"{name} gives one clip another embedding each time")
        alone = [(self.scene(clip), self._timestamps(clip)[0]) for clip in noise.split(1)]
        scenes, frames = (torch.cat(parts) for parts in zip(*alone, strict=True))
        return _differs(scenes, together) or _differs(frames, embeddings)


def load_hear_module(module: str, weights: str = "", /, **options: Any) -> HearEncoder:
    """The model of the HEAR module of that import name.

    Its `load_model` takes the weights, none for the module's own choice, and the options.

    Raises:
        ModuleNotFoundError: If there is no such module, or it needs one that is missing.
        FileNotFoundError: If its `load_model` fails, and there is no file of its weights.
        ValueError: If it lacks functions of the API, or breaks it.
    """
    imported = import_module_of_user(module)
    missing = [each for each in FUNCTIONS if not callable(getattr(imported, each, None))]
    if missing:
        raise ValueError(
            f"{module} is no HEAR module: it has no {', '.join(missing)} "
            "(https://hearbenchmark.com/hear-api.html)"
        )
    try:
        model = imported.load_model(*([weights] if weights else []), **options)
    except TypeError as error:
        raise ValueError(f"{module}.load_model does not take this: {error}") from error
    except OSError as error:
        # Asked only now, as weights may be a name that the module looks up itself.
        if not weights or Path(weights).exists():
            raise
        raise FileNotFoundError(
            f"no weights at {weights}, the path that {module}.load_model was given: {error}"
        ) from error
    return HearEncoder(imported, model, identity_of_user(module, weights, options))


def _check_model(name: str, model: Any) -> None:
    if not isinstance(model, nn.Module):
        # Its weights could neither be moved to a device nor be distinguished from others.
        raise ValueError(
            f"{name}.load_model must return a torch.nn.Module, not {type(model).__name__}"
        )
    rate = getattr(model, "sample_rate", None)
    if rate not in SAMPLE_RATES:
        raise ValueError(
            f"{name} is no HEAR module: sample_rate of its model must be one of "
            f"{', '.join(map(str, SAMPLE_RATES))}, not {rate!r}"
        )
    for attribute in ("scene_embedding_size", "timestamp_embedding_size"):
        value = getattr(model, attribute, None)
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"{name} is no HEAR module: {attribute} of its model must be a positive whole "
                f"number, not {value!r}"
            )


def _check_values(what: str, embeddings: Any, n_axes: int, size: int) -> None:
    if not isinstance(embeddings, Tensor) or embeddings.dtype != torch.float32:
        found = getattr(embeddings, "dtype", type(embeddings).__name__)
        raise ValueError(f"{what} must give a torch tensor of float32, not {found}")
    if not embeddings.isfinite().all():
        raise ValueError(f"{what} gives NaN or infinite values for noise")
    shape = list(embeddings.shape)
    if len(shape) != n_axes or (shape[0], shape[-1]) != (2, size) or 0 in shape:
        expected = f"[2, {size}]" if n_axes == 2 else f"[2, frames, {size}]"
        raise ValueError(f"{what}: two clips of one second gave {shape}, expected {expected}")


def _check_times(what: str, centers_ms: Tensor, embeddings: Tensor) -> None:
    found, expected = list(centers_ms.shape), list(embeddings.shape[:2])
    if found != expected:
        raise ValueError(
            f"{what}: two clips of one second gave {found}, expected {expected} as timestamps"
        )
    for times in centers_ms:
        first, last, spacing = times.min().item(), times[-1].item(), times.diff()
        if 0 < last <= _CLIP_MS / 1000:
            fault = (
                f"the last timestamp of a clip of {_CLIP_MS} ms is {last:.4g}: in seconds? They "
                "must be in milliseconds"
            )
        elif first < 0 or last > _CLIP_MS + _SPACING_TOLERANCE_MS:
            fault = (
                f"timestamps from {first:.4g} to {last:.4g} leave the clip of {_CLIP_MS} ms: they "
                "must be centres of frames in milliseconds"
            )
        elif len(spacing) and (spacing - spacing.mean()).abs().max() > _SPACING_TOLERANCE_MS:
            extremes = f"{spacing.min().item():.4g} to {spacing.max().item():.4g} ms"
            fault = f"timestamps must be evenly spaced, not {extremes} apart"
        elif len(spacing) and spacing.mean() <= 0:
            fault = "timestamps do not grow"
        else:
            continue
        raise ValueError(f"{what}: {fault}")


def _differs(first: Tensor, second: Tensor) -> bool:
    """Whether two answers to the same clips are different beyond rounding, for any of the clips."""
    return first.shape != second.shape or not all(
        torch.allclose(one, other, rtol=0, atol=_SAME * other.abs().max().item())
        for one, other in zip(first, second, strict=True)
    )
