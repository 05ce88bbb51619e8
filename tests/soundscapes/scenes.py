"""Sources of noise in two folders, and plans made of them, for the tests of rendering."""

import math

import numpy as np
import soundfile

from byola_diff.soundscapes.render.plan import Event, Soundscape

RATE = 16_000

# Seconds, Hz and channels of each.
SOURCES = {
    "background/rain/a": (6.0, RATE, 1),
    "background/rain/b": (6.0, RATE, 1),
    "background/rain/short": (0.7, RATE, 1),
    "background/rain/exact": (2.0, RATE, 1),
    "background/rain/other": (6.0, 22_050, 1),
    "foreground/dog/long": (3.0, RATE, 1),
    "foreground/dog/brief": (0.17, RATE, 1),
    "foreground/dog/slow": (1.0, 8000, 1),
    "foreground/dog/stereo": (1.0, RATE, 2),
    "foreground/dog/click": (0.005, RATE, 1),
    "foreground/rain/a": (6.0, RATE, 1),
}


def write_sources(root):
    """Write every source and a silent one; returns the folders by role."""
    for number, (name, (duration_s, rate, channels)) in enumerate(SOURCES.items()):
        noise = np.random.default_rng(number).standard_normal((int(duration_s * rate), channels))
        if name.endswith("/other"):
            noise = falling(noise)
        write(root, name, np.clip(0.1 * noise, -1, 1), rate)
    write(root, "foreground/dog/silent", np.zeros(RATE), RATE)
    return {"background": root / "background", "foreground": root / "foreground"}


def falling(noise):
    """Noise with little near the Nyquist frequency, as recordings are.

    At the two ends of white noise, resamplers differ by more than they do anywhere else.
    """
    window = np.hanning(9) / np.hanning(9).sum()
    return np.convolve(noise[:, 0], window, "same")[:, None]


def write(root, name, samples, rate=RATE):
    path = root / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


def bed(name="a", source_time_s=0.0):
    return Event("background", "rain", f"rain/{name}.wav", source_time_s)


def event(name="long", source_time_s=0.0, at_s=0.0, duration_s=math.inf, snr_db=0.0, label="dog"):
    file = f"{label}/{name}.wav"
    return Event("foreground", label, file, source_time_s, at_s, duration_s, snr_db)


def scene(*events, ref_db=-30.0, duration_s=2.0, rate=RATE, fade_s=0.01):
    return Soundscape("scene", duration_s, rate, ref_db, events, fade_s)


KINDS = {
    "background only": scene(bed()),
    "background from 1.37 s on": scene(bed("a", 1.3745401)),
    "background repeated": scene(bed("short")),
    "background as long as the soundscape": scene(bed("exact")),
    "background repeated from within": scene(bed("short", 0.01)),
    "background at another rate": scene(bed("other", 1.23), ref_db=-36.0),
    "one event": scene(bed(), event(source_time_s=0.1, at_s=0.33, duration_s=0.9, snr_db=6.0)),
    "event alone": scene(event(at_s=0.5, duration_s=0.4)),
    "two beds and two events": scene(
        bed("a", 0.7),
        bed("b", 3.2),
        event(at_s=0.911, duration_s=0.8, snr_db=8.86),
        event(source_time_s=0.2, at_s=0.2, duration_s=1.2, snr_db=-8.2),
    ),
    "event of 0.17 s": scene(bed(), event("brief", at_s=1.01, duration_s=4.0, snr_db=11.0)),
    "event cut at the end": scene(bed(), event(at_s=1.4, snr_db=3.0)),
    "event to the last sample": scene(bed(), event(at_s=1.7, duration_s=0.3)),
    "event at a lower rate": scene(
        bed(), event("slow", 0.1, at_s=0.4, duration_s=0.5, snr_db=10.0)
    ),
    "event of two channels": scene(bed(), event("stereo", at_s=0.3, duration_s=0.6)),
    "background as an event": scene(bed(), event("a", 1.5, 0.0, 2.0, 9.0, label="rain")),
    "no fade": scene(bed(), event(at_s=0.5, duration_s=0.4), fade_s=0.0),
    "fade of less than a sample": scene(event(at_s=0.5, duration_s=0.4), fade_s=1e-5),
    "high rate": scene(bed(), event("slow", at_s=0.4, duration_s=0.5, snr_db=10.0), rate=44_100),
}
