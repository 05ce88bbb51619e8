import pytest

from byola_diff.encoders.open import split_layers


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("crepe", ("crepe", ())),
        ("vggish[10,15]:a/b.pth", ("vggish:a/b.pth", ("10", "15"))),
        ("vggish:a/b.pth[10, 15]", ("vggish:a/b.pth", ("10", "15"))),
        ("untrained:vggish[10,15]:3", ("untrained:vggish:3", ("10", "15"))),
        ("untrained:AudioNTT2022:3072:1[conv1]", ("untrained:AudioNTT2022:3072:1", ("conv1",))),
        ("runs/demo/bundle[conv1,output]", ("runs/demo/bundle", ("conv1", "output"))),
        ("runs/old[1]/bundle", ("runs/old[1]/bundle", ())),
    ],
)
def test_layers_stand_at_the_end_of_the_kind_or_of_the_word(word, expected):
    assert split_layers(word) == expected


def test_a_path_that_exists_keeps_its_brackets(tmp_path):
    folder = tmp_path / "bundle[conv1]"
    assert split_layers(str(folder)) == (str(tmp_path / "bundle"), ("conv1",))
    folder.mkdir()
    assert split_layers(str(folder)) == (str(folder), ())
    assert split_layers(f"ast:{folder}") == (f"ast:{folder}", ())
    assert split_layers(f"ast[5]:{folder}") == (f"ast:{folder}", ("5",))


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("vggish[10]:file[15]", "twice"),
        ("vggish[]:file", "different layers"),
        ("vggish[10,,15]:file", "different layers"),
        ("vggish[10,10]:file", "different layers"),
    ],
)
def test_malformed_layers(word, match):
    with pytest.raises(ValueError, match=match):
        split_layers(word)
