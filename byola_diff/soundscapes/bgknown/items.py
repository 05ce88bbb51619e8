"""One background-known item: its mixture, its three references, and what was measured of them.

All are of one window of a background in which each reference is audible.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from byola_diff.audio.files import AudioFileError, open_audio
from byola_diff.corpora.layout import LayoutError
from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.bgknown.plan import (
    LATER,
    PART_OF_SPLIT,
    BgKnownSettings,
    ItemPlan,
    soundscape,
)
from byola_diff.soundscapes.production.items import finish, finished
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
from byola_diff.soundscapes.sources.library import Source, source_sha256
from byola_diff.storage import sha256

KINDS = ("mix", *LATER)
"""Files of an item: the mixture and its references."""

_MEASURED = (
    *("event_gain_db", "a_gain_db", "b_gain_db", "c_gain_db"),
    *("mix_lufs", "event_lufs", "a_lufs", "b_lufs", "c_lufs"),
)
"""Facts that are known once an item is made. Loudness is that of the parts of the mixture and of
the references as they are written, but for a change of the sample rate."""

_QUIETEST_LUFS = -60.0
_MOST_WINDOWS = 10
_STEM_TOLERANCE = 1e-4


def audio_file(split: str, name: str, kind: str) -> str:
    """Path of a wav file below the folder of the data set."""
    return f"audio/{split}/{name}_{kind}.wav"


@dataclass(frozen=True)
class Window:
    """Where in which recording the references of an item lie."""

    background: Source
    start_s: float
    n_rejected: int
    """Windows drawn before that were too quiet, or could not be read."""


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
        jams = f"jams/{item.split}/{item.name}.jams"
        wavs = {kind: audio_file(item.split, item.name, kind) for kind in KINDS}
        done = finished(self.out, jams, plan, facts, _MEASURED)
        if done is None:
            rendered = self.renderer[1](plan, roots)
            audio, measured = references(plan, rendered, roots, self.settings)
            named = {file: audio[kind] for kind, file in wavs.items()}
            rate = self.settings.output_rate
            done = finish(self.out, jams, plan, named, facts | measured, output_rate=rate)
        hashes = done.pop("files")
        kept = {f"{kind}_sha256": hashes[file] for kind, file in wavs.items()}
        return done | kept | {"jams_sha256": sha256(self.out / jams)}

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


def find_window(item: ItemPlan, root: Path, settings: BgKnownSettings) -> Window:
    """The first window drawn for the item in which each reference is audible.

    Raises:
        LayoutError: If there is none in any background of its plan.
    """
    n_rejected, reasons = 0, []
    for background in item.backgrounds:
        try:
            tried = set()
            for number in range(_MOST_WINDOWS):
                seed = derive_seed(settings.seed, "window", item.name, background.file, number)
                start_s, quietest = _draw_window(root / background.file, seed, settings)
                if start_s in tried:  # a recording of just the length has one window
                    continue
                tried.add(start_s)
                if quietest >= _QUIETEST_LUFS:
                    return Window(background, start_s, n_rejected)
                n_rejected += 1
            reasons.append(f"{background.file} is below {_QUIETEST_LUFS:g} LUFS")
        except AudioFileError as error:
            n_rejected += 1
            reasons.append(f"{background.file}: {error.reason}")
    raise LayoutError(
        f"{item.name}: none of {len(item.backgrounds)} backgrounds can be used; {reasons[0]}"
    )


def _draw_window(path: Path, seed: int, settings: BgKnownSettings) -> tuple[float, float]:
    """Start of a window in a recording, and the loudness of its quietest reference."""
    with open_audio(path) as reader:
        rate = reader.sample_rate
        n_window = math.ceil(settings.window_s * rate)
        if reader.n_samples < n_window:
            raise AudioFileError(path, f"shorter than {settings.window_s:g} s")
        start = int(np.random.default_rng(seed).integers(reader.n_samples - n_window + 1))
        waveform = reader.read(start, n_window)
    if len(waveform) < n_window:
        raise AudioFileError(path, f"shorter than {settings.window_s:g} s once decoded")
    length = int(settings.duration_s * rate)
    starts = [int(later * length) for later in LATER.values()]
    lufs = min(integrated_lufs(waveform[n : n + length], rate) for n in starts)
    # A quarter of a sample past its own, so that rounding down finds the sample again.
    return (start + 0.25) / rate, lufs


def references(
    plan: Soundscape, rendered: Rendered, roots: Roots, settings: BgKnownSettings
) -> tuple[dict[str, Float[np.ndarray, " sample"]], dict[str, float]]:
    """Waveforms of an item by `KINDS`, and what `_MEASURED` names.

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
            difference = float(np.abs(audio["a"] - 10 ** (gain_db / 20) * sound).max())
            if not difference <= _STEM_TOLERANCE:
                reason = f"differs by {difference:.2g} from the recording from its start on"
                raise RenderError(plan, reason, background)
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
