"""The report of the demo: scores, how training went, and what the method does to sounds."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.losses.difference import mix_with_neighbour, neighbour
from byola_diff.models.encoder import AudioEncoder
from byola_diff.randomness import torch_generator
from byola_diff.reports.report import Picture, Section, Table, Text, best_cells, render_html
from byola_diff.reports.training_figures import Panel, curves, mixture, views
from byola_diff.sounds import training_batch
from byola_diff.training.views import ViewMaker

_SHOWN_CLIPS = 4
_DRAWN_CLIPS = 36
METRICS = ("accuracy", "cosine", "recall@1")
_PANELS = (
    Panel("loss/byol", "BYOL term", "loss, 0 to 8"),
    Panel("loss/difference", "difference term", "loss, 0 to 8"),
    Panel("collapse/spread", "collapse meter", "spread of embeddings"),
)


def demo_report(
    scores: Mapping[str, Mapping[str, float]],
    metrics: Mapping[str, Mapping[str, Sequence[float | None]]],
    settings: Mapping[str, int],
    encoder: AudioEncoder,
    training: Mapping[str, Any],
) -> str:
    """The page as HTML, from scores by encoder, and columns of the training log by run.

    `settings` has "seed", "steps", "clips" and "events"; the encoder gives its front end and its
    statistics, `training` is the configuration of its pretraining, as in a bundle.
    """
    progress = Picture(
        curves(metrics, _PANELS),
        "Both terms are squared distances of unit vectors, summed over two directions: 4 is the "
        "distance of unrelated vectors. The run at weight 0 has no difference term. The spread of "
        "embeddings over a batch is 0 when all clips get one embedding, and about 1 when they "
        "point in all directions.",
    )
    sections = [
        Section("Scores", _scores(scores, settings)),
        Section("Training", [progress]),
        Section("What the encoder sees", _pictures(encoder, training, settings["seed"])),
    ]
    lead = (
        "Two encoders were pretrained on an endless stream of procedural sounds for "
        f"{settings['steps']} steps each, from the same seed: one as plain BYOL-A (difference "
        "weight 0), one with the difference term at weight 0.5. They are compared with the same "
        "network before training, on other sounds of the same families, with other parameters."
    )
    return render_html("byola_diff: the demo", lead, sections, f"Seed {settings['seed']}.")


def _scores(
    scores: Mapping[str, Mapping[str, float]], settings: Mapping[str, int]
) -> list[Table | Text]:
    table = Table(
        ("encoder", "accuracy", "additivity: cosine", "additivity: recall@1"),
        [
            [name, f"{row['accuracy']:.1%}", f"{row['cosine']:.3f}", f"{row['recall@1']:.1%}"]
            for name, row in scores.items()
        ],
        best_cells([[row[metric] for row in scores.values()] for metric in METRICS]),
        "Larger is better throughout; the best of each column is bold. One seed: differences of a "
        "few points can be chance.",
    )
    accuracy = (
        "Accuracy: how many held-out clips a linear classifier on the frozen embeddings names "
        f"correctly ({settings['clips']} test clips of procedural sounds)."
    )
    additivity = (
        "Additivity: the same event is added to two different backgrounds. The cosine tells "
        "whether both embeddings move in the same direction (1 is perfect, 0 is chance; what all "
        "events have in common is subtracted first). Recall@1 tells how often the movement on one "
        "background finds that of the same event on the other, among "
        f"{settings['events']} events (chance {1 / settings['events']:.1%})."
    )
    return [table, Text(accuracy), Text(additivity)]


def _pictures(encoder: AudioEncoder, training: Mapping[str, Any], seed: int) -> list[Picture]:
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
    rate = 0.45
    mixed = mix_with_neighbour(clips, torch.full((len(clips),), rate))
    neighbours = neighbour(clips)
    clear = _clearest(clips, neighbours)
    return [
        Picture(
            views(shown, first, second, log_mel),
            "Augmentations. Each view is the clip with a little of an earlier clip mixed in, then "
            "a random box of it resized to the full image (so its axes are stretched), then a "
            "change of loudness over time. The network must predict one view from the other. Each "
            "picture has its own range of colours.",
        ),
        Picture(
            mixture(clips[clear, 0], neighbours[clear, 0], mixed[clear, 0], rate, log_mel),
            "The difference term. A clip is mixed with its neighbour in the batch at a rate "
            f"between 0.4 and 0.6, here {rate:.2f}. From the embedding of the mixture, less the "
            "rate times that of the neighbour, the network must predict the clip that remains. "
            "Training mixes views; the clips are shown here without augmentation.",
        ),
    ]


def _clearest(
    clips: Float[Tensor, "clip 1 mel frame"], neighbours: Float[Tensor, "clip 1 mel frame"]
) -> int:
    """The pair to show: each of its two sounds is the louder one in much of the picture."""
    ahead = [
        (first > second + 1).float().mean((1, 2, 3))
        for first, second in ((clips, neighbours), (neighbours, clips))
    ]
    return int(torch.minimum(*ahead).argmax())
