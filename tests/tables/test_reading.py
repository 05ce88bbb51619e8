import pickle

from byola_diff.audio.files import AudioFileError
from byola_diff.tables.reading import UnreadableClipsError


def unreadable(n_errors):
    return UnreadableClipsError([AudioFileError(f"{n}.wav", "cut") for n in range(n_errors)], 99)


def test_a_long_list_of_clips_is_cut():
    lines = str(unreadable(50)).splitlines()
    assert lines[0] == "50 of 99 clips can't be read; mend them or drop their rows:"
    assert lines[1:] == [f"  {n}.wav: cut" for n in range(50)]
    assert str(unreadable(52)).splitlines()[51:] == ["  and 2 more"]


def test_an_error_reaches_other_processes_as_it_is():
    error = pickle.loads(pickle.dumps(unreadable(52)))
    assert isinstance(error, UnreadableClipsError)
    assert str(error) == str(unreadable(52))
    assert [each.reason for each in error.errors] == ["cut"] * 52
