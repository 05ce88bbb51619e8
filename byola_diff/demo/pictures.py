"""Pictures of the demo: what the method does to sounds, and how the training went."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.demo.pretraining import Columns
from byola_diff.losses.difference import mix_with_neighbour, neighbour
from byola_diff.models.encoder import AudioEncoder
from byola_diff.randomness import torch_generator
from byola_diff.reports.report import Picture
from byola_diff.reports.training_figures import Panel, curves, mixture, views
from byola_diff.sounds import training_batch
from byola_diff.training.views import ViewMaker

_SHOWN_CLIPS = 4
_DRAWN_CLIPS = 36
_RATE = 0.45
_PANELS = (
    Panel("loss/byol", "BYOL term", "loss, 0 to 8"),
    Panel("loss/difference", "difference term", "loss, 0 to 8"),
    Panel("collapse/spread", "collapse meter", "spread of embeddings"),
)


def progress(log: Columns) -> Picture:
    """Terms of the loss over the steps of the pretraining."""
    return Picture(
        curves({"continued": log}, _PANELS),
        "Both terms are squared distances of unit vectors, summed over two directions: 4 is the "
        "distance of unrelated vectors. The encoder is a trained one, but its projector and "
        "predictor begin at random, so that both terms fall from there. The spread of embeddings "
        "over a batch is 0 when all clips get one embedding, and about 1 when they point in all "
        "directions.",
    )


def pictures(encoder: AudioEncoder, training: Mapping[str, Any], seed: int) -> list[Picture]:
    """Augmented views and a mixture, of procedural sounds as the encoder sees them.

    `training` is the configuration of a pretraining, as in a bundle.
    """
    log_mel = encoder.log_mel
    n_samples = round(training["data"]["unit_s"] * log_mel.sample_rate)
    waveforms = training_batch(seed, torch.arange(_DRAWN_CLIPS), n_samples, log_mel.sample_rate)
    clips = encoder.normalize(log_mel(waveforms))
    # Most clips come before those shown: mixup takes from clips seen before.
    earlier, shown = clips[:-_SHOWN_CLIPS], clips[-_SHOWN_CLIPS:]
    names = ("mixup_share", "mixup_memory", "fader_gain")
    settings = {name: training["views"][name] for name in names}
    make_views = ViewMaker(log_mel.n_mels, shown.shape[-1], **settings)
    generator = torch_generator(seed, "demo views")
    make_views(earlier, generator)
    first, second = make_views(shown, generator)[:2]
    augmented = Picture(
        views(shown, first, second, log_mel),
        "Augmentations. Each view is the clip with a little of an earlier clip mixed in, then "
        "a random box of it resized to the full image (so its axes are stretched), then a "
        "change of loudness over time. The network must predict one view from the other. Each "
        "picture has its own range of colours.",
    )
    return [augmented, _mixture(encoder, clips)]


def _mixture(encoder: AudioEncoder, clips: Float[Tensor, "clip 1 mel frame"]) -> Picture:
    mixed = mix_with_neighbour(clips, torch.full((len(clips),), _RATE))
    neighbours = neighbour(clips)
    clear = _clearest(clips, neighbours)
    shown = (clips[clear, 0], neighbours[clear, 0], mixed[clear, 0])
    return Picture(
        mixture(*shown, _RATE, encoder.log_mel),
        "The difference term. A clip is mixed with its neighbour in the batch at a rate "
        f"between 0.4 and 0.6, here {_RATE:.2f}. From the embedding of the mixture, less the "
        "rate times that of the neighbour, the network must predict the clip that remains. "
        "Training mixes views; the clips are shown here without augmentation.",
    )


def _clearest(
    clips: Float[Tensor, "clip 1 mel frame"], neighbours: Float[Tensor, "clip 1 mel frame"]
) -> int:
    """The pair to show: each of its two sounds is the louder one in much of the picture."""
    ahead = [
        (first > second + 1).float().mean((1, 2, 3))
        for first, second in ((clips, neighbours), (neighbours, clips))
    ]
    return int(torch.minimum(*ahead).argmax())
