import pytest

from byola_diff.demo import encoders
from byola_diff.demo.encoders import COMPARED, LARGE, START, Compared, check_shipped, open_compared
from byola_diff.encoders.log_mel_statistics import LogMelStatistics
from byola_diff.models.shipped import SHIPPED


def test_names_are_told_apart():
    assert len({each.name for each in COMPARED}) == len(COMPARED)


def test_every_shipped_encoder_is_compared_and_no_other_of_that_name():
    named = [each.name for each in COMPARED if each.name.startswith("byola-diff")]
    assert sorted(named) == sorted(SHIPPED)
    assert START in SHIPPED


def test_an_encoder_that_did_not_come_along(monkeypatch):
    monkeypatch.setattr(encoders, "shipped_bundle", lambda name: None if name == LARGE else name)
    with pytest.raises(FileNotFoundError, match=f"came without {LARGE}:"):
        check_shipped()
    monkeypatch.setattr(encoders, "shipped_bundle", lambda name: name)
    check_shipped()


def test_the_seed_is_that_of_random_weights(monkeypatch):
    few = (
        Compared("random", "untrained:AudioNTT2020:48", ""),
        Compared(LARGE, "log-mel-statistics", ""),
    )
    monkeypatch.setattr(encoders, "COMPARED", few)
    first, again, other = (list(open_compared(seed)) for seed in (0, 0, 1))
    assert [named.name for named in first] == ["random", LARGE]
    assert isinstance(first[1].encoder, LogMelStatistics)
    hashes = [[named.content_hash for named in opened] for opened in (first, again, other)]
    assert hashes[0] == hashes[1]
    assert hashes[0][0] != hashes[2][0]
    assert hashes[0][1] == hashes[2][1]
