"""The families of sounds by name: foreground events and stationary backgrounds."""

from collections.abc import Callable

from torch import Tensor

from byola_diff.sounds import impacts, machines, nature, tones, voices
from byola_diff.sounds.draw import Draw
from byola_diff.sounds.time_axis import TimeAxis

Family = Callable[[Draw, TimeAxis], Tensor]
"""Parameters and time axis of a batch to its waveforms [batch, sample], at any level."""

FOREGROUNDS: dict[str, Family] = {
    family.__name__: family
    for family in (
        tones.alarm,
        tones.bell,
        tones.chirp,
        tones.harmonic_tone,
        tones.horn_chord,
        tones.plucked_string,
        tones.siren,
        tones.telephone_ring,
        tones.whistle,
        voices.bark,
        voices.bird,
        voices.breathing,
        voices.cough,
        voices.crow,
        voices.meow,
        voices.vowels,
        impacts.blast,
        impacts.clapping,
        impacts.clock_tick,
        impacts.creak,
        impacts.crumple,
        impacts.drips,
        impacts.drum,
        impacts.footsteps,
        impacts.glass_break,
        impacts.glass_clink,
        impacts.knocking,
        impacts.metal_hit,
        impacts.scrape,
        impacts.typing,
    )
}
"""Events with silence before and after them; silent in the first tenth of a clip."""

BACKGROUNDS: dict[str, Family] = {
    family.__name__: family
    for family in (
        machines.buzzer,
        machines.crowd,
        machines.engine,
        machines.hiss,
        machines.mains_hum,
        machines.motor,
        machines.rotor,
        machines.train_ride,
        nature.bees,
        nature.crackle,
        nature.crickets,
        nature.rain,
        nature.sea,
        nature.stream,
        nature.waterfall,
        nature.wind,
    )
}
"""Sounds that go on at one level, of any length."""


def class_names() -> tuple[str, ...]:
    """Labels of a labelled corpus: the foreground families, in a fixed order."""
    return tuple(FOREGROUNDS)
