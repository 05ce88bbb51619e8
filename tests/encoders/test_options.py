from typing import Literal

import pytest

from byola_diff.encoders.options import call_with_options, unknown_name


def loader(weights: int, hop_samples: int = 800, capacity: Literal["full", "tiny"] = "full"):
    return weights, hop_samples, capacity


def test_options_join_what_is_given():
    assert call_with_options(loader, {}, "options", weights=1) == (1, 800, "full")
    assert call_with_options(loader, {"capacity": "tiny"}, "o", weights=1) == (1, 800, "tiny")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"hop_sample": 1}, "^options of crepe: unknown key 'hop_sample', did you mean 'hop_sam"),
        ({"hop": 1}, "unknown key 'hop', did you mean 'hop_samples'"),
        ({"weights": 2}, "unknown key 'weights'. There are: hop_samples, capacity"),
        ({"hop_samples": "long"}, "^options of crepe: hop_samples: .* valid integer, not 'long'"),
        ({"hop_samples": "800"}, "hop_samples: .* valid integer, not '800'"),
        ({"hop_samples": 1.5}, "hop_samples: .* valid integer, not 1.5"),
        ({"hop_samples": True}, "hop_samples: .* valid integer, not True"),
        (
            {"capacity": "huge"},
            "^options of crepe: capacity: must be 'full' or 'tiny', not 'huge'$",
        ),
        ({"capacity": "tinny"}, "'full' or 'tiny', not 'tinny', did you mean 'tiny'"),
        ({"capacity": None}, "'full' or 'tiny', not None"),
    ],
)
def test_options_that_do_not_fit(options, match):
    with pytest.raises(ValueError, match=match):
        call_with_options(loader, options, "options of crepe", weights=1)


def test_none_is_a_choice_where_the_type_says_so():
    def pooled(pooling: Literal["mean", "first"] | None = "mean"):
        return pooling

    assert call_with_options(pooled, {"pooling": None}, "o") is None
    with pytest.raises(ValueError, match="'mean' or 'first', not 'max'"):
        call_with_options(pooled, {"pooling": "max"}, "o")


def test_what_is_lacking():
    with pytest.raises(ValueError, match=r"^o: weights: is missing$"):
        call_with_options(loader, {}, "o")


def test_names_that_resemble_nothing_get_the_list_alone():
    assert str(unknown_name("no kind", "", ["a"])) == "no kind ''. There are: a"
    assert str(unknown_name("no kind", "zzz", ["a", "b"])) == "no kind 'zzz'. There are: a, b"
