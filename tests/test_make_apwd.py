import csv
import hashlib
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.command_line import read_options
from byola_diff.commands import make_apwd
from byola_diff.soundscapes.pairs.difference import changes
from byola_diff.soundscapes.production import items
from byola_diff.soundscapes.render.jams_file import read_jams
from byola_diff.soundscapes.render.mixer import integrated_lufs, mix
from byola_diff.tables.pairs import read_pairs
from tests.file_hashes import file_hashes

RATE = 8_000


@pytest.fixture(scope="module")
def script():
    return make_apwd


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two kinds of events, silent at both ends, and a background of 3 s."""
    folder = tmp_path_factory.mktemp("recordings")
    time_s = np.arange(4 * RATE) / RATE
    for place, label in enumerate(["beep", "buzz"]):
        for number in range(4):
            tone = np.sin(2 * np.pi * (300 + 400 * place + 50 * number) * time_s)
            write(folder / f"events/{label}/{number}.wav", tone * (np.abs(time_s - 2) < 1.7))
    for number in range(4):
        noise = np.random.default_rng(number).standard_normal(3 * RATE)
        write(folder / f"beds/rain/{number}.wav", 0.1 * noise)
    return folder


def write(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * samples, RATE)


def arguments(recordings, out, *more):
    given = ["--events", recordings / "events", "--background", recordings / "beds", "--out", out]
    counts = ["--pairs-dev", 12, "--pairs-eval", 4, "--sample-rate", RATE, "--scene", "rain"]
    return [str(word) for word in (*given, *counts, "--renderer", "mixer", *more)]


@pytest.fixture(scope="module")
def corpus(script, recordings, tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "rain"
    assert script.main(arguments(recordings, out)) == 0
    return out


def plans(corpus, pair):
    """Both plans of a row, and where their sources lie."""
    split = Path(pair.first).parts[1]
    roots = {role: corpus / "source" / split / role for role in ("background", "foreground")}
    files = (corpus / "jams" / split / f"{pair.name}_s{side}.jams" for side in (1, 2))
    return [read_jams(file, roots) for file in files], roots


def stems(corpus, pair):
    """For both clips, plan and rendered stems, checked against the wav file."""
    clips, roots = plans(corpus, pair)
    for plan, file in zip(clips, (pair.first, pair.second), strict=True):
        rendered = mix(plan, roots)
        samples, rate = soundfile.read(corpus / file)
        assert (len(samples), rate) == (10 * RATE, RATE)
        assert np.abs(samples).max() < 1
        np.testing.assert_allclose(samples, sum(rendered.stems), atol=2**-23)
        yield plan, rendered.stems


def test_table_of_pairs(corpus):
    table = read_pairs(corpus / "pairs.csv")
    assert len(table.in_split("train")) == 12
    assert len(table.in_split("test")) == 4
    assert table.scenes == ("rain",)
    assert set(table.classes) <= {"beep", "buzz", "rain"}
    assert table.pairs[0].name == "rain_dev_00000"
    facts = json.loads((corpus / "apwd.json").read_text())
    assert facts["counts"] | {"pairs": 16, "refused": 0} == facts["counts"]
    digest = hashlib.sha256((corpus / "pairs.csv").read_bytes()).hexdigest()
    assert facts["manifests"] == {"pairs.csv": digest}
    assert facts["renderer"].startswith("byola_diff mixer")
    assert not (corpus / "refused.csv").exists()


def test_rows_tell_the_changes_of_the_plans(corpus):
    table = read_pairs(corpus / "pairs.csv")
    with (corpus / "pairs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for pair, row in zip(table.pairs, rows, strict=True):
        (first, second), _ = plans(corpus, pair)
        assert row["changes"].split(";") == [str(change) for change in changes(first, second)]
        assert len(pair.text.split(" and ")) == len(row["changes"].split(";"))
        assert file_hashes(corpus)[pair.second] == row["second_sha256"]


def test_audio_is_as_planned(corpus):
    n_steps = 0
    for pair in read_pairs(corpus / "pairs.csv").pairs:
        levels_db = []
        for plan, parts in stems(corpus, pair):
            loud = {}
            for event, stem in zip(plan.events, parts, strict=True):
                sounding = np.flatnonzero(np.abs(stem) > 0.02 * np.abs(stem).max())
                start, stop = sounding[0], sounding[-1] + 1
                if event.role == "foreground":
                    assert start / RATE == pytest.approx(event.event_time_s, abs=0.02)
                    assert (stop - start) / RATE <= event.duration_s + 1 / RATE
                    loud[event.label] = integrated_lufs(stem[start:stop], RATE)
                    planned = plan.ref_db + event.snr_db
                    assert loud[event.label] == pytest.approx(planned, abs=0.2)
                else:
                    assert integrated_lufs(stem, RATE) == pytest.approx(plan.ref_db, abs=0.01)
            levels_db.append(loud)
        for change in changes(*plans(corpus, pair)[0]):
            if change.level_db is not None:
                n_steps += 1
                step_db = levels_db[1][change.label] - levels_db[0][change.label]
                assert step_db == pytest.approx(change.level_db, abs=0.2)
    assert n_steps > 5


def test_no_recording_is_in_both_splits(corpus):
    def used(split):
        return {path.name for path in (corpus / "source" / split).rglob("beep/*.wav")}

    assert used("dev")
    assert not used("dev") & used("eval")


@pytest.mark.slow
def test_two_workers_make_the_same_bytes(script, recordings, corpus, tmp_path):
    assert script.main(arguments(recordings, tmp_path / "rain", "--workers", "2")) == 0
    assert file_hashes(tmp_path / "rain") == file_hashes(corpus)


@pytest.mark.slow
def test_a_stopped_run_goes_on(script, recordings, corpus, tmp_path, monkeypatch, capsys):
    render, n_made = script.render, 0

    def stop_at_the_fourth(studio, plan):
        nonlocal n_made
        n_made += 1
        if n_made == 4:
            raise KeyboardInterrupt
        return render(studio, plan)

    monkeypatch.setattr(script, "render", stop_at_the_fourth)
    out = tmp_path / "rain"
    assert script.main(arguments(recordings, out)) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert not (out / "pairs.csv").exists()
    monkeypatch.undo()
    kept = out / "wav/dev/rain_dev_00000_s1.wav"
    written = kept.stat().st_mtime_ns
    damaged = out / "wav/dev/rain_dev_00001_s2.wav"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    assert script.main(arguments(recordings, out)) == 0
    assert kept.stat().st_mtime_ns == written
    assert file_hashes(out) == file_hashes(corpus)


@pytest.mark.slow
def test_a_run_stopped_in_a_finished_corpus_leaves_no_table(
    script, recordings, corpus, tmp_path, monkeypatch
):
    out = shutil.copytree(corpus, tmp_path / "rain")
    (out / "wav/dev/.x.wav.4194305.tmp").touch()  # no process has this number

    def stop(studio, plan):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "render", stop)
    assert script.main(arguments(recordings, out)) == 130
    left = {name for name in file_hashes(corpus) if name not in file_hashes(out)}
    assert left == {"pairs.csv", "apwd.json"}
    monkeypatch.undo()
    assert script.main(arguments(recordings, out)) == 0
    assert file_hashes(out) == file_hashes(corpus)


@pytest.mark.parametrize(
    ("more", "differing"),
    [
        (["--seed", "1"], "seed"),
        (["--scene", "snow"], "name"),
        (["--pairs-dev", "3"], "pairs_dev"),
        (["--ref-db", "-40", "-30"], "ref_db"),
        (["--events", "EVENTS"], "events"),
    ],
)
def test_another_corpus_is_not_touched(
    script, recordings, corpus, tmp_path, capsys, more, differing
):
    write(tmp_path / "events/beep/0.wav", np.ones(RATE))
    write(tmp_path / "events/buzz/0.wav", np.ones(RATE))
    write(tmp_path / "events/beep/1.wav", np.ones(RATE))
    before = file_hashes(corpus)
    words = [str(tmp_path / "events") if word == "EVENTS" else word for word in more]
    assert script.main(arguments(recordings, corpus, *words, "--pairs-eval", "4")) == 2
    told = capsys.readouterr().err
    assert f"holds a data set of other settings ({differing}; see {corpus}/settings.json)" in told
    assert file_hashes(corpus) == before


def test_procedural_sounds_of_another_seed_are_not_begun(script, recordings, corpus, capsys):
    more = ["--background", "procedural", "--seed", "1", "--ref-db", "-36", "-27"]
    assert script.main(arguments(recordings, corpus, *more)) == 2
    assert "other settings (seed; see" in capsys.readouterr().err
    assert not (corpus / "procedural").exists()


def test_a_folder_with_other_files_is_refused(script, recordings, tmp_path, capsys):
    write(tmp_path / "out/audio/mine.wav", np.ones(RATE))
    assert script.main(arguments(recordings, tmp_path / "out")) == 2
    assert "holds other files, such as audio: give another --out" in capsys.readouterr().err
    assert set(file_hashes(tmp_path / "out")) == {"audio/mine.wav"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_told_in_a_line(script, recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(items, "atomic_path", lambda path: nullcontext(Path("/dev/full")))
    assert script.main(arguments(recordings, tmp_path / "rain")) == 2
    told = "pairs stopped at rain_dev_00000: disk full; free space and give the same command"
    assert f"make_apwd.py: {told}\n" in capsys.readouterr().err


def test_pairs_of_a_refused_source_say_so(script, recordings, tmp_path):
    shutil.copytree(recordings, tmp_path / "recordings")
    for number in range(3):
        write(tmp_path / f"recordings/events/beep/{number}.wav", np.zeros(RATE))
    out = tmp_path / "rain"
    assert script.main(arguments(tmp_path / "recordings", out)) == 2
    with (out / "refused.csv").open(newline="") as stream:
        reasons = {row["item"]: row["reason"] for row in csv.DictReader(stream)}
    of_pairs = [reason for item, reason in reasons.items() if item.startswith("rain_")]
    assert of_pairs
    for reason in of_pairs:
        source = reason.removeprefix("its source ").partition(" was refused: ")[0]
        assert "silent" in reason
        assert f"source/{source}" in reasons


@pytest.mark.slow
def test_a_changed_source_is_rendered_anew(script, recordings, corpus, tmp_path):
    arguments_ = arguments(recordings, tmp_path / "rain", "--seed", "1")
    script.main(arguments_)
    before = file_hashes(tmp_path / "rain")
    copy = sorted((tmp_path / "rain/source/dev/background/rain").glob("*.wav"))[0]
    copy.write_bytes(b"")
    script.main(arguments_)
    assert file_hashes(tmp_path / "rain") == before


def test_both_clips_of_a_pair_get_one_gain_where_one_would_clip(
    script, recordings, tmp_path, capsys
):
    out = tmp_path / "loud"
    loud = ["--ref-db", "-36", "-8", "--pairs-dev", "5", "--pairs-eval", "2"]
    assert script.main(arguments(recordings, out, *loud)) == 0
    facts = json.loads((out / "apwd.json").read_text())
    n_lowered = facts["counts"]["pairs with a common gain"]
    assert (facts["counts"]["pairs"], facts["counts"]["refused"]) == (7, 0)
    assert 0 < n_lowered < 7
    assert "levels: one common gain for both clips of a pair where one would clip" in str(facts)
    assert f"{n_lowered} pairs with a common gain" in capsys.readouterr().out
    with (out / "pairs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    gains_db = [float(row["common_gain_db"]) for row in rows]
    assert sum(gain_db < 0 for gain_db in gains_db) == n_lowered
    for pair, row, gain_db in zip(read_pairs(out / "pairs.csv").pairs, rows, gains_db, strict=True):
        (first, second), _ = plans(out, pair)
        # Of the written levels: rendered again, they give the files, as `stems` sees.
        lowered_db = float(row["ref_db"]) + gain_db
        assert first.ref_db == second.ref_db == pytest.approx(lowered_db, abs=1e-4)
        peaks = [np.abs(sum(parts)).max() for _, parts in stems(out, pair)]
        assert max(peaks) == pytest.approx(0.998, abs=1e-3) if gain_db else max(peaks) < 1
    before = file_hashes(out)
    lowered = next(row for row, gain_db in zip(rows, gains_db, strict=True) if gain_db)
    (out / lowered["second"]).unlink()
    assert script.main(arguments(recordings, out, *loud)) == 0
    assert file_hashes(out) == before


def test_a_pair_that_clips_is_refused_on_demand_and_counted(script, recordings, tmp_path, capsys):
    loud = ["--ref-db", "-8", "-6", "--clipping", "refuse"]
    assert script.main(arguments(recordings, tmp_path / "loud", *loud)) == 2
    printed = capsys.readouterr()
    assert "what was refused" in printed.err
    with (tmp_path / "loud/refused.csv").open(newline="") as stream:
        refused = list(csv.DictReader(stream))
    for row in refused:
        assert "clips, with a peak of" in row["reason"]
        assert "; give --clipping gain, or lower ref_db, -" in row["reason"]
    told = "lower the backgrounds: --ref-db -52 -43, with another --out"
    assert printed.err.splitlines()[-1] == told
    counts = json.loads((tmp_path / "loud/apwd.json").read_text())["counts"]
    assert counts["pairs"] + len(refused) == 16
    assert counts["refused"] == counts["refused for clipping"] == len(refused) > 0


@pytest.mark.slow
def test_procedural_sounds_need_nothing(script, tmp_path):
    small = ["--pairs-dev", "3", "--pairs-eval", "1", "--per-label", "5", "--sample-rate", "8000"]
    words = ["--events", "procedural", "--background", "procedural", "--out", str(tmp_path / "p")]
    status = script.main([*words, *small, "--renderer", "mixer"])
    counts = json.loads((tmp_path / "p/apwd.json").read_text())["counts"]
    assert counts["pairs"] + counts["refused"] == 4
    assert status == (2 if counts["refused"] else 0)
    assert len(read_pairs(tmp_path / "p/pairs.csv").pairs) == counts["pairs"]


def test_dry_run_writes_nothing(script, recordings, tmp_path, capsys):
    assert script.main(arguments(recordings, tmp_path / "none", "--dry-run")) == 0
    assert "dev: 4 events of 2 labels" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--background-label", "snow"], "no 'snow' in the dev part; labels there: rain"),
        (["--events", "nowhere"], "no such folder"),
        (["--out", "/dev/null/x"], "--out /dev/null/x: /dev/null is no folder"),
        (
            ["--events", "BEDS"],
            "dev: no events of other labels than the backgrounds to draw from: ",
        ),
        (["--events", "BEDS"], "from: give --background-label, or other --events"),
    ],
)
def test_faults_are_told_in_a_line(script, recordings, tmp_path, capsys, more, message):
    more = [str(recordings / "beds") if word == "BEDS" else word for word in more]
    assert script.main(arguments(recordings, tmp_path / "none", *more)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("make_apwd.py: ")
    assert message in printed


def test_given_folders_are_looked_at_before_sounds_are_made(script, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    grounds = ["--events", "procedural", "--background", str(tmp_path / "empty")]
    rest = ["--renderer", "mixer", "--out", str(tmp_path / "out")]
    assert script.main([*grounds, *rest]) == 2
    assert "no audio files in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("role", ["events", "background"])
def test_a_dry_run_with_procedural_sounds(script, recordings, tmp_path, capsys, role):
    more = [f"--{role}", "procedural", "--dry-run"]
    assert script.main(arguments(recordings, tmp_path / "none", *more)) == 0
    told = {"events": "dev: 240 events of 30 labels", "background": "dev: 160 backgrounds of 16"}
    assert told[role] in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("role", ["--events", "--background"])
def test_levels_with_procedural_sounds_are_lower(script, recordings, tmp_path, role):
    def levels_db(*more):
        words = arguments(recordings, tmp_path, *more)
        options = read_options(script.MakeApwdOptions, words, prog="make_apwd", description=None)
        return options.levels_db

    assert levels_db() == (-36.0, -27.0)
    assert levels_db(role, "procedural") == (-52.0, -43.0)
    assert levels_db(role, "procedural", "--ref-db", "-40", "-30") == (-40.0, -30.0)


def test_events_of_a_manifest(script, recordings, tmp_path):
    """As --help says: file, label and fold; the fifth is for eval."""
    lines = ["file,label,fold"]
    for label in ("beep", "buzz"):
        for number in range(5):
            file = f"{label}{number}.wav"
            shutil.copy(recordings / f"events/{label}/{min(number, 3)}.wav", tmp_path / file)
            lines.append(f"{file},{label},{number + 1}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    words = arguments(recordings, tmp_path / "out", "--events", str(tmp_path))
    assert script.main(words) == 0
    used = {path.name for path in (tmp_path / "out/source/eval/foreground").glob("b*/*.wav")}
    assert used == {"beep4.wav", "buzz4.wav"}


@pytest.mark.parametrize(
    "more",
    [
        ["--scene", "a/b"],
        ["--workers", "0"],
        ["--pairs-dev", "-1"],
        ["--per-label", "4"],
        ["--sample-rate", "4000"],
        ["--ref-db", "-20", "-30"],
    ],
)
def test_wrong_options(script, recordings, tmp_path, more):
    with pytest.raises(SystemExit) as stopped:
        script.main(arguments(recordings, tmp_path / "none", *more))
    assert stopped.value.code == 2
