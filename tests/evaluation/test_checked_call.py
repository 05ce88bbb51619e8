from typing import Literal

import pytest

from byola_diff.evaluation.encoders.checked_call import checked_call, unknown_name


def loader(weights: int, hop_samples: int = 800, capacity: Literal["full", "tiny"] = "full"):
    return weights, hop_samples, capacity


def test_options_join_what_is_given():
    assert checked_call(loader, {"weights": 1}, {}, "options") == (1, 800, "full")
    assert checked_call(loader, {"weights": 1}, {"capacity": "tiny"}, "o") == (1, 800, "tiny")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"hop_sample": 1}, "^options of crepe: unknown key 'hop_sample', did you mean 'hop_sam"),
        ({"hop": 1}, "unknown key 'hop', did you mean 'hop_samples'"),
        ({"weights": 2}, "unknown key 'weights'. There are: hop_samples, capacity"),
        ({"hop_samples": "long"}, '^options of crepe: .*"hop_samples": Expected a .*int.* long'),
        ({"hop_samples": 1.5}, "hop_samples"),
        ({"capacity": "huge"}, "full.*tiny.*huge"),
    ],
)
def test_options_that_do_not_fit(options, match):
    with pytest.raises(ValueError, match=match):
        checked_call(loader, {"weights": 1}, options, "options of crepe")


def test_what_is_lacking():
    with pytest.raises(ValueError, match=r"^o: .*required: weights"):
        checked_call(loader, {}, {}, "o")


def test_names_that_resemble_nothing_get_the_list_alone():
    assert str(unknown_name("no kind", "", ["a"])) == "no kind ''. There are: a"
    assert str(unknown_name("no kind", "zzz", ["a", "b"])) == "no kind 'zzz'. There are: a, b"
