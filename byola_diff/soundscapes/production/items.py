"""The files of one item of a corpus: its wav files, then its JAMS, which vouches for them.

The JAMS is written last and holds the SHA-256 of every wav file. An item whose JAMS is there and
true need not be made again, so a stopped run continues where it was.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from byola_diff.atomic import atomic_path, write_text
from byola_diff.audio.files import wav_bytes
from byola_diff.audio.resample import resample
from byola_diff.soundscapes.render.jams_document import to_jams
from byola_diff.soundscapes.render.jams_file import read_facts
from byola_diff.soundscapes.render.plan import ClippingError, Soundscape
from byola_diff.storage import sha256

COMMON_GAIN = "common_gain_db"
"""Fact of an item that was amplified by something, so that nothing of it clips."""

_FULL_SCALE_24 = 1 << 23


def common_gain_db(
    waveforms: Iterable[Float[np.ndarray, " sample"]], sample_rate: int, final_rate: int | None
) -> float:
    """The one gain by which all fit into full scale at their final rate: 0 if they do without.

    In whole hundredths of a decibel, so that files and tables say just what was done; the largest
    peak is then 0.01 to 0.02 dB below full scale.
    """
    final = [_at_rate(waveform, sample_rate, final_rate or sample_rate) for waveform in waveforms]
    if all(_fits(_samples_24(waveform)) for waveform in final):
        return 0.0
    peak = max(float(np.abs(waveform).max()) for waveform in final)
    return -(math.ceil(2000 * math.log10(peak)) + 1) / 100


def amplified(
    waveform: Float[np.ndarray, " sample"], gain_db: float
) -> Float[np.ndarray, " sample"]:
    """The waveform with a gain; at 0 dB it is left alone."""
    return 10 ** (gain_db / 20) * waveform if gain_db else waveform


def finish(
    out: Path,
    jams: str,
    plan: Soundscape,
    audio: Mapping[str, Float[np.ndarray, " sample"]],
    facts: Mapping[str, Any],
    *,
    output_rate: int | None = None,
    gain_db: float = 0.0,
) -> dict[str, Any]:
    """Write an item and return its facts, with the SHA-256 of every file and the sample rate.

    With a gain, `COMMON_GAIN` is among them, and the JAMS has `ref_db` lowered by as much: rendered
    again, it gives the audio that is written.

    Args:
        out: Folder of the corpus, which `jams` and the names in `audio` are relative to.
        jams: Path of the JAMS.
        plan: What was rendered.
        audio: Waveforms at the rate of the plan, by their paths; written as 24-bit wav.
        facts: What else is known of the item, as JSON holds it.
        output_rate: Rate of the wav files, in Hz, if not that of the plan.
        gain_db: What all waveforms are amplified by, see `common_gain_db`.

    Raises:
        ClippingError: If a waveform does not fit into full scale at its final rate; nothing is
            written then.
    """
    rate = output_rate or plan.sample_rate
    samples, hashes = {}, {}
    for name, waveform in sorted(audio.items()):
        final = _at_rate(amplified(waveform, gain_db), plan.sample_rate, rate)
        samples[name] = _samples_24(final)
        if not _fits(samples[name]):
            which = [Path(name).name] if len(audio) > 1 else []
            raise ClippingError(plan, " ".join([*which, _clips(final, plan)]))
    for name, whole in samples.items():
        _write_wav24(out / name, whole, rate)
        hashes[name] = sha256(out / name)
    gain = {COMMON_GAIN: gain_db} if gain_db else {}
    full = {**facts, **gain, "sample_rate": rate, "files": hashes}
    write_text(out / jams, to_jams(replace(plan, ref_db=plan.ref_db + gain_db), full))
    return json.loads(json.dumps(full))


def finished(
    out: Path,
    jams: str,
    plan: Soundscape,
    wavs: Collection[str],
    facts: Mapping[str, Any],
    measured: Collection[str] = (),
) -> dict[str, Any] | None:
    """What `finish` returned, if the item is there as planned and whole; else None.

    It is not if the JAMS is missing, is of another plan or has other facts than these and those
    named in `measured`, or if a wav file is missing or altered. What else the files depend on must
    be among the facts: renderer, content of the sources, `sample_rate` if not that of the plan.
    Whatever common gain it has is accepted, and told.
    """
    full = read_facts(out / jams) or {}
    gain_db = full.get(COMMON_GAIN, 0.0)
    known = {*facts, *measured, "sample_rate", "files"}
    if full.keys() - {COMMON_GAIN} != known or not isinstance(gain_db, float):
        return None
    try:
        hashes = {name: sha256(out / name) for name in sorted(wavs)}
    except OSError:
        return None
    planned = replace(plan, ref_db=plan.ref_db + gain_db)
    expected = to_jams(planned, {**full, **facts, "files": hashes})
    return full if (out / jams).read_bytes() == expected.encode() else None


def _at_rate(
    waveform: Float[np.ndarray, " sample"], sample_rate: int, final_rate: int
) -> Float[np.ndarray, " resampled"]:
    if final_rate == sample_rate:
        return waveform
    return resample(waveform.astype(np.float32), sample_rate, final_rate)


def _samples_24(waveform: Float[np.ndarray, " sample"]) -> Float[np.ndarray, " sample"]:
    """Nearest whole samples, where 1.0 is that of full scale."""
    return np.rint(waveform.astype(np.float64) * _FULL_SCALE_24)


def _fits(samples: Float[np.ndarray, " sample"]) -> bool:
    """Put so that samples that are no numbers do not fit."""
    return bool(samples.max() < _FULL_SCALE_24 and samples.min() >= -_FULL_SCALE_24)


def _clips(waveform: Float[np.ndarray, " sample"], plan: Soundscape) -> str:
    peak_db = 20 * np.log10(np.abs(waveform).max())
    return (
        f"clips, with a peak of {peak_db:+.2f} dBFS; give --clipping gain, or lower "
        f"ref_db, {plan.ref_db:g} LUFS, by more than {peak_db:.2f} dB"
    )


def _write_wav24(path: Path, samples: Float[np.ndarray, " sample"], sample_rate: int) -> None:
    pcm = samples.astype(np.int32) << 8  # the low byte of 32 bits is not stored
    with atomic_path(path) as temporary:
        temporary.write_bytes(wav_bytes(pcm, sample_rate, "PCM_24"))
