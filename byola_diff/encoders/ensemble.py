"""Several frozen encoders as one.

Source:
    Wu et al., 2022, "The efficacy of self-supervised speech models as audio representations", and
    the code of its authors where that differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.waveform import checked_waveform
from byola_diff.encoders.combine import Combine, combined, group_means, resize_time, resize_width
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.frame_clock import has_time_axis, shortest_clip, timed_frames
from byola_diff.models.frozen import EvalModule

States = Literal["last", "mean"]


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
            raise ValueError(f"states is one of {', '.join(get_args(States))}, not {self.states!r}")
        scene = self.scene_encoder or self.encoder
        if self.states == "mean":
            _check_layers(self.encoder)
            _check_layers(scene)
        if scene.timestamp_embedding_size != self.encoder.timestamp_embedding_size:
            raise ValueError(
                f"scene_encoder gives frames of {scene.timestamp_embedding_size} features, encoder "
                f"of {self.encoder.timestamp_embedding_size}"
            )

    def frames(
        self, waveform: Tensor
    ) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
        """Frame embeddings, and the centre of each in ms."""
        return _frames(self.encoder, self.states, waveform)

    def width(self) -> int:
        """Features of a frame embedding, found by encoding one sample."""
        return self.frames(shortest_clip(self.encoder))[0].shape[-1]

    def scene_frames(self, waveform: Tensor) -> Float[Tensor, "batch frame dim"]:
        """Frame embeddings for the scene embedding."""
        return _frames(self.scene_encoder or self.encoder, self.states, waveform)[0]


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
        """Put the members together, in their order.

        Args:
            members: Encoders of one sample rate.
            combine: "concat": one after the other, each of its own width. "average" and
                "interleave" first resize each to one width; then the mean, or feature 0 of each
                member, feature 1 of each and so on.
            scene_groups: The scene embedding is the mean over time of each of so many stretches of
                the clip, one after the other.
            reference: Number of the member whose frame count, times and width the others take.
            width: To take instead of that of the reference.

        Raises:
            ValueError: If there are no members, their sample rates differ, or an option is unknown.
        """
        super().__init__()
        _check(members, combine, scene_groups, reference, width)
        self.members, self.reference, self.width = tuple(members), reference, width
        self.combine: Combine = combine
        self.scene_groups = scene_groups
        scenes = [member.scene_encoder for member in members if member.scene_encoder is not None]
        self.encoders = nn.ModuleList([member.encoder for member in members])  # pyright: ignore
        self.scene_encoders = nn.ModuleList(scenes)  # pyright: ignore[reportArgumentType]
        self.sample_rate = members[0].encoder.sample_rate
        self.layer_strides: Mapping[str, int] = {"ensemble": 1}
        widths = [member.width() for member in members]
        one_width = width or widths[reference]
        by_combine = {"concat": sum(widths), "interleave": len(widths) * one_width}
        self.timestamp_embedding_size: int = by_combine.get(combine, one_width)
        self.scene_embedding_size: int = scene_groups * self.timestamp_embedding_size
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
        """One embedding per clip: the mean over time of frames as `timestamps` gives them.

        Members that have a scene encoder take part with its frames.
        """
        waveform = checked_waveform(waveform)
        frames = self._combined([member.scene_frames(waveform) for member in self.members])
        return group_means(frames, self.scene_groups)

    @torch.no_grad()
    def timestamps(
        self, waveform: Tensor
    ) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
        """Combined frames, and the centre in ms of those of the reference.

        Count and centres are those of the reference alone.
        """
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
            frames = [resize_width(part, self.width or width) for part in frames]
        return combined([resize_time(part, n_frames) for part in frames], self.combine).float()


def _frames(encoder: Encoder, states: States, waveform: Tensor) -> tuple[Tensor, Tensor]:
    if states == "last":
        return encoder.timestamps(waveform)

    def mean_of_layers(waveform: Tensor) -> Tensor:
        layers = list(encoder.layers(waveform).values())
        total = layers[0].float().clone()
        for layer in layers[1:]:  # one by one: a stack would hold all of them a second time
            total += layer
        return total / len(layers)

    return timed_frames(encoder, waveform, mean_of_layers)


def _check_layers(encoder: Encoder) -> None:
    layers = encoder.layers(shortest_clip(encoder))
    frames = {layer.shape[-1] for layer in layers.values() if layer.ndim == 3}
    strides = set(encoder.layer_strides.values())
    is_map = any(layer.ndim == 4 for layer in layers.values())
    if is_map or len(frames) > 1 or len(strides) > 1 or not has_time_axis(encoder):
        raise ValueError(
            f"states: mean needs layers of one width and one frame count; those of "
            f"{type(encoder).__name__} differ or are no frames: take last"
        )


def _check(
    members: Sequence[Member], combine: str, scene_groups: int, reference: int, width: int | None
) -> None:
    if not 0 <= reference < len(members):
        raise ValueError(
            f"reference {reference} is no member: they are counted from 0, there are {len(members)}"
        )
    if combine not in get_args(Combine):
        raise ValueError(f"combine is one of {', '.join(get_args(Combine))}, not {combine!r}")
    if scene_groups < 1:
        raise ValueError(f"scene_groups must be at least 1, not {scene_groups}")
    if width is not None and (combine == "concat" or width < 1):
        raise ValueError("width is what members are resized to: at least 1, and not with concat")
    encoders = [member.encoder for member in members]
    encoders += [member.scene_encoder for member in members if member.scene_encoder is not None]
    rates = sorted({encoder.sample_rate for encoder in encoders})
    if len(rates) > 1:
        raise ValueError(
            f"the members take waveforms at {' and '.join(map(str, rates))} Hz, an ensemble only "
            "one: choose members of one rate, such as the 16 kHz version of CNN14"
        )
