from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import torch

from byola_diff.audio.files import AudioFileError
from byola_diff.command_line import read_options
from byola_diff.evaluation.bgknown import run as bgknown_runs
from byola_diff.evaluation.bgknown.data import BgKnown, read_bgknown
from byola_diff.evaluation.bgknown.run import BgKnownOptions, bgknown_job
from byola_diff.probing import task as probing
from byola_diff.probing.parts import carve_stratified, manifest_targets
from byola_diff.probing.protocols import BGKNOWN
from byola_diff.reports.extras import read_extras
from byola_diff.reports.paper_tables import print_paper_table
from byola_diff.reports.report import Audio, Table, Text, text_table
from byola_diff.scores import failure_record, write_record
from byola_diff.storage import sha256
from tests.evaluation.bgknown.bgknown_sets import VARIANTS, named, write_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bgknown") / "data"
    write_set(folder)
    return folder


def job_of(data, options):
    return bgknown_job(replace(options, data=data))


def options_for(out, *words):
    given = ["--encoder", "x", "--data", "x", *words]
    options = read_options(BgKnownOptions, given, prog="bgknown", description=None)
    common = {
        "batch_size": 32,
        "device": torch.device("cpu"),
        "precision": "float32",
        "workers": 1,
        "cache": out / "cache",
        "out": out / "scores",
    }
    return replace(options, **common)


