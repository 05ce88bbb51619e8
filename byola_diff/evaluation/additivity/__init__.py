"""Additivity: does adding a sound move the embedding alike, whatever the background?"""

from byola_diff.evaluation.additivity.embedded import measure_additivity
from byola_diff.evaluation.additivity.measures import Additivity, additivity, recall_at, recall_at_1
from byola_diff.evaluation.additivity.mixing import MixedEvents, mix_events
from byola_diff.evaluation.additivity.procedural import procedural_events

__all__ = [
    "Additivity",
    "MixedEvents",
    "additivity",
    "measure_additivity",
    "mix_events",
    "procedural_events",
    "recall_at",
    "recall_at_1",
]
