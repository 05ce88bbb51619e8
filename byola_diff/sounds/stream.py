"""The endless stream of training clips: mixtures of one to three sounds, coloured and echoed."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.randomness import counter_uniform, derive_seed
from byola_diff.sounds.events import kernel_seconds
from byola_diff.sounds.inputs import Draw, TimeAxis, uniform_rows
from byola_diff.sounds.render import BACKGROUNDS, FOREGROUNDS, at_random_level, render_with
from byola_diff.sounds.spectra import peaks, tilt

_MOST_SOUNDS = 3
_BLOCK = 8
_NAMES = (*FOREGROUNDS, *BACKGROUNDS)


def training_batch(
    seed: int,
    indices: Int[Tensor, " batch"],
    n_samples: int,
    sample_rate: int,
    moved: float = 0.0,
) -> Float[Tensor, "batch sample"]:
    """Mixtures of random sounds, with peaks between -40 and 0 dBFS.

    Clip k depends on (seed, k) alone. Nothing is labelled: families, levels, colour and echo are
    as varied as they can be, so that an encoder has to tell apart much more than classes.

    With `moved`, each is rendered a little differently: as many sounds, of the same families, with
    every parameter moved by a normal draw of that deviation, as a share of its range.

    Source:
        Cherep & Singh, 2024, "Contrastive learning from synthetic audio doppelgängers", for moved
        parameters.

    Raises:
        ValueError: If a length is below 1.
    """
    if len(indices) == 0:
        return torch.zeros(0, n_samples, device=indices.device)  # no transform of nothing
    mixture = _mixture(seed, indices.long(), n_samples, sample_rate, moved)
    draw = Draw(uniform_rows(seed, indices, ["placed"] * len(indices), moved))
    time = TimeAxis(n_samples, sample_rate, torch.zeros(len(indices), 1, device=indices.device))
    return at_random_level(draw, _placed(draw, time, mixture), 40.0)


def _mixture(seed: int, indices: Tensor, n_samples: int, sample_rate: int, moved: float) -> Tensor:
    """Sum of one to three sounds per clip, each of any family."""
    device = indices.device
    part = indices[:, None] * _MOST_SOUNDS + torch.arange(_MOST_SOUNDS, device=device)
    families_of = _family_number(seed, indices)
    count = 1 + _MOST_SOUNDS * counter_uniform(derive_seed(seed, "count"), indices)
    present = torch.arange(_MOST_SOUNDS, device=device) < count.floor()[:, None]
    families = [_NAMES[number] for number in families_of[present].tolist()]
    # One call for all sounds of all clips: clips that share a family are rendered together.
    which = families, derive_seed(seed, "sound"), part[present]
    sounds = render_with(_as_part, *which, n_samples, sample_rate, moved)
    mixture = torch.zeros(len(indices), n_samples, device=device)
    clip, place = present.nonzero(as_tuple=True)
    for number in range(_MOST_SOUNDS):  # one by one: a scattered sum has no fixed order on a GPU
        mixture[clip[place == number]] += sounds[place == number]
    return mixture


def _family_number(seed: int, indices: Tensor) -> Tensor:
    """[batch, part] places in the list of families, equal within blocks of eight clips.

    Calls of a family cost as much as its samples, hence the blocks. Those of the second and third
    sound lie three and six clips further on, so that few clips of a batch share all families.
    """
    part = torch.arange(_MOST_SOUNDS, device=indices.device)
    block = torch.div(indices[:, None] + 3 * part, _BLOCK, rounding_mode="floor")
    choice = counter_uniform(derive_seed(seed, "family"), block * _MOST_SOUNDS + part)
    return (choice * len(_NAMES)).long()


def _as_part(draw: Draw, sound: Tensor) -> Tensor:
    """Sounds at a random loudness, turned round so that events lie anywhere, cut by the edges."""
    n_samples = sound.shape[1]
    rms = sound.square().mean(1, keepdim=True).sqrt().clamp(min=1e-9)
    scaled = sound * (10 ** (draw.uniform("gain_db", -18, 0) / 20) / rms)
    start = draw.uniform("turn", 0, n_samples)[:, 0].long()
    ring = torch.cat([scaled, scaled], dim=1).unfold(1, n_samples, 1)  # [batch, start, sample]
    return ring[torch.arange(len(sound), device=sound.device), start]


def _placed(draw: Draw, time: TimeAxis, mixture: Tensor) -> Tensor:
    """The mixture in a random room, through a random microphone."""
    centre_hz = draw.log_uniform("peak_hz", 80, 7000, count=2)
    colour = tilt(time, draw.uniform("slope_db_per_octave", -4, 4)) * (
        1 + peaks(time, centre_hz, 0.3 * centre_hz, draw.uniform("peak_gain", -0.8, 3, count=2))
    )
    seconds = kernel_seconds(time, 1.0)
    decay_s = draw.log_uniform("echo_s", 0.01, 0.3)
    wet = draw.uniform("wet", -1, 1).clamp(min=0) * (2 / (decay_s * time.sample_rate)).sqrt()
    echo = wet * draw.noise("echo", len(seconds)) * torch.exp(-seconds / decay_s)
    # Echoes of the end fall on the start: the clip is a piece of something longer.
    dry = torch.fft.rfft(mixture, n=time.n_fft) + _floor(draw, time, mixture)
    spectrum = dry * colour * (1 + torch.fft.rfft(echo, n=time.n_fft))
    return torch.fft.irfft(spectrum, n=time.n_fft)[:, : time.n_samples]


def _floor(draw: Draw, time: TimeAxis, mixture: Tensor) -> Tensor:
    """Spectrum of a faint noise: recordings have no digital silence between their events."""
    noise_db = draw.uniform("noise_db", -90, -20)
    rms = mixture.square().mean(1, keepdim=True).sqrt() * 10 ** (noise_db / 20)
    bins = len(time.frequency_hz)
    parts = draw.noise("noise", 2 * bins).unflatten(1, (bins, 2))  # [batch, bin, real/imaginary]
    slope = tilt(time, draw.uniform("noise_slope_db_per_octave", -6, 1))
    return torch.view_as_complex(parts.contiguous()) * slope * (rms * (time.n_fft / 2) ** 0.5)
