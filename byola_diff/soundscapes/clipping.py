"""Refusals of what reaches full scale: which they are, and what their remedy is called."""

from collections.abc import Iterable
from dataclasses import replace

from byola_diff.soundscapes.produce import Refusal
from byola_diff.soundscapes.rendered import CLIPPING_REMEDY

_OPTION_REMEDY = "lower --ref-db"


def named_by_option(refused: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """The refusals in the words of a command that sets the level by its option --ref-db."""
    return tuple(
        replace(one, reason=one.reason.replace(CLIPPING_REMEDY, _OPTION_REMEDY)) for one in refused
    )


def n_clipping(refused: Iterable[Refusal]) -> int:
    """How many of the refusals are for clipping, by whichever name the remedy has."""
    remedies = (CLIPPING_REMEDY, _OPTION_REMEDY)
    return sum(any(remedy in one.reason for remedy in remedies) for one in refused)
