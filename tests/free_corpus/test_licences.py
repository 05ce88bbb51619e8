"""Licences by file, worked out by hand from the rules of DEP-5."""

import pytest

from byola_diff.free_corpus.licences import glob, licence_of, read_copyright

TEXT = """Format: https://example.invalid/copyright-format/1.0/
Comment: Files: not/these

Files: *
Copyright: all
License: GPL-2+

Files: data/sounds/* data/cave?.ogg
       odd/\\*.wav
Copyright: some
License: CC-BY-3.0
 Attribution is asked for.
 .
 Files: neither/these

Files: data/sounds/wind.ogg
Copyright: one
License: CC0-1.0

License: GPL-2+
 The text.
"""


@pytest.mark.parametrize(
    ("path", "licence"),
    [
        ("src/main.c", "GPL-2+"),
        ("data/sounds/deep/down/rain.ogg", "CC-BY-3.0"),  # `*` matches a slash
        ("data/sounds/wind.ogg", "CC0-1.0"),  # the last paragraph that matches counts
        ("data/cave1.ogg", "CC-BY-3.0"),
        ("data/cave12.ogg", "GPL-2+"),  # `?` is one character
        ("odd/*.wav", "CC-BY-3.0"),  # escaped
        ("odd/plain.wav", "GPL-2+"),
        ("usr/share/games/x/data/sounds/wind.ogg", "CC0-1.0"),  # as installed
        ("usr/games/x/unnamed/wind.ogg", "GPL-2+"),
    ],
)
def test_licence_of_a_path(path, licence):
    assert licence_of(path, read_copyright(TEXT)) == licence


def test_the_longest_path_that_is_named_counts():
    text = "Files: a/game/sounds/*\nLicense: MIT\n\nFiles: game/*\nLicense: GPL-2\n"
    assert licence_of("usr/a/game/sounds/x.ogg", read_copyright(text)) == "MIT"
    assert licence_of("usr/a/game/x.ogg", read_copyright(text)) == "GPL-2"


def test_a_wildcard_in_front_names_no_place():
    text = "Files: *.ogg\nLicense: MIT\n\nFiles: sounds/*\nLicense: GPL-2\n"
    paragraphs = read_copyright(text)
    assert licence_of("usr/share/x/sounds/a.ogg", paragraphs) == "GPL-2"  # the last that matches
    assert licence_of("usr/share/x/music/a.ogg", paragraphs) == "MIT"
    turned_round = "Files: sounds/*\nLicense: GPL-2\n\nFiles: *.ogg\nLicense: MIT\n"
    assert licence_of("usr/share/x/sounds/a.ogg", read_copyright(turned_round)) == "MIT"


def test_without_a_paragraph_it_is_unclear():
    assert (
        licence_of("a.ogg", read_copyright("It was downloaded.\n\nLicense:\n\n  GPL\n"))
        == "unclear"
    )
    assert licence_of("a.ogg", read_copyright("Files: b.ogg\nLicense: MIT\n")) == "unclear"
    assert licence_of("b.ogg", read_copyright("Files: b.ogg\nLicense: MIT\n")) == "MIT"


def test_patterns_on_lines_of_their_own():
    [paragraph] = read_copyright("Files:\n ./a/*\n b/*\nCopyright: x\nLicense: MIT\n")
    assert licence_of("a/1", [paragraph]) == licence_of("b/2", [paragraph]) == "MIT"


def test_brackets_are_plain():
    assert glob("a[b]*").fullmatch("a[b]c")
    assert not glob("a[b]*").fullmatch("abc")


def test_stars_in_the_middle():
    assert glob("a*b*c").fullmatch("a1b2b3c4c")
    assert not glob("a*b*c").fullmatch("a1c2b")
    assert glob("*a?*").fullmatch("aab")
    assert not glob("*ab*b").fullmatch("ab")


def test_many_stars_take_no_time():
    assert not glob("*a" * 30 + "*b").fullmatch("a" * 200)
