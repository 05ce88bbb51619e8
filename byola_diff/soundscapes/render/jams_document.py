"""The text of a JAMS file that describes a soundscape; Scaper can render it."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

from byola_diff.soundscapes.render.plan import Event, Role, Soundscape

OURS = "byola_diff"
"""Where facts are kept in the sandbox of the file; marks the files that we wrote."""

ROLES: tuple[Role, ...] = get_args(Role)

N_DISTRIBUTIONS = 6
"""Distributions that specify an event: label, source, its time, time, duration and SNR."""


def to_jams(plan: Soundscape, facts: Mapping[str, Any]) -> str:
    """Text of the JAMS file of a plan, the same for the same plan and facts.

    An event without an end is written with the duration it has. Facts are what else is known, as
    JSON holds it, and are kept in `sandbox.byola_diff` of the file.

    Raises:
        ValueError: If a fact is NaN or infinite.
        TypeError: If a fact is nothing that JSON holds.
    """
    document = json.loads(_template())
    [annotation] = document["annotations"]
    scaper = annotation["sandbox"]["scaper"]
    length = {"duration": plan.duration_s}
    document["file_metadata"] |= {"title": plan.name, **length}
    document["sandbox"][OURS] = dict(facts)
    annotation |= length
    scaper |= {**length, "original_duration": plan.duration_s, "sr": plan.sample_rate}
    scaper |= {"ref_db": plan.ref_db, "fade_in_len": plan.fade_s, "fade_out_len": plan.fade_s}
    for event in plan.events:
        value = _value(plan, event)
        times = {"time": value["event_time"], "duration": value["event_duration"]}
        annotation["data"].append({**times, "value": value, "confidence": 1.0})
        short = "bg" if event.role == "background" else "fg"
        parts = [*value.values()]
        constants = [["const", part] for part in parts[:N_DISTRIBUTIONS]]
        scaper[f"{short}_spec"].append([*constants, *parts[N_DISTRIBUTIONS:]])
        scaper[f"{short}_labels"] = sorted({*scaper[f"{short}_labels"], event.label})
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


@cache
def _template() -> str:
    """A JAMS file as Scaper 1.6.5 writes it, without what depends on the plan."""
    return Path(__file__).with_name("template.jams").read_text(encoding="utf-8")


def _value(plan: Soundscape, event: Event) -> dict[str, Any]:
    return {
        "label": event.label,
        "source_file": event.source,
        "source_time": event.source_time_s,
        "event_time": event.event_time_s,
        "event_duration": plan.length_s(event),
        "snr": event.snr_db,
        "role": event.role,
        "pitch_shift": None,
        "time_stretch": None,
    }
