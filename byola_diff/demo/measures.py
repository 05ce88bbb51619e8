"""What is measured of each encoder: naming, additivity, Background-known. Larger is better."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from byola_diff.demo.sounds import SNR_DB
from byola_diff.demo.stages import Measured
from byola_diff.embeddings.extract import ExtractionOptions, embed_clips
from byola_diff.encoders.contract import Encoder
from byola_diff.evaluation.additivity.measures import (
    RECALLS,
    additivity,
    embed_over_snr,
    movement_cosines,
)
from byola_diff.evaluation.additivity.quadruples import EventSounds
from byola_diff.evaluation.bgknown.data import VARIANTS, BgKnown, difference_embeddings
from byola_diff.probing.logistic import probe_manifest
from byola_diff.tables.manifest import Manifest

NAMING, ADDITIVITY, BACKGROUND_KNOWN = "naming", "additivity", "bgknown"
METRICS: Mapping[str, tuple[str, ...]] = {
    NAMING: ("accuracy",),
    ADDITIVITY: ("cosine", *RECALLS),
    BACKGROUND_KNOWN: VARIANTS,
}
"""By protocol, the metrics that the page shows."""

_OPTIONS = ExtractionOptions(progress=False)


def naming(encoder: Encoder, manifests: Mapping[str, Manifest]) -> Measured:
    """Share of clips that a linear probe on scene embeddings names rightly, by draw.

    Every clip of a draw is tested once, by a probe that was fitted to the other folds. A draw that
    is alone counts as many draws as it has folds, or one where it has splits.
    """
    by_draw = {}
    for draw, manifest in manifests.items():
        embeddings = embed_clips(encoder, manifest, _OPTIONS)
        by_draw[draw] = probe_manifest(embeddings.numpy(), manifest)
    if len(by_draw) == 1:
        [parts] = by_draw.values()
        return Measured({"accuracy": parts})
    return Measured({"accuracy": by_draw})


def additive(encoder: Encoder, draws: Mapping[str, EventSounds]) -> Measured:
    """Figures of additivity, by draw; and which event each one of the first draw finds.

    That is the one whose movement over its second background is most like that of the event over
    its first one.
    """
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    chosen: dict[str, Any] = {}
    for draw, sounds in draws.items():
        [(_, embedded)] = embed_over_snr(encoder.scene, sounds, (SNR_DB,))
        for metric, value in additivity(*embedded).items():
            scores[metric][draw] = value
        chosen = chosen or {"found": movement_cosines(embedded).argmax(1).tolist()}
    return Measured(scores, chosen)


def background_known(encoder: Encoder, draws: Mapping[str, BgKnown]) -> Measured:
    """Accuracy on mixtures, and on their differences to references (a), (b) and (c), by draw.

    The probe is that of `naming`. The benchmark itself trains one with early stopping, for which
    a tenth of its training items is kept apart: of so few items, that is too little to stop by.
    """
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for draw, data in draws.items():
        embeddings = embed_clips(encoder, data.clips, _OPTIONS).numpy()
        of_variant = zip(VARIANTS, np.split(embeddings, len(VARIANTS)), strict=True)
        for variant, vectors in difference_embeddings(dict(of_variant)).items():
            scores[variant][draw] = probe_manifest(vectors, data.mixtures)["test"]
    return Measured(scores)
