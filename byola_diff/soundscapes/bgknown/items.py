"""One background-known item: its mixture, its three references, and what was measured of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from byola_diff.soundscapes.bgknown.plan import (
    LATER,
    PART_OF_SPLIT,
    BgKnownSettings,
    ItemPlan,
    soundscape,
)
from byola_diff.soundscapes.bgknown.windows import Window, find_window
from byola_diff.soundscapes.production.items import finish, finished
from byola_diff.soundscapes.render.jams_file import read_facts
from byola_diff.soundscapes.render.mixer import cut, integrated_lufs, place
from byola_diff.soundscapes.render.plan import (
    CLIPPING_REMEDY,
    ClippingError,
    Rendered,
    RenderError,
    Role,
    Roots,
    Soundscape,
)
from byola_diff.soundscapes.render.renderers import Renderer
from byola_diff.soundscapes.sources.library import source_sha256
from byola_diff.storage import sha256

KINDS = ("mix", *LATER)
"""Files of an item: the mixture and its references."""

MEASURED = (
    *("event_gain_db", "a_gain_db", "b_gain_db", "c_gain_db"),
    *("mix_lufs", "event_lufs", "a_lufs", "b_lufs", "c_lufs"),
)
"""Facts that are known once an item is made. Loudness is that of the parts of the mixture and of
the references as they are written, but for a change of the sample rate."""

_STEM_TOLERANCE = 1e-4


def audio_file(split: str, name: str, kind: str) -> str:
    """Path of a wav file below the folder of the data set."""
    return f"audio/{split}/{name}_{kind}.wav"


def jams_file(split: str, name: str) -> str:
    """Path of a JAMS file below the folder of the data set."""
    return f"jams/{split}/{name}.jams"


@dataclass(frozen=True)
class ItemMaker:
    """Makes items of their plans, in any process and order."""

    out: Path
    events: Path
    """Root of the events."""
    backgrounds: Mapping[str, Path]
    """Root of the backgrounds of each split."""
    settings: BgKnownSettings
    renderer: tuple[str, Renderer]
    """With its name, which is recorded."""

    def __call__(self, item: ItemPlan) -> dict[str, Any]:
        """Facts of an item whose files are there: every parameter, measurement and hash.

        Raises:
            AudioFileError: If the event or its background can't be read.
            LayoutError: If none of its backgrounds can be used.
            RenderError: If the event is silent, something clips, or what was rendered is not what
                was planned.
        """
        roots: dict[Role, Path] = {
            "foreground": self.events,
            "background": self.backgrounds[item.split],
        }
        window = find_window(item, roots["background"], self.settings)
        plan = soundscape(item, window.background, window.start_s, self.settings)
        facts = self._facts(item, window, plan, roots)
        jams = jams_file(item.split, item.name)
        done = self._finished(jams, plan, facts)
        if done is None:
            rendered = self.renderer[1](plan, roots)
            audio, measured = references(plan, rendered, roots, self.settings)
            named = {_wav(item, kind): audio[kind] for kind in KINDS}
            rate = self.settings.output_rate
            done = finish(self.out, jams, plan, named, facts | measured, output_rate=rate)
        hashes = {f"{kind}_sha256": done["files"][_wav(item, kind)] for kind in KINDS}
        hashes["jams_sha256"] = sha256(self.out / jams)
        return {name: value for name, value in done.items() if name != "files"} | hashes

    def _facts(
        self, item: ItemPlan, window: Window, plan: Soundscape, roots: Roots
    ) -> dict[str, Any]:
        """What is known of an item before it is made, hashes of its sources among it."""
        return {
            "item": item.name,
            "split": item.split,
            "fold": item.event.fold,
            "label": item.event.label,
            "group": item.event.group,
            "event_file": item.event.file,
            "event_sha256": source_sha256(roots["foreground"] / item.event.file),
            "event_duration_s": item.event.duration_s,
            "background_part": PART_OF_SPLIT[item.split],
            "background_file": window.background.file,
            "background_sha256": source_sha256(roots["background"] / window.background.file),
            "background_label": window.background.label,
            "start_s": window.start_s,
            "snr_db": plan.events[1].snr_db,
            "ref_db": plan.ref_db,
            "reference_level": self.settings.reference_level,
            "rejected_windows": window.n_rejected,
            "renderer": self.renderer[0],
        }

    def _finished(
        self, jams: str, plan: Soundscape, facts: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """What an earlier run made of the item, measurements among it."""
        before = read_facts(self.out / jams) or {}
        if any(name not in before for name in MEASURED):
            return None
        return finished(self.out, jams, plan, {**facts, **{n: before[n] for n in MEASURED}})


def references(
    plan: Soundscape, rendered: Rendered, roots: Roots, settings: BgKnownSettings
) -> tuple[dict[str, Float[np.ndarray, " sample"]], dict[str, float]]:
    """Waveforms of an item by `KINDS`, and what `MEASURED` names.

    Reference (a) is the background as it is in the mixture.

    Raises:
        RenderError: If that is not the planned stretch of the recording, or a reference clips.
    """
    background, event = plan.events[0], rendered.stems[1]
    gains_db = {"event": rendered.gains_db[1], "a": rendered.gains_db[0]}
    audio = {"mix": rendered.mixture, "a": rendered.stems[0]}
    for kind, later in LATER.items():
        start_s = background.source_time_s + later * plan.duration_s
        later_event = replace(background, source_time_s=start_s)
        sound = place(plan, later_event, cut(plan, later_event, roots))
        gain_db = gains_db["a"]
        if kind == "a":
            _check_stem(plan, rendered.stems[0], 10 ** (gain_db / 20) * sound)
            continue
        if settings.reference_level == "normalised":
            gain_db = plan.ref_db - integrated_lufs(sound, plan.sample_rate)
        audio[kind] = 10 ** (gain_db / 20) * sound
        gains_db[kind] = gain_db
        if np.abs(audio[kind]).max() >= 1:
            raise ClippingError(plan, f"reference ({kind}) clips; {CLIPPING_REMEDY}", background)
    heard = {kind: audio[kind] for kind in KINDS} | {"event": event}
    measured = {f"{kind}_gain_db": round(float(gain), 6) for kind, gain in gains_db.items()}
    for kind, waveform in heard.items():
        measured[f"{kind}_lufs"] = round(integrated_lufs(waveform, plan.sample_rate), 4)
    return audio, measured


def _wav(item: ItemPlan, kind: str) -> str:
    return audio_file(item.split, item.name, kind)


def _check_stem(
    plan: Soundscape,
    stem: Float[np.ndarray, " sample"],
    expected: Float[np.ndarray, " sample"],
) -> None:
    difference = float(np.abs(stem - expected).max())
    if not difference <= _STEM_TOLERANCE:
        reason = f"differs by {difference:.2g} from the recording from its start on"
        raise RenderError(plan, reason, plan.events[0])
