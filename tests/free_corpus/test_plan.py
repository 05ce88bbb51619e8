"""The table that the package brings."""

import pytest

from byola_diff.free_corpus.licences import read_copyright
from byola_diff.free_corpus.plan import read_table

TABLE = {package.package: package for package in read_table()}


@pytest.mark.parametrize(
    ("package", "path", "kind"),
    [
        ("openttd-opensfx", "x/opensfx.cat/07 chainsaw CHAINSAW.wav by someone.wav", None),
        ("openttd-opensfx", "x/opensfx.cat/09 horn claxon.wav.wav", None),
        ("openttd-opensfx", "x/opensfx.cat/10 tree Cutting_tree.wav.wav", None),
        ("openttd-opensfx", "x/opensfx.cat/11 train.wav", "effects"),
        ("0ad-data", "x/public.zip/audio/voice/latin/hello.ogg", "speech"),
        ("0ad-data", "x/public.zip/audio/ambient/dayscape/day.ogg", "background"),
        ("0ad-data", "x/public.zip/audio/music/ambience.ogg", "music"),
        ("fluid-soundfont-gm", "usr/share/sounds/sf2/FluidR3_GM.sf2/program 0", "instrument"),
        ("tuxpaint-stamps-default", "x/stamps/animals/birds/duck.ogg", "effects"),
        ("tuxpaint-stamps-default", "x/stamps/animals/birds/duck_desc_fr.ogg", "speech"),
        ("hedgewars-data", "x/Data/Sounds/voices/British/Hello.ogg", "speech"),
        ("asterisk-core-sounds-en-g722", "x/en_US_f_Allison/silence/1.g722", None),
    ],
)
def test_kinds(package, path, kind):
    assert TABLE[package].rule(path).kind == kind


def test_a_share_is_taken_by_the_path_alone():
    rule = TABLE["tuxpaint-stamps-default"].rule("x/duck_desc_fr.ogg")
    taken = sum(rule.takes(f"x/{number}_desc_fr.ogg") for number in range(2000))
    assert taken == pytest.approx(2000 * rule.share, rel=0.2)
    assert all(TABLE["0ad-data"].rule("x/a.ogg").takes(f"x/{n}.ogg") for n in range(100))


def test_a_licence_is_looked_up_by_the_path_in_the_source_package():
    rules = read_copyright(
        "Files: etc/samples/a.flac\nLicense: CC0-1.0\n\nFiles: *\nLicense: MIT\n"
    )
    samples = TABLE["sonic-pi-samples"]
    [first, _] = rules
    assert samples.licence_of("usr/share/sonic-pi/samples/a.flac", [first]) == "CC0-1.0"
    assert samples.licence_of("usr/share/other/a.flac", [first]) == "unclear"
    kit = "usr/share/hydrogen/data/drumkits/Audiophob/kick.flac"
    assert TABLE["hydrogen-drumkits"].licence_of(kit, rules) == "CC0-1.0"
    assert TABLE["fluid-soundfont-gm"].licence_of("x.sf2/program 0", []) == "MIT"


def test_packages_are_named_once_and_some_are_small():
    assert len(TABLE) == len(read_table()) >= 60
    assert 5 <= sum(package.small for package in TABLE.values()) <= 10
    assert all(package.version for package in TABLE.values())
