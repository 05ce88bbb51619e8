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
from tests.free_corpus.debs import deb, noise, sound, street, tone

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
    "usr/games/sounds/ambient/fan.wav": sound(noise(11)),
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
    "usr/beta/long.wav": sound(noise(31)),
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
    assert len(long) == 3  # of 10 s each
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
    write, written = build.write_ogg, []

    def stop_at_horn(path, *rest):
        written.append(path.parent.name)
        if "horn" in path.name:
            raise KeyboardInterrupt
        write(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(build, "write_ogg", stop_at_horn)
        assert make(tmp_path / "out", debs) == 130
    assert written == ["alpha"] * 5 + ["beta"]
    assert not (tmp_path / "out/manifest.csv").exists()
    half = tmp_path / "out/audio/music/beta/left_from_the_stopped_run__0.ogg"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"")
    kept = (tmp_path / "out" / rows(tmp_path / "whole/manifest.csv")[0]["file"]).stat()
    assert make(tmp_path / "out", debs) == 0
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    first = tmp_path / "out" / rows(tmp_path / "out/manifest.csv")[0]["file"]
    assert first.stat().st_mtime_ns == kept.st_mtime_ns


def test_a_package_that_comes_later_keeps_what_it_has_first(tmp_path, debs):
    make(tmp_path / "whole", debs)
    (debs / "alpha.deb").rename(tmp_path / "alpha.deb")
    make(tmp_path / "out", debs)
    assert sources(tmp_path / "out/manifest.csv")["bell.wav"]["package"] == "beta"
    (tmp_path / "alpha.deb").rename(debs / "alpha.deb")
    make(tmp_path / "out", debs)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_what_is_missing_is_made_again(tmp_path, debs):
    make(tmp_path / "whole", debs)
    make(tmp_path / "out", debs)
    (tmp_path / "out" / rows(tmp_path / "out/manifest.csv")[0]["file"]).unlink()
    record = tmp_path / "out/parts/gamma.json"
    record.write_text(record.read_text().replace("MIT", "BSD"))
    make(tmp_path / "out", debs)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_other_settings_make_everything_anew(tmp_path, debs):
    make(tmp_path / "out", debs, "--keep-unclear")
    make(tmp_path / "out", debs, "--sample-rate", "8000")
    make(tmp_path / "whole", debs, "--sample-rate", "8000")
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_missing_other_and_damaged_packages_are_told(tmp_path, debs, capsys):
    (debs / "beta.deb").unlink()
    deb(debs, "gamma", GAMMA, version="1.1", copyright_text=GAMMA_COPYRIGHT)
    (debs / "noise.deb").write_bytes(b"no package")
    assert make(tmp_path / "out", debs) == 0
    told = capsys.readouterr().err
    assert f"beta: not in {debs}; version 1.0 was tested" in told
    assert "gamma: version 1.1, tested was 1.0" in told
    assert "noise.deb: no Debian package: it does not begin as one" in told
    assert {row["package"] for row in rows(tmp_path / "out/manifest.csv")} == {"alpha", "gamma"}


def test_a_package_cut_short_leaves_nothing(tmp_path, debs, capsys):
    deb(debs, "beta", BETA, damage=lambda content: content[: len(content) * 2 // 3])
    assert make(tmp_path / "out", debs) == 0
    assert "beta: truncated: " in capsys.readouterr().err
    assert not (tmp_path / "out/parts/beta.json").exists()
    assert "beta" not in {row["package"] for row in rows(tmp_path / "out/manifest.csv")}
    assert not [*(tmp_path / "out").rglob("beta/*.ogg")]


def test_nothing_to_be_had_is_an_error(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert make(tmp_path / "out", tmp_path / "none") == 2
    assert "no package could be had" in capsys.readouterr().err


def test_small_and_named_packages(tmp_path, debs, capsys):
    make(tmp_path / "small", debs, "--small")
    assert {row["package"] for row in rows(tmp_path / "small/manifest.csv")} == {"alpha"}
    make(tmp_path / "named", debs, "--packages", "beta", "gamma")
    assert {row["package"] for row in rows(tmp_path / "named/manifest.csv")} == {"beta", "gamma"}
    with pytest.raises(SystemExit):
        make(tmp_path / "x", debs, "--packages", "delta")
    assert "not in the table: delta" in capsys.readouterr().err


def test_members_are_never_written_by_their_own_paths(tmp_path, debs):
    deb(debs, "beta", {"../../../escaped/horn.wav": sound(tone(300))})
    make(tmp_path / "out", debs)
    assert sources(tmp_path / "out/manifest.csv")["horn.wav"]["file"] == (
        "audio/effects/beta/escaped_horn__0.ogg"
    )
    assert not [*tmp_path.parent.rglob("escaped")]


def test_packages_are_downloaded_by_apt(tmp_path, debs, monkeypatch, capsys):
    apt = tmp_path / "bin/apt-get"
    apt.parent.mkdir()
    apt.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, shutil, sys\n"
        "assert sys.argv[1:3] == ['--quiet', 'download']\n"
        f"deb = pathlib.Path({str(debs)!r}) / (sys.argv[3] + '.deb')\n"
        "if not deb.exists(): sys.exit('E: Unable to locate package ' + sys.argv[3])\n"
        "shutil.copy(deb, '.')\n"
    )
    apt.chmod(0o755)
    (debs / "gamma.deb").unlink()
    monkeypatch.setenv("PATH", str(apt.parent), prepend=os.pathsep)
    assert make_free_corpus.main([str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out/debs").iterdir()} == {"alpha.deb", "beta.deb"}
    assert "gamma: E: Unable to locate package gamma" in capsys.readouterr().err


def test_without_apt_folders_are_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make_free_corpus.main([str(tmp_path / "out")]) == 2
    assert "there is no apt-get here: give --debs" in capsys.readouterr().err


def test_sounds_of_others_are_left_where_they_are(tmp_path, debs, capsys):
    mine = tmp_path / "data" / "audio" / "train" / "birds" / "mine.wav"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(sound(tone(400)))
    assert make(tmp_path / "data", debs) == 2
    assert mine.exists()
    assert "is no corpus of this command" in capsys.readouterr().err
