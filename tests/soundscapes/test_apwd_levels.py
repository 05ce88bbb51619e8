import pytest

from byola_diff.soundscapes.apwd_levels import quieter, usual_ref_db


def test_procedural_sounds_are_quieter():
    assert usual_ref_db(False) == (-36.0, -27.0)
    assert usual_ref_db(True) == (-52.0, -43.0)


@pytest.mark.parametrize(
    ("ref_db", "expected"),
    [
        ((-36.0, -27.0), (-52.0, -43.0)),
        ((-60.0, -40.0), (-60.0, -43.0)),
        ((-52.0, -43.0), (-58.0, -49.0)),
        ((-68.0, -60.0), (-70.0, -66.0)),
    ],
)
def test_what_clips_is_told_a_lower_range(ref_db, expected):
    assert quieter(ref_db) == expected
