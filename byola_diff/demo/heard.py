"""To hear what was added, and which event the difference of each encoder finds.

An encoder gets a background without and with an event. The movement between the two is compared
with the movements of all events over other backgrounds: the event of the most alike is found.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.demo.sounds import SNR_DB
from byola_diff.evaluation.additivity.quadruples import EventSounds, mix_at
from byola_diff.reports.players import player, spectrogram_pictures
from byola_diff.reports.report import Audio, Heading, Part, Table

Found = Mapping[str, Sequence[int]]
"""By encoder, for each event the one that it finds."""

RIGHT, WRONG = "✓", "✗"
_LOUDEST = 0.9
"""Peak of the loudest sound of a quadruple: all get one gain."""


def shown_events(n_events: int, n_shown: int) -> list[int]:
    """Events at equal distances: they are not chosen by what was found."""
    n_shown = min(n_shown, n_events)
    return [place * n_events // n_shown for place in range(n_shown)]


def found_table(found: Found, labels: Sequence[str], shown: Sequence[int]) -> Table:
    """A row per encoder: a tick where it finds an event, else a cross."""
    rows = [
        [name, *(RIGHT if events[event] == event else WRONG for event in shown)]
        for name, events in found.items()
    ]
    header = ["encoder", *(f"{number}: {labels[event]}" for number, event in _numbered(shown))]
    note = "A tick where an encoder finds the event that was added, a cross where it finds another."
    return Table(header, rows, note=note)


def heard_events(
    found: Found, sounds: EventSounds, shown: Sequence[int], sample_rate: int
) -> list[Part]:
    """Players of background, background with event, event, and what is found in its place."""
    parts: list[Part] = []
    for number, event in _numbered(shown):
        parts.append(Heading(f"{number}: {sounds.labels[event]}"))
        parts += _players(_clips_of(event, found, sounds), sample_rate)
    return parts


def _clips_of(
    event: int, found: Found, sounds: EventSounds
) -> list[tuple[str, Float[Tensor, " sample"]]]:
    """Captions and waveforms: the first line of a caption is its heading."""
    mixed, finders = mix_at(sounds, SNR_DB), defaultdict(list)
    for name, events in found.items():
        finders[events[event]].append(name)
    right = finders.pop(event, [])
    by = f"{RIGHT} found by {', '.join(right)}" if right else f"{WRONG} found by none"
    clips = [
        ("background", mixed.first_background[event]),
        ("background + event", mixed.first_mixture[event]),
        (f"the event: {sounds.labels[event]}\n{by}", sounds.events[event]),
    ]
    for other, names in finders.items():
        what = f"{WRONG} {_other(other, event, sounds.labels)}"
        clips.append((f"{what}\nfound by {', '.join(names)}", sounds.events[other]))
    return clips


def _players(
    clips: Sequence[tuple[str, Float[Tensor, " sample"]]], sample_rate: int
) -> list[Audio]:
    loudest = torch.stack([waveform.abs().max() for _, waveform in clips]).max()
    waveforms = [(waveform * (_LOUDEST / loudest)).numpy() for _, waveform in clips]
    pictures = spectrogram_pictures(waveforms, sample_rate)
    return [
        player(waveform, sample_rate, caption, picture)
        for (caption, _), waveform, picture in zip(clips, waveforms, pictures, strict=True)
    ]


def _other(found: int, event: int, labels: Sequence[str]) -> str:
    """Name of an event that is not the right one, but may be of its label."""
    return f"another {labels[found]}" if labels[found] == labels[event] else labels[found]


def _numbered(shown: Sequence[int]) -> list[tuple[int, int]]:
    return list(enumerate(shown, start=1))
