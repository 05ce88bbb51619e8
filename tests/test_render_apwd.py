import csv
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.commands import render_apwd
from byola_diff.soundscapes.pairs.difference import vocabulary
from byola_diff.soundscapes.production import items
from byola_diff.soundscapes.render.mixer import integrated_lufs
from byola_diff.tables.pairs import read_pairs
from tests.file_hashes import file_hashes

RATE = 8_000

DOG, BIRDS, THUNDER = "1-10-A-0.wav", "2-20-A-14.wav", "3-30-A-19.wav"
EVAL_DOG, SILENT_DOG = "5-40-A-0.wav", "1-50-A-0.wav"


@pytest.fixture(scope="module")
def script():
    return render_apwd


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Tones under the names of ESC-50, noise under those of FSD50K."""
    folder = tmp_path_factory.mktemp("recordings")
    time_s = np.arange(5 * RATE) / RATE
    for place, name in enumerate([DOG, BIRDS, THUNDER, EVAL_DOG]):
        tone = np.sin(2 * np.pi * (300 + 200 * place) * time_s) * (np.abs(time_s - 2.5) < 2)
        write(folder / "ESC-50/audio" / name, tone)
    write(folder / "ESC-50/audio" / SILENT_DOG, np.zeros(RATE))
    for number, part in ((11, "dev"), (12, "dev"), (13, "dev"), (21, "eval"), (22, "eval")):
        noise = np.random.default_rng(number).standard_normal(3 * RATE)
        write(folder / f"FSD50K/FSD50K.{part}_audio/{number}.wav", 0.1 * noise)
    return folder


def write(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * samples, RATE)


def background(label, name, source_time=1.5):
    return event(label, name, "background", source_time=source_time, event_duration=10, snr=0)


def event(label, name, role="foreground", **values):
    fields = {
        "label": label,
        "source_file": f"source/dev/{role}/{label}/{name}",
        **{"source_time": 0, "event_time": 0, "event_duration": 3.5, "snr": 5.0, "role": role},
        **{"pitch_shift": None, "time_stretch": None},
    }
    return fields | values


def jams(*values, **settings):
    """Text of a JAMS file with the fields that the published ones have."""
    scaper = {
        **{"duration": 10, "original_duration": 10, "sr": RATE, "ref_db": -30.0, "n_channels": 1},
        **{"fade_in_len": 0.01, "fade_out_len": 0.01, "reverb": None, "no_audio": True},
        **{"fix_clipping": False, "peak_normalization": False, "fg_spec": [], "bg_spec": []},
        **{"fg_path": "source/dev/foreground", "bg_path": "source/dev/background"},
        **settings,
    }
    data = [
        {
            **{"time": value["event_time"], "duration": value["event_duration"]},
            **{"value": value, "confidence": 1.0},
        }
        for value in values
    ]
    annotation = {
        **{"annotation_metadata": {}, "namespace": "scaper", "data": data},
        **{"sandbox": {"scaper": scaper}, "time": 0, "duration": 10},
    }
    top = {"file_metadata": {"title": "", "duration": 10, "jams_version": "0.3.4"}}
    return json.dumps({"annotations": [annotation], **top, "sandbox": {}})


RAIN = (background("rain", "11.wav"), background("rain", "12.wav", 4.25))
RAIN_2 = (background("rain", "11.wav", 7.0), background("rain", "12.wav", 0.5))

GOOD = {
    "apwd_rain_sc_dev_00000": (
        jams(*RAIN, event("dog", DOG, event_time=2.25, snr=8.0)),
        jams(*RAIN_2),
    ),
    "apwd_rain_sc_dev_00001": (
        jams(
            *(*RAIN, event("rain", "13.wav", source_time=7.4, event_duration=10, snr=9.0)),
            event("birds", BIRDS, snr=0.0),
        ),
        jams(*RAIN_2, event("birds", BIRDS, event_time=8.0, event_duration=2.0, snr=-8.5)),
    ),
    "apwd_traffic_sc_eval_000": (
        jams(background("car_passing", "21.wav"), background("car_passing", "22.wav")),
        jams(
            *(background("car_passing", "21.wav", 3.0), background("car_passing", "22.wav", 2.0)),
            event("dog", EVAL_DOG, snr=3.0),
        ),
    ),
}

BAD = {
    "not JSON": "{",
    "deeply nested": "[" * 200_000,
    "no event": jams(),
    "silent source": jams(*RAIN, event("dog", SILENT_DOG)),
    "of another label": jams(
        *RAIN, event("cat", DOG, source_file=f"source/dev/foreground/dog/{DOG}")
    ),
    "leaves the root": jams(*RAIN, event("dog", DOG, source_file="../../dog/" + DOG)),
    "outside altogether": jams(*RAIN, event("dog", DOG, source_file="/etc/passwd")),
    "no such source": jams(*RAIN, event("dog", "1-99-A-0.wav")),
    "foreign source": jams(*RAIN, event("dog", "bark.wav")),
    "foreign distribution": jams(*RAIN, fg_spec=[[["gamma", 1, 2], *([["const", 0]] * 5)]]),
    "a drawn time": jams(*RAIN, event("dog", DOG, event_time=["uniform", 0, 8])),
    "pitch": jams(*RAIN, event("dog", DOG, pitch_shift=2)),
    "clips": jams(*RAIN, event("dog", DOG, snr=20.0), ref_db=-10.0),
}


def tree(folder, pairs, singles=()):
    for name, both in pairs.items():
        scene, split = name.rsplit("_", 2)[0], name.rsplit("_", 2)[1]
        place = folder / scene / split / "jams"
        place.mkdir(parents=True, exist_ok=True)
        for side, text in enumerate(both, start=1):
            (place / f"{name}_s{side}.jams").write_text(text)
    for name, text in dict(singles).items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jams").write_text(text)
    return folder


def arguments(recordings, published, out, *more):
    sets = ["--esc50", recordings / "ESC-50", "--fsd50k", recordings / "FSD50K"]
    given = ["--jams", published, *sets, "--out", out, "--renderer", "mixer", *more]
    return [str(word) for word in given]


@pytest.fixture(scope="module")
def rendered(script, recordings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    published = tree(folder / "datasets", GOOD)
    assert script.main(arguments(recordings, published, folder / "out")) == 0
    return folder / "out"


def test_pairs_of_the_published_files(rendered):
    table = read_pairs(rendered / "pairs.csv")
    rows = {pair.name: pair for pair in table.pairs}
    assert list(rows) == sorted(GOOD)
    removed = rows["apwd_rain_sc_dev_00000"]
    assert (removed.scene, removed.split) == ("rain", "train")
    assert (removed.first_labels, removed.second_labels) == (("dog",), ())
    assert removed.text in {
        text.format(old="the dog") for text in vocabulary()["templates"]["remove"]
    }
    both = rows["apwd_rain_sc_dev_00001"]
    assert (both.first_labels, both.second_labels) == (("birds", "rain"), ("birds",))
    assert "rain" in both.text
    assert "chirping birds" in both.text
    added = rows["apwd_traffic_sc_eval_000"]
    assert (added.scene, added.split) == ("traffic", "test")
    facts = json.loads((rendered / "apwd.json").read_text())
    assert facts["counts"]["pairs"] == 3
    assert facts["counts"]["sources of the other split"] == 0


def test_sources_lie_where_the_published_program_puts_them(rendered):
    found = {path for path in file_hashes(rendered) if path.startswith("source/")}
    assert found == {
        *(f"source/dev/background/rain/{n}.wav" for n in (11, 12)),
        *(f"source/eval/background/car_passing/{n}.wav" for n in (21, 22)),
        *("source/dev/foreground/rain/13.wav", f"source/dev/foreground/dog/{DOG}"),
        *(f"source/dev/foreground/birds/{BIRDS}", f"source/eval/foreground/dog/{EVAL_DOG}"),
    }
    # A background that is laid over others is prepared as one: 3 s, seven times.
    samples, _ = soundfile.read(rendered / "source/dev/foreground/rain/13.wav")
    assert len(samples) == 7 * 3 * RATE
    samples, _ = soundfile.read(rendered / f"source/dev/foreground/dog/{DOG}")
    assert len(samples) / RATE == pytest.approx(4, abs=0.1)


def test_clips_are_10_s_at_the_planned_loudness(rendered):
    samples, rate = soundfile.read(rendered / "wav/dev/apwd_rain_sc_dev_00000_s2.wav")
    assert (len(samples), rate) == (10 * RATE, RATE)
    # Two backgrounds that have nothing in common, at -30 LUFS each.
    assert integrated_lufs(samples, rate) == pytest.approx(-30 + 3.01, abs=0.2)
    with_dog, _ = soundfile.read(rendered / "wav/dev/apwd_rain_sc_dev_00000_s1.wav")
    tone = np.exp(-2j * np.pi * 300 * np.arange(10 * RATE) / RATE)
    level = np.abs((with_dog * tone).reshape(-1, RATE // 4).mean(1))
    heard = np.flatnonzero(level > level.max() / 2) / 4
    assert (heard[0], heard[-1]) == (2.25, 5.5)  # for 3.5 s from 2.25 s on


def test_running_again_changes_nothing(script, recordings, rendered):
    before = file_hashes(rendered)
    written = (rendered / "wav/dev/apwd_rain_sc_dev_00000_s1.wav").stat().st_mtime_ns
    published = rendered.parent / "datasets"
    assert script.main(arguments(recordings, published, rendered)) == 0
    assert file_hashes(rendered) == before
    assert (rendered / "wav/dev/apwd_rain_sc_dev_00000_s1.wav").stat().st_mtime_ns == written


def test_no_clip_is_made_of_copies_of_recordings_that_went(script, recordings, tmp_path):
    shutil.copytree(recordings, tmp_path / "sounds")
    published = tree(tmp_path / "datasets", GOOD)
    words = arguments(tmp_path / "sounds", published, tmp_path / "out")
    assert script.main(words) == 0
    (tmp_path / "sounds/ESC-50/audio" / DOG).unlink()
    (tmp_path / "sounds/FSD50K/FSD50K.eval_audio/22.wav").write_bytes(b"no audio")
    assert script.main(words) == 2
    reasons = (tmp_path / "out/refused.csv").read_text()
    assert f"dog/{DOG} is not in --esc50 or --fsd50k" in reasons
    assert "its source eval/background/car_passing/22.wav was refused" in reasons
    names = [pair.name for pair in read_pairs(tmp_path / "out/pairs.csv").pairs]
    assert names == ["apwd_rain_sc_dev_00001"]


@pytest.fixture(scope="module")
def with_bad_files(script, recordings, tmp_path_factory):
    """One bad file of each kind, each with a good second clip, beside the good pairs."""
    folder = tmp_path_factory.mktemp("bad")
    numbered = {f"apwd_rain_sc_dev_{n:05d}": bad for n, bad in enumerate(BAD.values(), start=100)}
    bad = {name: (text, jams(*RAIN_2)) for name, text in numbered.items()}
    same = {"apwd_rain_sc_dev_00200": (jams(*RAIN), jams(*RAIN_2))}
    singles = {"strange name": jams(*RAIN), "adc_rain_dev_0000_s1": jams(*RAIN)}
    published = tree(folder / "datasets", {**GOOD, **bad, **same}, singles)
    how = "--clipping", "refuse"
    status = script.main(arguments(recordings, published, folder / "out", *how))
    return folder / "out", status


def test_bad_files_are_refused_by_name_and_the_rest_goes_on(with_bad_files, rendered):
    out, status = with_bad_files
    assert status == 2
    with (out / "refused.csv").open(newline="") as stream:
        reasons = {row["item"]: row["reason"] for row in csv.DictReader(stream)}
    by_kind = {
        kind: reasons.pop(f"apwd_rain_sc_dev_{number:05d}_s1")
        for number, kind in enumerate(BAD, start=100)
    }
    for kind, words in {
        "not JSON": "not JSON",
        "deeply nested": "top level: not JSON: maximum recursion depth",
        "no event": "annotations[0].data: no event",
        "silent source": f"its source dev/foreground/dog/{SILENT_DOG} was refused: ",
        "of another label": "lies in the folder 'dog', not in that of its label 'cat'",
        "leaves the root": "leaves the folder of sources",
        "outside altogether": "leaves the folder of sources",
        "no such source": "dog/1-99-A-0.wav is not in --esc50 or --fsd50k",
        "foreign source": "dog/bark.wav is not in --esc50 or --fsd50k",
        "foreign distribution": "no distribution of Scaper",
        "a drawn time": "event_time: must be a valid number",
        "pitch": "pitch_shift",
        "clips": "clips, with a peak of",
    }.items():
        assert words in by_kind[kind], kind
        assert ".jams" not in by_kind[kind]
        assert "rain_sc_dev" not in by_kind[kind]
    assert by_kind["no event"] == "annotations[0].data: no event"
    assert "silent" in reasons.pop(f"source/dev/foreground/dog/{SILENT_DOG}")
    assert "the name is not" in reasons.pop("strange name.jams")
    assert "same events at the same levels" in reasons.pop("apwd_rain_sc_dev_00200")
    assert not reasons
    good = read_pairs(rendered / "pairs.csv").pairs
    assert read_pairs(out / "pairs.csv").pairs == good
    for pair in good:
        assert file_hashes(out)[pair.first] == file_hashes(rendered)[pair.first]


def test_the_summary_counts_everything(with_bad_files):
    counts = json.loads((with_bad_files[0] / "apwd.json").read_text())["counts"]
    # Clips of good pairs, two that are the same, one of AudioDiffCaps, the second of each bad one.
    assert counts["clips"] == 6 + 2 + 1 + len(BAD)
    assert counts["clips without the other one of their pair"] == 1 + len(BAD)
    assert counts["pairs"] == 3
    assert counts["refused"] == len(BAD) + 3
    assert counts["refused for clipping"] == 1


def test_a_pair_that_would_clip_gets_one_gain_for_both_clips(script, recordings, tmp_path, capsys):
    name, out = "apwd_rain_sc_dev_00300", tmp_path / "out"
    loud = jams(*RAIN, event("dog", DOG, snr=20.0), ref_db=-10.0), jams(*RAIN_2, ref_db=-10.0)
    soft = jams(*RAIN, event("dog", DOG, snr=20.0), ref_db=-30.0), jams(*RAIN_2, ref_db=-30.0)
    others = {"apwd_rain_sc_dev_00301": soft, "apwd_rain_sc_dev_00302": (loud[0], "{")}
    published = tree(tmp_path / "datasets", {name: loud, **others})
    assert script.main(arguments(recordings, published, out)) == 2
    assert "1 pairs with a common gain" in capsys.readouterr().out
    facts = json.loads((out / "apwd.json").read_text())
    assert facts["counts"]["refused"] == 1
    assert "levels: one common gain for both clips of a pair where one would clip" in str(facts)
    with (out / "pairs.csv").open(newline="") as stream:
        gains_db = {row["pair"]: float(row["common_gain_db"]) for row in csv.DictReader(stream)}
    assert gains_db["apwd_rain_sc_dev_00301"] == 0
    gain = 10 ** ((20 + gains_db[name]) / 20)
    for side in ("s1", "s2"):
        lowered, _ = soundfile.read(out / f"wav/dev/{name}_{side}.wav")
        plain, _ = soundfile.read(out / f"wav/dev/apwd_rain_sc_dev_00301_{side}.wav")
        np.testing.assert_allclose(lowered, gain * plain, atol=2**-22 * gain)
    assert np.abs(soundfile.read(out / f"wav/dev/{name}_s1.wav")[0]).max() > 0.997
    # The other clip of its pair can't be made, and it is there by itself.
    assert np.abs(soundfile.read(out / "wav/dev/apwd_rain_sc_dev_00302_s1.wav")[0]).max() > 0.997


def test_nothing_is_written_outside(with_bad_files):
    out, _ = with_bad_files
    assert {path.name for path in out.parent.iterdir()} == {"datasets", "out"}
    assert {path.split("/")[0] for path in file_hashes(out)} == {
        *("source", "wav", "jams"),
        *("pairs.csv", "apwd.json", "refused.csv", "settings.json"),
    }


def test_sources_of_the_other_split_are_told(script, recordings, tmp_path, capsys):
    leaking = {
        "apwd_rain_sc_eval_000": (
            jams(background("rain", "21.wav"), background("rain", "22.wav")),
            jams(
                *(background("rain", "21.wav"), background("rain", "22.wav")),
                event("dog", DOG, snr=3.0),
            ),
        )
    }
    published = tree(tmp_path / "datasets", leaking)
    assert script.main(arguments(recordings, published, tmp_path / "out")) == 0
    assert "1 sources belong to the other split" in capsys.readouterr().err
    facts = json.loads((tmp_path / "out/apwd.json").read_text())
    assert facts["leaks"] == [f"eval/foreground/dog/{DOG}"]
    assert facts["counts"]["sources of the other split"] == 1


def test_a_title_does_not_choose_the_file_name(script, recordings, tmp_path):
    text = json.loads(GOOD["apwd_rain_sc_dev_00000"][0])
    text["file_metadata"]["title"] = "apwd_rain_sc_dev_00000_s2"
    text["sandbox"] = {"byola_diff": {}}
    for one in text["annotations"][0]["data"]:
        value = one["value"]
        value["source_file"] = "/".join(value["source_file"].split("/")[-2:])
    name = "apwd_rain_sc_dev_00000"
    published = tree(tmp_path / "datasets", {name: (json.dumps(text), GOOD[name][1])})
    assert script.main(arguments(recordings, published, tmp_path / "out")) == 0
    wavs = {path.stem for path in (tmp_path / "out/wav/dev").iterdir()}
    assert wavs == {f"{name}_s1", f"{name}_s2"}


def test_limit_counts_pairs_of_each_scene_and_split(script, recordings, rendered, tmp_path):
    published = rendered.parent / "datasets"
    assert script.main(arguments(recordings, published, tmp_path / "out", "--limit", "1")) == 0
    names = [pair.name for pair in read_pairs(tmp_path / "out/pairs.csv").pairs]
    assert names == ["apwd_rain_sc_dev_00000", "apwd_traffic_sc_eval_000"]


def test_a_folder_of_other_settings_is_not_touched(script, recordings, rendered, capsys):
    before = file_hashes(rendered)
    for more, differing in (
        (["--limit", "1"], "limit, jams"),
        (["--seed", "1", "--dry-run"], "seed"),
        (["--output-rate", "4000"], "output_rate"),
    ):
        published = rendered.parent / "datasets"
        assert script.main(arguments(recordings, published, rendered, *more)) == 2
        assert f"of other settings ({differing}; see" in capsys.readouterr().err
    assert file_hashes(rendered) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_told_in_a_line(script, recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(items, "atomic_path", lambda path: nullcontext(Path("/dev/full")))
    published = tree(tmp_path / "datasets", GOOD)
    assert script.main(arguments(recordings, published, tmp_path / "out")) == 2
    told = "pairs stopped at apwd_rain_sc_dev_00000: disk full; free space and"
    assert f"render_apwd.py: {told}" in capsys.readouterr().err


def test_help_tells_what_becomes_of_clips_that_clip(script, capsys):
    with pytest.raises(SystemExit):
        script.main(["--help-all"])
    assert "with --clipping refuse the clip is left out" in capsys.readouterr().out


def test_dry_run_writes_nothing(script, recordings, rendered, tmp_path, capsys):
    published = rendered.parent / "datasets"
    assert script.main(arguments(recordings, published, tmp_path / "out", "--dry-run")) == 0
    assert "rain dev: 4 clips" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_output_rate(script, recordings, rendered, tmp_path):
    published = rendered.parent / "datasets"
    more = ["--limit", "1", "--output-rate", "4000"]
    assert script.main(arguments(recordings, published, tmp_path / "out", *more)) == 0
    samples, rate = soundfile.read(tmp_path / "out/wav/eval/apwd_traffic_sc_eval_000_s1.wav")
    assert (len(samples), rate) == (40_000, 4_000)


def test_a_folder_without_jams(script, recordings, tmp_path, capsys):
    assert script.main(arguments(recordings, tmp_path, tmp_path / "out")) == 2
    assert capsys.readouterr().err.startswith("render_apwd.py: no JAMS files below")
