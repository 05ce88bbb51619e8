import pytest

from byola_diff.clips.source import RejectionLog, TooManyRejectedError


def test_a_file_counts_once_and_the_limit_is_allowed():
    log = RejectionLog(n_clips=20, max_rejected=0.05)
    log.add([("a.wav", "empty"), ("a.wav", "empty")])
    log.add([("a.wav", "empty")])
    assert log.reasons == {"a.wav": "empty"}


def test_one_more_stops_with_the_list():
    log = RejectionLog(n_clips=20, max_rejected=0.05)
    with pytest.raises(TooManyRejectedError, match=r"2 of 20.*5\.0%.*\n  a: x\n  b: y"):
        log.add([("b", "y"), ("a", "x")])


def test_long_lists_are_cut():
    log = RejectionLog(n_clips=1000, max_rejected=1.0)
    log.add((f"{i:03d}", "x") for i in range(60))
    lines = log.report().splitlines()
    assert len(lines) == 52
    assert lines[-1] == "  and 10 more"


def test_share_out_of_range():
    with pytest.raises(ValueError, match="share"):
        RejectionLog(10, max_rejected=5.0)
