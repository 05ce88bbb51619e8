"""Tiny Debian packages: an `ar` archive of tar archives, made here, with sounds made here."""

import io
import tarfile

import numpy as np
import soundfile

RATE = 8000


def deb(folder, name, files, version="1.0", copyright_text="", compression="xz", damage=None):
    """Write NAME.deb with these files, by path; returns its path."""
    files = dict(files)
    if copyright_text:
        files[f"usr/share/doc/{name}/copyright"] = copyright_text.encode()
    control = f"Package: {name}\nVersion: {version}\nHomepage: origin of {name}\n".encode()
    suffix = f".{compression}" if compression else ""
    parts = {
        "debian-binary": b"2.0\n",
        f"control.tar{suffix}": archive({"control": control}, compression),
        f"data.tar{suffix}": archive(files, compression),
    }
    content = b"!<arch>\n"
    for title, part in parts.items():
        header = f"{title:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(part):<10}`\n"
        content += header.encode() + part + b"\n" * (len(part) % 2)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.deb"
    path.write_bytes(content if damage is None else damage(content))
    return path


def archive(files, compression):
    """A tar archive of these files below `./`, as dpkg-deb writes it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{compression}") as tar:
        for name, file in files.items():
            about = tarfile.TarInfo(f"./{name}")
            about.size = len(file)
            tar.addfile(about, io.BytesIO(file))
    return content.getvalue()


def sound(waveform, form="WAV"):
    """A sound file in memory."""
    content = io.BytesIO()
    soundfile.write(content, waveform, RATE, format=form)
    return content.getvalue()


def tone(hertz, duration_s=0.5):
    """A steady tone."""
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(duration_s * RATE)) / RATE)


def noise(duration_s, seed=0):
    """Noise that is the same all the time."""
    return 0.1 * np.random.default_rng(seed).standard_normal(round(duration_s * RATE))


def street(duration_s, seed=1):
    """Noise that swells and fades, by 20 dB within six seconds."""
    level_db = 10 * np.cos(2 * np.pi * np.arange(round(duration_s * RATE)) / RATE / 6) - 10
    return noise(duration_s, seed) * 10 ** (level_db / 20)
