"""One background-known item: its mixture, its three references, and what was measured of them.

All are of one window of a background in which each reference is audible.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
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
    BgKnownOptions,
    ItemPlan,
    soundscape,
)
from byola_diff.soundscapes.production.items import amplified, common_gain_db, finish, finished
from byola_diff.soundscapes.render.mixer import Renderer, cut, integrated_lufs, place
from byola_diff.soundscapes.render.plan import Rendered, RenderError, Roots, Soundscape
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


def make_item(
    options: BgKnownOptions,
    roots: Mapping[str, Roots],
    renderer: tuple[str, Renderer],
    item: ItemPlan,
) -> dict[str, Any]:
    """Facts of an item whose files are there: every parameter, measurement and hash.

    Its sources lie below the roots of its split. The name of the renderer is recorded, and the
    common gain of mixture and references if they have one.

    Raises:
        AudioFileError: If the event or its background can't be read.
        LayoutError: If none of its backgrounds can be used.
        RenderError: If the event is silent, or what was rendered is not what was planned.
        ClippingError: If something clips that is to be refused.
    """
    (name, render), own = renderer, roots[item.split]
    background, start_s, n_rejected = find_window(item, own["background"], options)
    plan = soundscape(item, background, start_s, options)
    facts = {
        **_facts(item, plan, own),
        "reference_level": options.reference_level,
        "rejected_windows": n_rejected,
        "renderer": name,
    }
    jams = f"jams/{item.split}/{item.name}.jams"
    wavs = {kind: audio_file(item.split, item.name, kind) for kind in KINDS}
    done = finished(options.out, jams, plan, wavs.values(), facts, _MEASURED)
    if done is None:
        audio, measured, gain_db = references(plan, render(plan, own), own, options)
        named = {file: audio[kind] for kind, file in wavs.items()}
        how = {"output_rate": options.output_rate, "gain_db": gain_db}
        done = finish(options.out, jams, plan, named, facts | measured, **how)
    hashes = done.pop("files")
    kept = {f"{kind}_sha256": hashes[file] for kind, file in wavs.items()}
    return done | kept | {"jams_sha256": sha256(options.out / jams)}


def _facts(item: ItemPlan, plan: Soundscape, own: Roots) -> dict[str, Any]:
    """What is known of an item by its plan, hashes of its sources among it."""
    background, event = plan.events
    return {
        "item": item.name,
        "split": item.split,
        "fold": item.event.fold,
        "label": item.event.label,
        "group": item.event.group,
        "event_file": item.event.file,
        "event_sha256": source_sha256(own["foreground"] / event.source),
        "event_duration_s": item.event.duration_s,
        "background_part": PART_OF_SPLIT[item.split],
        "background_file": background.source,
        "background_sha256": source_sha256(own["background"] / background.source),
        "background_label": background.label,
        "start_s": background.source_time_s,
        "snr_db": event.snr_db,
        "ref_db": plan.ref_db,
    }


def find_window(item: ItemPlan, root: Path, options: BgKnownOptions) -> tuple[Source, float, int]:
    """Recording and start of the first window drawn for the item with each reference audible.

    Also how many were drawn before that were too quiet, or could not be read. `LayoutError` is
    raised if there is none in any background of its plan.
    """
    n_rejected, reasons = 0, []
    for background in item.backgrounds:
        try:
            tried = set()
            for number in range(_MOST_WINDOWS):
                seed = derive_seed(options.seed, "window", item.name, background.file, number)
                start_s, quietest = _draw_window(root / background.file, seed, options)
                if start_s in tried:  # a recording of just the length has one window
                    continue
                tried.add(start_s)
                if quietest >= _QUIETEST_LUFS:
                    return background, start_s, n_rejected
                n_rejected += 1
            reasons.append(f"{background.file} is below {_QUIETEST_LUFS:g} LUFS")
        except AudioFileError as error:
            n_rejected += 1
            reasons.append(f"{background.file}: {error.reason}")
    raise LayoutError(
        f"{item.name}: none of {len(item.backgrounds)} backgrounds can be used; {reasons[0]}"
    )


def _draw_window(path: Path, seed: int, options: BgKnownOptions) -> tuple[float, float]:
    """Start of a window in a recording, and the loudness of its quietest reference."""
    with open_audio(path) as reader:
        rate = reader.sample_rate
        n_window = math.ceil(options.window_s * rate)
        if reader.n_samples < n_window:
            raise AudioFileError(path, f"shorter than {options.window_s:g} s")
        start = int(np.random.default_rng(seed).integers(reader.n_samples - n_window + 1))
        waveform = reader.read(start, n_window)
    if len(waveform) < n_window:
        raise AudioFileError(path, f"shorter than {options.window_s:g} s once decoded")
    length = int(options.duration_s * rate)
    starts = [int(later * length) for later in LATER.values()]
    lufs = min(integrated_lufs(waveform[n : n + length], rate) for n in starts)
    # A quarter of a sample past its own, so that rounding down finds the sample again.
    return (start + 0.25) / rate, lufs


def references(
    plan: Soundscape, rendered: Rendered, roots: Roots, options: BgKnownOptions
) -> tuple[dict[str, Float[np.ndarray, " sample"]], dict[str, float], float]:
    """Waveforms of an item by `KINDS`, what `_MEASURED` names, and the gain that all are to get.

    What is measured is that of the waveforms with the gain. Reference (a) is the background as it
    is in the mixture. `RenderError` is raised if that is not the planned stretch of the recording.
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
        if options.reference_level == "normalised":
            gain_db = plan.ref_db - integrated_lufs(sound, plan.sample_rate)
        audio[kind] = 10 ** (gain_db / 20) * sound
        gains_db[kind] = gain_db
    rates = plan.sample_rate, options.output_rate
    common_db = common_gain_db(audio.values(), *rates) if options.clipping == "gain" else 0.0
    heard = {kind: audio[kind] for kind in KINDS} | {"event": event}
    measured = {
        f"{kind}_gain_db": round(float(own + common_db), 6) for kind, own in gains_db.items()
    }
    for kind, waveform in heard.items():
        lufs = integrated_lufs(amplified(waveform, common_db), plan.sample_rate)
        measured[f"{kind}_lufs"] = round(lufs, 4)
    return audio, measured, common_db
