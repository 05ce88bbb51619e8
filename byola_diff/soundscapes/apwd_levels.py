"""How loud the backgrounds of new pairs are, and what to try where pairs clip."""

from collections.abc import Sequence

from byola_diff.soundscapes.apwd import PUBLISHED_REF_DB

_QUIETER_DB = (-52.0, -43.0)
_STEP_DB = 6.0
_LEAST_DB = -70.0


def usual_ref_db(with_procedural: bool) -> tuple[float, float]:
    """The published range in LUFS, or a lower one for procedural sounds, whose peaks are higher."""
    return _QUIETER_DB if with_procedural else PUBLISHED_REF_DB


def quieter(ref_db: Sequence[float]) -> tuple[float, float]:
    """A range to try where pairs clip at this one."""
    low_db, high_db = ref_db
    if high_db > _QUIETER_DB[1]:
        return min(low_db, _QUIETER_DB[0]), _QUIETER_DB[1]
    return max(_LEAST_DB, low_db - _STEP_DB), max(_LEAST_DB, high_db - _STEP_DB)
