"""The corpus of Debian's packages, end to end, from tiny packages made here."""

import csv
import hashlib
import os
import sys

import pytest
import soundfile

from byola_diff.commands import make_free_corpus
from byola_diff.free_corpus import build, plan
from byola_diff.tables.manifest import read_manifest
from tests.free_corpus.debs import RATE, deb, noise, sound, street, tone

PACKAGES = """package,version,licence,small,installed,source
alpha,1.0,,small,,
beta,1.0,CC0-1.0,,,
gamma,1.0,,,usr/share/gamma/,data/
"""
KINDS = """package,pattern,kind,share,licence,why
*,*,effects,,,
*,*/ambient/*,background,,,
*,*/voices/*,speech,,,
alpha,*chainsaw*,,,,shares its source with ESC-50
"""
COPYRIGHT = """Format: machine-readable

Files: sounds/*
Copyright: someone
License: GPL-2+
 the text

Files: sounds/voices/*
Copyright: someone else
License: CC-BY-3.0
"""
ALPHA = {
    "usr/games/sounds/bell.wav": sound(tone(400)),
    "usr/games/sounds/bell-again.wav": sound(tone(400)),
    "usr/games/sounds/voices/hello.ogg": sound(tone(500), "OGG"),
    "usr/games/sounds/ambient/fan.wav": sound(noise(12)),
    "usr/games/sounds/ambient/street.wav": sound(street(12)),
    "usr/games/sounds/ambient/gust.wav": sound(street(3)),
    "usr/games/sounds/chainsaw.wav": sound(tone(600)),
    "usr/games/sounds/broken.ogg": b"OggS" + bytes(100),
    "usr/games/sounds/short.wav": sound(tone(700, 0.1)),
    "usr/games/other/unclear.wav": sound(tone(800)),
    "usr/games/sounds/readme.txt": b"no sound",
}
BETA = {
    "usr/beta/bell.wav": sound(tone(400)),
    "usr/beta/horn.wav": sound(tone(300)),
    "usr/beta/long.wav": sound(noise(47)),
}
GAMMA = {"usr/share/gamma/drum.wav": sound(tone(200)), "usr/share/gamma/x.wav": sound(tone(210))}
GAMMA_COPYRIGHT = "Files: data/d*\nCopyright: drummer\nLicense: MIT\n"


@pytest.fixture(autouse=True)
def small_table(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("table")
    (folder / "packages.csv").write_text(PACKAGES)
    (folder / "kinds.csv").write_text(KINDS)
    monkeypatch.setattr(make_free_corpus, "read_table", lambda: plan.read_table(folder))


@pytest.fixture
def debs(tmp_path):
    folder = tmp_path / "debs"
    deb(folder, "alpha", ALPHA, copyright_text=COPYRIGHT)
    deb(folder, "beta", BETA, compression="gz")
    deb(folder, "gamma", GAMMA, copyright_text=GAMMA_COPYRIGHT)
    return folder


def make(out, debs, *options):
    return make_free_corpus.main([str(out), "--debs", str(debs), *options])


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def sources(path):
    return {row["source"].rpartition("/")[2]: row for row in rows(path)}


def digests(out):
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }


def test_pieces_with_kind_and_licence(tmp_path, debs):
    assert make(tmp_path / "out", debs) == 0
    found = sources(tmp_path / "out/manifest.csv")
    assert {name: (row["label"], row["licence"]) for name, row in found.items()} == {
        "bell.wav": ("effects", "GPL-2+"),
        "hello.ogg": ("speech", "CC-BY-3.0"),
        "fan.wav": ("effects", "GPL-2+"),
        "gust.wav": ("effects", "GPL-2+"),
        "horn.wav": ("effects", "CC0-1.0"),
        "long.wav": ("effects", "CC0-1.0"),
        "drum.wav": ("effects", "MIT"),
    }
    assert found["hello.ogg"]["file"].startswith("audio/speech/alpha/")
    assert soundfile.info(tmp_path / "out" / found["bell.wav"]["file"]).samplerate == 16000


def test_manifests_are_read_and_list_all_files(tmp_path, debs):
    make(tmp_path / "out", debs)
    manifest = read_manifest(tmp_path / "out/manifest.csv")
    listed = {clip.file for clip in manifest.clips}
    there = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.ogg")}
    assert listed == {str(path) for path in there if path.parts[0] == "audio"}
    long = [clip for clip in manifest.clips if "long" in clip.file]
    assert len(long) == 4  # of 10 s each
    assert len({clip.group for clip in long}) == 1


def test_backgrounds_change_and_are_kept_apart(tmp_path, debs):
    make(tmp_path / "out", debs)
    [background] = rows(tmp_path / "out/backgrounds.csv")
    assert background["source"].endswith("street.wav")
    assert float(background["nonstationary_db"]) > 3
    assert float(background["seconds"]) == pytest.approx(12, abs=0.1)
    assert background["file"].startswith("backgrounds/alpha/")
    read_manifest(tmp_path / "out/backgrounds.csv")


def test_what_is_left_out_is_told_with_the_reason(tmp_path, debs):
    make(tmp_path / "out", debs)
    why = {(row["package"], row["source"].rpartition("/")[2]): row["reason"] for row in
           rows(tmp_path / "out/left_out.csv")}  # fmt: skip
    assert why["alpha", "chainsaw.wav"] == "shares its source with ESC-50"
    assert why["alpha", "bell-again.wav"] == why["beta", "bell.wav"] == "the same as an earlier one"
    assert why["alpha", "short.wav"] == "silent, or shorter than 0.3 s"
    assert why["alpha", "unclear.wav"] == why["gamma", "x.wav"] == "its licence is unclear"
    assert why["alpha", "broken.ogg"].startswith(("unreadable", "truncated"))
    assert len(why) == 7


def test_unclear_licences_can_be_kept(tmp_path, debs):
    make(tmp_path / "out", debs, "--keep-unclear")
    assert sources(tmp_path / "out/manifest.csv")["unclear.wav"]["licence"] == "unclear"


def test_attribution_names_packages_licences_and_origin(tmp_path, debs):
    make(tmp_path / "out", debs)
    text = (tmp_path / "out/ATTRIBUTION.md").read_text()
    assert "| alpha | 1.0 | CC-BY-3.0, GPL-2+ | origin of alpha | 5 |" in text
    assert (tmp_path / "out/licences/alpha.copyright").read_text() == COPYRIGHT


def test_same_packages_give_same_bytes_also_after_a_stop(tmp_path, debs, monkeypatch):
    make(tmp_path / "whole", debs)
    written = []

    def stop_in_beta(path, *rest):
        written.append(path)
        if "horn" in path.name:
            raise KeyboardInterrupt
        write(path, *rest)

    write = build.write_ogg
    monkeypatch.setattr(build, "write_ogg", stop_in_beta)
    assert make(tmp_path / "out", debs) == 130
    assert not (tmp_path / "out/manifest.csv").exists()
    monkeypatch.undo()
    again = []
    monkeypatch.setattr(build, "write_ogg", lambda path, *rest: (again.append(path), write(path, *rest)))
    # The table is that of the test again: `undo` has taken it away.
    monkeypatch.setattr(make_free_corpus, "read_table", TABLES[0])
    assert make(tmp_path / "out", debs) == 0
    assert not any("alpha" in str(path) for path in again)  # was finished
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
