"""Several frozen encoders as one.

Source:
    Wu et al., 2022, "The efficacy of self-supervised speech models as audio representations", and
    the code of its authors where that differs: what the paper calls concatenation interleaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from byola_diff.audio.waveform import checked_waveform
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.fusion import FusedEncoder, has_time_axis, timed_frames, trial_clip
from byola_diff.models.frozen import EvalModule, Timestamps

States = Literal["last", "mean"]
Combine = Literal["concat", "interleave", "average"]


@dataclass(frozen=True, eq=False)
class Member:
    """One encoder of an ensemble, and which frame embeddings it gives."""

    encoder: Encoder
    states: States = "last"
    """"last": its timestamp embeddings, for a transformer its last hidden state; "mean": the mean
    of all its layers, that of what enters the first block of a transformer included."""
    scene_encoder: Encoder | None = None
    """Takes the place of `encoder` in scene embeddings, as CREPE at a longer hop does."""

    def __post_init__(self) -> None:
        if self.states not in get_args(States):
            raise ValueError(f"states must be one of {get_args(States)}, not {self.states!r}")
        scene = self.scene_encoder or self.encoder
        if self.states == "mean":
            _check_layers(self.encoder)
            _check_layers(scene)
        if scene.timestamp_embedding_size != self.encoder.timestamp_embedding_size:
            raise ValueError(
                f"scene_encoder gives frames of {scene.timestamp_embedding_size} features, encoder "
                f"of {self.encoder.timestamp_embedding_size}"
            )

    def frames(self, waveform: Tensor, for_scene: bool = False) -> Timestamps:
        """Frame embeddings of the encoder, or of that for scenes, and their centres in ms."""
        encoder = self.scene_encoder if for_scene and self.scene_encoder else self.encoder
        # The one layer of a fusion is what its timestamps are, which complete the last frames.
        if self.states == "last" or isinstance(encoder, FusedEncoder):
            return encoder.timestamps(waveform.clone())  # code of others may change what it gets

        def mean_of_layers(waveform: Tensor) -> Tensor:
            layers = list(encoder.layers(waveform.clone()).values())
            total = layers[0].float().clone()
            for layer in layers[1:]:  # one by one: a stack would hold all of them a second time
                total += layer
            return total / len(layers)

        return timed_frames(encoder, waveform, mean_of_layers)


class EnsembleEncoder(EvalModule):
    """Members brought to the frames of one of them, the reference, and put together frame by frame.

    Frames are matched by their place between first and last, as the authors do; that those of two
    encoders may be centred differently (CREPE's first on sample 0, that of wav2vec 2.0 on sample
    200) is not corrected.
    """

    def __init__(
        self,
        members: Sequence[Member],
        combine: Combine,
        scene_groups: int = 1,
        reference: int = 0,
        width: int | None = None,
    ) -> None:
        """Put the members, of one sample rate, together in their order.

        To "concat" is one after the other, each of its own width. "average" and "interleave" first
        resize each to one width, `width` or that of the reference; then the mean, or feature 0 of
        each member, feature 1 of each and so on. `reference` is the number of the member whose
        frame count and times the others take. The scene embedding is the mean over time of each of
        `scene_groups` stretches of the clip, one after the other.

        Raises:
            ValueError: If there are no members, their sample rates differ, or an option is unknown.
        """
        super().__init__()
        if not 0 <= reference < len(members):
            count = f"they are counted from 0, there are {len(members)}"
            raise ValueError(f"reference {reference} is no member: {count}")
        if scene_groups < 1:
            raise ValueError(f"scene_groups must be at least 1, not {scene_groups}")
        if width is not None and (combine == "concat" or width < 1):
            raise ValueError("width is what members are resized to: at least 1, not with concat")
        encoders = [member.encoder for member in members]
        scenes = [member.scene_encoder for member in members if member.scene_encoder]
        if len(rates := sorted({encoder.sample_rate for encoder in [*encoders, *scenes]})) > 1:
            raise ValueError(
                f"the members take waveforms at {' and '.join(map(str, rates))} Hz, an ensemble "
                "only one: choose members of one rate, such as the 16 kHz version of CNN14"
            )
        self.members, self.reference, self.width = tuple(members), reference, width
        self.combine: Combine = combine
        self.scene_groups = scene_groups
        self.encoders = nn.ModuleList(encoders)  # pyright: ignore[reportArgumentType]
        self.scene_encoders = nn.ModuleList(scenes)  # pyright: ignore[reportArgumentType]
        self.sample_rate = members[0].encoder.sample_rate
        self.layer_strides: Mapping[str, int] = {"ensemble": 1}
        self.timestamp_embedding_size = self.timestamps(trial_clip(encoders[0]))[0].shape[-1]
        self.scene_embedding_size = scene_groups * self.timestamp_embedding_size
        self.eval()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the encoders within."""
        return {
            "states": [member.states for member in self.members],
            "has_scene_encoder": [member.scene_encoder is not None for member in self.members],
            "combine": self.combine,
            "scene_groups": self.scene_groups,
            "reference": self.reference,
            "width": self.width,
        }

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """Means over time of combined frames, where members have one, of their scene encoders."""
        waveform = checked_waveform(waveform)
        frames = [member.frames(waveform, for_scene=True)[0] for member in self.members]
        return group_means(self._combined(frames), self.scene_groups)

    @torch.no_grad()
    def timestamps(self, waveform: Tensor) -> Timestamps:
        """Combined frames, and their centres in ms: as many as of the reference, and where."""
        waveform = checked_waveform(waveform)
        frames, centers_ms = zip(*[member.frames(waveform) for member in self.members], strict=True)
        return self._combined(frames), centers_ms[self.reference]

    @torch.no_grad()
    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """The combined frames, under the one name "ensemble"."""
        return {"ensemble": self.timestamps(waveform)[0]}

    def _combined(self, frames: Sequence[Tensor]) -> Float[Tensor, "batch frame dim"]:
        _, n_frames, width = frames[self.reference].shape
        if self.combine != "concat":
            frames = [resized(part, self.width or width) for part in frames]
        return combined([resized(part.mT, n_frames).mT for part in frames], self.combine).float()


