"""The files of one item of a corpus: its wav files, then its JAMS, which vouches for them.

The JAMS is written last and holds the SHA-256 of every wav file. An item whose JAMS is there and
true need not be made again, so a stopped run continues where it was.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from byola_diff.atomic import atomic_path, write_text
from byola_diff.audio.files import wav_bytes
from byola_diff.audio.resample import resample
from byola_diff.soundscapes.render.jams_document import to_jams
from byola_diff.soundscapes.render.jams_file import read_facts
from byola_diff.soundscapes.render.plan import CLIPPING_REMEDY, ClippingError, Soundscape
from byola_diff.storage import sha256

_FULL_SCALE_24 = 1 << 23


def finish(
    out: Path,
    jams: str,
    plan: Soundscape,
    audio: Mapping[str, Float[np.ndarray, " sample"]],
    facts: Mapping[str, Any],
    *,
    output_rate: int | None = None,
) -> dict[str, Any]:
    """Write an item and return its facts, with the SHA-256 of every file and the sample rate.

    Args:
        out: Folder of the corpus, which `jams` and the names in `audio` are relative to.
        jams: Path of the JAMS.
        plan: What was rendered.
        audio: Waveforms at the rate of the plan, by their paths; written as 24-bit wav.
        facts: What else is known of the item, as JSON holds it.
        output_rate: Rate of the wav files, in Hz, if not that of the plan.

    Raises:
        ClippingError: If a waveform does not fit into full scale at its final rate.
    """
    rate = output_rate or plan.sample_rate
    hashes = {}
    for name, waveform in sorted(audio.items()):
        if rate != plan.sample_rate:
            waveform = resample(waveform.astype(np.float32), plan.sample_rate, rate)
        _write_wav24(out / name, waveform, rate, plan)
        hashes[name] = sha256(out / name)
    full = {**facts, "sample_rate": rate, "files": hashes}
    write_text(out / jams, to_jams(plan, full))
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
    """
    full = read_facts(out / jams)
    if full is None:
        return None
    try:
        hashes = {name: sha256(out / name) for name in wavs}
    except OSError:
        return None
    found = {name: full.get(name) for name in (*measured, "sample_rate")}
    if full != {**found, **json.loads(json.dumps(facts)), "files": hashes}:
        return None
    return full if (out / jams).read_bytes() == to_jams(plan, full).encode() else None


def _write_wav24(
    path: Path, waveform: Float[np.ndarray, " sample"], sample_rate: int, plan: Soundscape
) -> None:
    """Nearest 24-bit samples; a mixture just within full scale may leave it when resampled."""
    samples = np.rint(waveform.astype(np.float64) * _FULL_SCALE_24)
    # Put so that samples that are no numbers are refused too.
    if not (samples.max() < _FULL_SCALE_24 and samples.min() >= -_FULL_SCALE_24):
        what = f"{len(samples)} samples and a peak of {np.abs(waveform).max():.4f}"
        raise ClippingError(plan, f"{path.name} has {what}; {CLIPPING_REMEDY}")
    pcm = samples.astype(np.int32) << 8  # the low byte of 32 bits is not stored
    with atomic_path(path) as temporary:
        temporary.write_bytes(wav_bytes(pcm, sample_rate, "PCM_24"))
