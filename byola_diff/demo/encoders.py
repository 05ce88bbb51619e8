"""Which encoders the demo compares, in the order of its tables."""

from collections.abc import Iterator
from typing import NamedTuple

from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.open import NamedEncoder, open_encoder
from byola_diff.models.bundle import load_encoder
from byola_diff.models.shipped import SHIPPED, shipped_bundle

LARGE = "byola-diff"
SMALL = "byola-diff-small"
PLAIN = "byola-diff-small-weight-0"
"""The twin of the small one, pretrained alike but without the difference loss."""
UNTRAINED_SMALL = "untrained small"
UNTRAINED_LARGE = "untrained large"
LOG_MEL = "log-mel-statistics"
MEAN_POWER = "mean-power"
START = SMALL if SMALL in SHIPPED else LARGE
"""The encoder that the pretraining goes on from that one watches."""
CONTINUED = f"{START}, trained on"
"""That encoder after it."""


class Compared(NamedTuple):
    """An encoder of the tables."""

    name: str
    spec: str
    """The word that opens it, to which the seed is added for one that is not trained."""
    about: str


_ALL = (
    Compared(LARGE, LARGE, "shipped: AudioNTT2022, 3072 dimensions, with the difference loss"),
    Compared(SMALL, SMALL, "shipped: AudioNTT2020, 512 dimensions, with the difference loss"),
    Compared(PLAIN, PLAIN, "shipped: its twin, trained alike but without the difference loss"),
    Compared(UNTRAINED_SMALL, f"untrained:{SMALL}", "the small network with random weights"),
    Compared(UNTRAINED_LARGE, f"untrained:{LARGE}", "the large network with random weights"),
    Compared(LOG_MEL, LOG_MEL, "mean and deviation of each log-mel band; nothing is trained"),
    Compared(MEAN_POWER, MEAN_POWER, "mean of the power in each mel band; nothing is trained"),
)
_ABSENT = {LARGE, SMALL, PLAIN} - set(SHIPPED)
COMPARED = tuple(each for each in _ALL if each.spec.rpartition(":")[2] not in _ABSENT)
"""Without those of the small pair where the package has none."""


def check_shipped() -> None:
    """Raise FileNotFoundError if the package came without the encoder that the demo is about."""
    if shipped_bundle(LARGE) is None:
        raise FileNotFoundError(f"this package came without {LARGE}: install it whole")


def open_compared(seed: int) -> Iterator[NamedEncoder]:
    """Each of `COMPARED` under its name; the seed is that of random weights."""
    for name, spec, _ in COMPARED:
        encoder = open_encoder(f"{spec}:{seed}" if spec.startswith("untrained:") else spec).encoder
        yield NamedEncoder(name, encoder, content_hash(encoder))


def open_continued(bundle: str) -> NamedEncoder:
    """The encoder that the pretraining of the demo ended with."""
    encoder = load_encoder(bundle)
    return NamedEncoder(CONTINUED, encoder, content_hash(encoder))