def combined(
    frames: Sequence[Float[Tensor, "batch frame _"]], combine: Combine
) -> Float[Tensor, "batch frame dim"]:
    """Frames of several encoders as one: see `EnsembleEncoder`."""
    if combine == "concat":
        return torch.cat(list(frames), dim=-1)
    stacked = torch.stack(list(frames), dim=-1)  # [batch, frame, dim, member]
    if combine == "average":
        return stacked.mean(dim=-1)
    if combine == "interleave":
        return stacked.flatten(start_dim=2)
    raise ValueError(f"combine must be one of {get_args(Combine)}, not {combine!r}")


def resized(values: Float[Tensor, "batch row old"], size: int) -> Float[Tensor, "batch row size"]:
    """`size` values a row, between neighbours along it: features of a frame, or frames in time.

    The first and last value are taken to cover the same stretch before and after. Encoders whose
    frames are centred differently come out shifted, by less than one of the coarser frames.
    """
    if values.shape[2] == size:
        return values
    return interpolate(values, size=size, mode="linear", align_corners=False)


def group_means(
    frames: Float[Tensor, "batch frame dim"], n_groups: int
) -> Float[Tensor, "batch grouped_dim"]:
    """Mean over each of `n_groups` stretches of equal length, one after the other.

    Frames left over at the end are dropped. Where there are fewer frames than groups, each group
    is the one frame at its place, so that neighbours share frames.
    """
    n_frames = frames.shape[1]
    if n_frames < n_groups:
        frames = frames[:, torch.arange(n_groups, device=frames.device) * n_frames // n_groups]
    size = frames.shape[1] // n_groups
    groups = rearrange(frames[:, : n_groups * size], "b (g t) d -> b g t d", g=n_groups)
    return groups.mean(dim=2).flatten(start_dim=1)


def _check_layers(encoder: Encoder) -> None:
    layers = encoder.layers(trial_clip(encoder)).values()
    is_map = any(layer.ndim == 4 for layer in layers)
    widths, strides = {layer.shape[-1] for layer in layers}, set(encoder.layer_strides.values())
    if is_map or len(widths) > 1 or len(strides) > 1 or not has_time_axis(encoder):
        raise ValueError(
            "states: mean needs layers of one width and one frame count; those of "
            f"{type(encoder).__name__} differ or are no frames: take last"
        )