@pytest.fixture(scope="module")
def outcome(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("outcome")
    # Of few items, to be done soon.
    options = replace(options_for(out), learning_rates=[1e-2])
    job = job_of(data, options)
    [made] = job.records(named())
    return job, made, options


def test_the_right_reference_takes_the_background_away(outcome):
    made = outcome[1].model_dump()
    means = {name: score["mean"] for name, score in made["scores"].items()}
    assert list(means) == ["mix", "a", "b", "c"]
    assert means["a"] == 1.0
    assert means["a"] > means["b"] > means["mix"] > means["c"]
    for one in made["scores"].values():
        assert list(one["values"]) == ["seed 42", "seed 43", "seed 44"]


def test_a_record_says_how_it_came_about(outcome, data):
    job, made = outcome[0], outcome[1].model_dump()
    assert (made["protocol"], made["task"]) == (job.protocol, job.task) == ("bgknown", "bgknown")
    settings = made["settings"]
    assert settings["deviations"] == [
        *("events: 120 tones", "backgrounds: tones", "learning_rates: [0.01]"),
    ]
    assert settings["data"]["settings"] == {"ref_db": -40.0}
    tables = [f"{name}.csv" for name in (*VARIANTS, "items")]
    assert settings["manifests"] == {name: sha256(data / name) for name in tables}
    assert (settings["monitor"], settings["valid_share"], settings["n_items"]) == ("loss", 0.1, 120)
    assert settings["stratified"] is True
    assert made["probe"]["learning_rates"] == dict.fromkeys(VARIANTS, 0.01)


def test_the_usual_run_deviates_by_its_data_alone(data, tmp_path):
    settings = job_of(data, options_for(tmp_path)).settings
    assert settings["deviations"] == ["events: 120 tones", "backgrounds: tones"]
    assert (settings["learning_rates"], settings["seeds"]) == ((1e-3,), (42, 43, 44))
    assert settings["rules"]["max_epochs"] == 200


def test_seeds_and_learning_rates_are_marked(data, tmp_path):
    options = options_for(tmp_path, "--seeds", "7", "--learning-rates", "1e-3", "1e-2")
    assert job_of(data, options).settings["deviations"][2:] == [
        *("learning_rates: [0.001, 0.01]", "seeds: [7]"),
    ]
    with pytest.raises(ValueError, match="given twice"):
        job_of(data, options_for(tmp_path, "--seeds", "7", "7"))


def test_statistics_are_those_of_training_mixtures(outcome, data):
    job, _, _ = outcome
    assert job.manifest is not None
    assert [clip.file for clip in job.manifest.in_split("train")] == [
        f"audio/train/train_{number}_mix.wav" for number in range(90)
    ]
    assert job.preprocessing.unit_s is None


def test_a_plan_counts_what_is_cached(outcome, data, tmp_path):
    job, _, _ = outcome
    [line] = job.plan(named())
    assert "120 mixtures with three references each, 480 clips, 480 of them cached" in line
    assert "12 probes" in line
    [line] = job_of(data, options_for(tmp_path)).plan(named())
    assert "480 clips, 0 of them cached" in line
    assert not list(tmp_path.iterdir())


def test_the_exhibit_shows_two_classes_once(outcome, data, monkeypatch):
    job, _, options = outcome
    [exhibit], problems = read_extras([options.out])
    assert problems == []
    assert exhibit.section == "Background-known ESC-50"
    [table] = [part for part in exhibit.parts if isinstance(part, Table)]
    assert list(table.header) == ["item", "event", "SNR (dB)", "background", "its start (s)"]
    assert table.rows[0] == ["test_90", "low", "0.90", "rain", "1.25"]
    assert table.rows[1] == ["test_91", "middle", "0.91", "rain", "1.25"]
    assert [type(part) for part in exhibit.parts] == [Table, *([Text] + [Audio] * 4) * 2]
    leads = [part.text for part in exhibit.parts if isinstance(part, Text)]
    assert [lead.split(":")[0] for lead in leads] == ["Item test_90, low", "Item test_91, middle"]
    cards = [part for part in exhibit.parts if isinstance(part, Audio)]
    assert [card.caption for card in cards[:4]] == [
        "low, mixture\ntest_90_mix.wav",
        "low, (a) 100 % overlap\ntest_90_a.wav",
        "low, (b) 50 % overlap\ntest_90_b.wav",
        "low, (c) 0 % overlap\ntest_90_c.wav",
    ]
    assert len({card.spectrogram for card in cards}) == 8
    assert None not in {card.spectrogram for card in cards}

    def never(_):
        raise AssertionError("made again")

    monkeypatch.setattr(bgknown_runs, "bgknown_extra", never)
    assert len(list(job.records(named()))) == 1


NO_EXHIBIT = [
    ModuleNotFoundError("figures need Matplotlib: pip install 'byola-diff[evaluate]'"),
    AudioFileError(Path("a.wav"), "unreadable"),
]


@pytest.mark.parametrize("error", NO_EXHIBIT, ids=lambda error: type(error).__name__)
def test_scores_stand_where_figures_can_not_be_drawn(data, tmp_path, monkeypatch, capsys, error):
    def absent(_):
        raise error

    monkeypatch.setattr(bgknown_runs, "bgknown_extra", absent)
    assert len(list(job_of(data, options_for(tmp_path, "--seeds", "1")).records(named()))) == 1
    assert "no exhibit of" in capsys.readouterr().err


def test_altered_sounds_are_not_scored(tmp_path):
    write_set(tmp_path, 9, 3)
    copyfile(tmp_path / "audio/test/test_9_mix.wav", tmp_path / "audio/test/test_9_a.wav")
    job = job_of(tmp_path, options_for(tmp_path))
    with pytest.raises(ValueError, match=r"test_9_a\.wav"):
        list(job.records(named()))


def test_labels_of_test_items_are_read_last(data, tmp_path, monkeypatch):
    asked = []

    def recording(manifest, metric):
        targets_of = manifest_targets(manifest, metric)

        def ask(places):
            asked.append(places)
            return targets_of(places)

        return ask

    monkeypatch.setattr(probing, "manifest_targets", recording)
    next(iter(job_of(data, options_for(tmp_path, "--seeds", "1")).records(named())))
    test = set(range(90, 120))
    each = len(asked) // 4
    for start in range(0, len(asked), each):
        *before, last = asked[start : start + each]
        assert set(last.tolist()) == test
        assert not any(set(places.tolist()) & test for places in before)


def test_the_protocol_takes_stratified_clips(data, monkeypatch):
    mixtures = read_bgknown(data).mixtures
    calls = []

    def recording(part, targets_of, share, seed):
        calls.append((share, seed))
        return carve_stratified(part, targets_of, share, seed)

    monkeypatch.setattr(probing, "carve_stratified", recording)
    probing.probe_task(np.eye(120, 4), mixtures, "accuracy", BGKNOWN)
    assert calls == [(0.1, 42), (0.1, 43), (0.1, 44)]


def test_a_text_table_lines_up():
    table = Table(("", "from", "a\nb"), [["x", "paper", "1.5"], ["long", "o", "10.5"]])
    assert text_table(table).splitlines() == [
        *("       from   a b", "----  -----  ----", "x     paper   1.5", "long      o  10.5"),
    ]
    noted = Table(("", "a"), [["x", "1"]], note="words " * 30, title="T", text_columns=frozenset())
    lines = text_table(noted).splitlines()
    assert lines[0] == "T"
    assert max(map(len, lines)) <= 100
    assert " ".join(lines[4:]) == " ".join(["words"] * 30)


def test_the_papers_table_is_printed_with_ours_below(outcome, tmp_path, capsys):
    _, made, _ = outcome
    print_paper_table("bgknown", tmp_path / "absent")
    write_record(tmp_path, failure_record("bgknown", "bgknown", "x", "no memory", {}, 1.0))
    print_paper_table("bgknown", tmp_path)
    assert capsys.readouterr().out == ""
    write_record(tmp_path, made)
    print_paper_table("retrieval", tmp_path)
    assert capsys.readouterr().out == ""
    print_paper_table("bgknown", tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"All scores in {tmp_path}, also of earlier runs:"
    assert lines[2].startswith("Takeuchi et al., 2024, Table 1")
    assert lines[3].split("  ")[-1].strip() == "(c) 0 %"
    [theirs] = [line for line in lines if line.startswith("difference weight 0.8")]
    [ours] = [line for line in lines if line.startswith("linear ")]
    assert theirs.split()[-5:] == ["paper", "45.84", "59.96", "55.50", "51.96"]
    assert "ours, bgknown" in ours
    assert "100.0 ± 0.0†" in ours
    assert lines.index(ours) > lines.index(theirs)
    assert "backgrounds: tones" in " ".join(lines)


def test_sounds_are_hashed_once_for_all_encoders(data, tmp_path, monkeypatch):
    checked, check = [], BgKnown.check_audio
    monkeypatch.setattr(BgKnown, "check_audio", lambda self: checked.append(1) or check(self))
    job = job_of(data, options_for(tmp_path, "--seeds", "1"))
    scores = [next(iter(job.records(named()))).scores for _ in range(2)]
    assert scores[0] == scores[1]
    assert checked == [1]
