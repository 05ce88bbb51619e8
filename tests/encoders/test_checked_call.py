from typing import Literal

import pytest

from byola_diff.encoders.checked_call import checked_call, unknown_name


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
        (
            {"capacity": "huge"},
            "^options of crepe: capacity must be one of full, tiny, not 'huge'$",
        ),
        ({"capacity": "tinny"}, "one of full, tiny, not 'tinny', did you mean 'tiny'"),
        ({"capacity": None}, "one of full, tiny, not None"),
    ],
)
def test_options_that_do_not_fit(options, match):
    with pytest.raises(ValueError, match=match):
        checked_call(loader, {"weights": 1}, options, "options of crepe")


def test_none_is_a_choice_where_the_type_says_so():
    def pooled(pooling: Literal["mean", "first"] | None = "mean"):
        return pooling

    assert checked_call(pooled, {}, {"pooling": None}, "o") is None
    with pytest.raises(ValueError, match="one of mean, first, None, not 'max'"):
        checked_call(pooled, {}, {"pooling": "max"}, "o")


def test_what_is_lacking():
    with pytest.raises(ValueError, match=r"^o: .*required: weights"):
        checked_call(loader, {}, {}, "o")


def test_names_that_resemble_nothing_get_the_list_alone():
    assert str(unknown_name("no kind", "", ["a"])) == "no kind ''. There are: a"
    assert str(unknown_name("no kind", "zzz", ["a", "b"])) == "no kind 'zzz'. There are: a, b"
