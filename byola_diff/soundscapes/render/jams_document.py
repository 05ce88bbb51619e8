"""The text of a JAMS file that describes a soundscape; Scaper can render it."""

import json
from collections.abc import Mapping
from typing import Any, get_args

from byola_diff.soundscapes.render.plan import Event, Role, Soundscape

OURS = "byola_diff"
"""Where facts are kept in the sandbox of the file; marks the files that we wrote."""

ROLES: tuple[Role, ...] = get_args(Role)


def to_jams(plan: Soundscape, facts: Mapping[str, Any]) -> str:
    """Text of the JAMS file of a plan, the same for the same plan and facts.

    Args:
        plan: What is described. An event without an end is written with the duration it has.
        facts: What else is known, as JSON holds it; `sandbox.byola_diff` of the file.

    Raises:
        ValueError: If a fact is NaN or infinite.
        TypeError: If a fact is nothing that JSON holds.
    """
    observations = [
        {
            "time": event.event_time_s,
            "duration": plan.length_s(event),
            "value": _value(plan, event),
            "confidence": 1.0,
        }
        for event in plan.events
    ]
    annotation = {
        "annotation_metadata": {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            **dict.fromkeys(["version", "corpus", "annotation_tools", "annotation_rules"], ""),
            **dict.fromkeys(["validation", "data_source"], ""),
        },
        "namespace": "scaper",
        "data": observations,
        "sandbox": {"scaper": _settings(plan)},
        "time": 0,
        "duration": plan.duration_s,
    }
    document = {
        "annotations": [annotation],
        "file_metadata": {
            "title": plan.name,
            **dict.fromkeys(["artist", "release"], ""),
            "duration": plan.duration_s,
            "identifiers": {},
            "jams_version": "0.3.4",
        },
        "sandbox": {OURS: dict(facts)},
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _value(plan: Soundscape, event: Event) -> dict[str, Any]:
    """An event as Scaper describes it."""
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


def _settings(plan: Soundscape) -> dict[str, Any]:
    """What Scaper wants to know to render the plan."""
    constant = {role: [] for role in ROLES}
    for event in plan.events:
        *numbers, role, pitch, tempo = _value(plan, event).values()
        constant[role].append([*(["const", number] for number in numbers), role, pitch, tempo])
    labels = {role: sorted({e.label for e in plan.events if e.role == role}) for role in ROLES}
    return {
        "duration": plan.duration_s,
        "original_duration": plan.duration_s,
        "fg_path": "foreground",
        "bg_path": "background",
        "fg_spec": constant["foreground"],
        "bg_spec": constant["background"],
        "fg_labels": labels["foreground"],
        "bg_labels": labels["background"],
        "protected_labels": [],
        "sr": plan.sample_rate,
        "ref_db": plan.ref_db,
        "n_channels": 1,
        "fade_in_len": plan.fade_s,
        "fade_out_len": plan.fade_s,
        "reverb": None,
        "fix_clipping": False,
        "peak_normalization": False,
        "quick_pitch_time": False,
        "no_audio": True,
    }
