import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from byola_diff.audio.files import write_wav
from byola_diff.command_line import read_options
from byola_diff.encoders.log_mel_statistics import LogMelStatistics
from byola_diff.evaluation.jobs import run_jobs
from byola_diff.evaluation.retrieval import run as retrieval_runs
from byola_diff.evaluation.retrieval.example import chosen_queries, retrieval_example
from byola_diff.evaluation.retrieval.run import RetrievalOptions, retrieval_jobs
from byola_diff.evaluation.retrieval.system import load_system
from byola_diff.reports.extras import read_extras
from byola_diff.reports.paper_tables import print_paper_table
from byola_diff.reports.report import Audio, Table, Text
from byola_diff.scores.read import read_records
from byola_diff.storage import BrokenFileError, sealed_json, sha256
from byola_diff.tables.pairs import read_pairs
from tests.evaluation.retrieval.retrieval_cases import RATE, write_tone_pairs

WORD = "log-mel-statistics"


def options_for(root, *words):
    """Options of the verb with those that all verbs have."""
    given = ["--encoder", WORD, "--pairs", str(root / "pairs.csv"), *words]
    options = read_options(RetrievalOptions, given, prog="retrieval", description=None)
    common = {"device": torch.device("cpu"), "precision": "auto", "batch_size": 8, "workers": 1}
    folders = {"cache": root / "cache", "out": root / "scores", "systems": root / "systems"}
    return replace(options, **common, **folders)


QUICK = ("--epochs", "3", "--seeds", "1", "2")


def run(root, *words, dry_run=False):
    options = options_for(root, *words)
    options = replace(options, encoder=[WORD], dry_run=dry_run)
    return run_jobs(options, retrieval_jobs(options))


def records_of(root):
    return [json.loads(path.read_text()) for path in sorted((root / "scores").glob("*.json"))]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with pairs of two scenes, after a run."""
    root = tmp_path_factory.mktemp("retrieval")
    write_tone_pairs(root, ("rain", "traffic"))
    hashes = {"pairs.csv": sha256(root / "pairs.csv")}
    facts = {"deviations": ["texts: of a grammar"], "manifests": hashes}
    (root / "apwd.json").write_text(json.dumps(facts))
    assert run(root, *QUICK) == 0
    return root


@pytest.fixture
def copy(done, tmp_path):
    """The same, to be spoiled."""
    return Path(shutil.copytree(done, tmp_path / "copy"))


def test_a_record_for_each_scene(done):
    records = records_of(done)
    assert [record["task"] for record in records] == ["apwd_rain", "apwd_traffic"]
    for record in records:
        assert record["protocol"] == "retrieval"
        assert list(record["scores"]) == ["recall@1", "recall@5", "recall@10"]
        one, five, ten = record["scores"].values()
        assert list(one["values"]) == ["seed 1", "seed 2"]
        assert 0 <= one["mean"] <= five["mean"] == ten["mean"] == 1.0  # of four candidates
        assert one["ci95"] is not None
        assert set(record["probe"]["best_epochs"].values()) <= {1, 2, 3}


def test_a_record_says_how_it_came_about(done):
    settings = records_of(done)[0]["settings"]
    assert settings["n_pairs"] == {"train": 12, "valid": 0, "test": 4}
    assert settings["text_encoder"] == "bag-of-words"
    assert len(settings["text_encoder_sha256"]) == len(settings["pairs_sha256"]) == 64
    assert "training pairs" in settings["standardised"]
    assert settings["deviations"] == [
        "epochs: 3",
        "seeds: [1, 2]",
        "text encoder: bag-of-words, not DistilBERT",
        "texts: of a grammar",
        "training pairs: 12, not 50000",
        "gallery: 4, not 1000",
    ]


def test_other_pairs_and_altered_ones_are_told(copy):
    facts = {"deviations": [], "manifests": {"pairs.csv": "0" * 64}}
    (copy / "apwd.json").write_text(json.dumps(facts))
    options = options_for(copy)
    job, _ = retrieval_jobs(options)
    marks = ["text encoder: bag-of-words, not DistilBERT", "pairs.csv: altered since it was made"]
    assert job.settings["deviations"][:2] == marks
    table = (copy / "pairs.csv").rename(copy / "fewer.csv")
    job, _ = retrieval_jobs(replace(options, pairs=[table]))
    told = job.settings["deviations"][1]
    assert told == "fewer.csv: not a table that apwd.json tells of"
    table.rename(copy / "pairs.csv")
    (copy / "apwd.json").unlink()
    job, _ = retrieval_jobs(options)
    assert job.settings["deviations"][1].startswith("pairs: not those of APwD")


@pytest.mark.parametrize("content", ["{", "[]", '{"deviations": 1}'])
def test_facts_that_can_not_be_read(copy, content):
    (copy / "apwd.json").write_text(content)
    options = options_for(copy)
    with pytest.raises(ValueError, match=r"apwd\.json does not tell"):
        retrieval_jobs(options)


@pytest.mark.slow
def test_clips_are_embedded_once_and_scores_come_again(copy, monkeypatch, capsys):
    first = [record["scores"] for record in records_of(copy)]
    shutil.rmtree(copy / "scores")
    calls = []
    scene = LogMelStatistics.scene
    monkeypatch.setattr(LogMelStatistics, "scene", lambda *a: calls.append(1) or scene(*a))
    assert run(copy, *QUICK) == 0
    assert not calls
    assert [record["scores"] for record in records_of(copy)] == first
    assert run(copy, *QUICK, dry_run=True) == 0
    plan = capsys.readouterr().out.strip().splitlines()[-2:]
    assert "apwd_rain: 32 clips, 32 of them cached; 12 training pairs, 4 queries" in plan[0]
    assert plan[1].endswith("2 systems of 3 epochs with bag-of-words")


def test_a_dry_run_writes_nothing(tmp_path):
    write_tone_pairs(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(tmp_path, *QUICK, dry_run=True) == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_two_tables_of_one_scene_are_refused(done, tmp_path):
    other = write_tone_pairs(tmp_path, ("traffic",))
    options = options_for(done, "--pairs", str(done / "pairs.csv"), str(other))
    with pytest.raises(ValueError, match="both have pairs of the scene traffic"):
        retrieval_jobs(options)
    write_tone_pairs(tmp_path, ("mixed",))
    tasks = [job.task for job in retrieval_jobs(options)]
    assert tasks == ["apwd_rain", "apwd_traffic", "apwd_mixed"]


def test_scores_stand_where_figures_can_not_be_drawn(tmp_path, monkeypatch, capsys):
    def absent(*_):
        raise ModuleNotFoundError("figures need Matplotlib")

    monkeypatch.setattr(retrieval_runs, "retrieval_example", absent)
    write_tone_pairs(tmp_path)
    assert run(tmp_path, *QUICK) == 0
    [record] = records_of(tmp_path)
    assert record["status"] == "ok"
    assert "pairs.csv: figures need Matplotlib" in capsys.readouterr().err


def test_a_task_without_published_figures_is_named(done, tmp_path, capsys):
    print_paper_table("retrieval", done / "scores")
    out = capsys.readouterr().out
    assert "Recall@1" in out or "R@1" in out
    assert "No published figures" not in out
    write_tone_pairs(tmp_path, ("mixed",))
    assert run(tmp_path, *QUICK) == 0
    print_paper_table("retrieval", tmp_path / "scores")
    assert "No published figures of apwd_mixed to set beside." in capsys.readouterr().out


def test_an_example_counts_ties_against_the_system(done):
    rain = read_pairs(done / "pairs.csv").of_scene("rain")
    exhibit = retrieval_example(rain, torch.ones(4, 1), torch.ones(4, 1), "title", RATE)
    assert exhibit.parts[0].text.endswith("The right one of 4 candidates comes at place 4.")


def test_an_exhibit_with_players(done):
    exhibits, problems = read_extras(done / "scores")
    assert (len(exhibits), problems) == (2, [])
    for exhibit in exhibits:
        kinds = [type(part) for part in exhibit.parts]
        # The query, three candidates, and the right one if it is not among them.
        assert kinds[:5] == [Text, *[Audio] * 4]
        table = exhibit.parts[kinds.index(Table)]
        assert isinstance(table, Table)
        assert len(table.marked) == 1


def test_the_right_one_is_the_card_after_the_query(done):
    rain = read_pairs(done / "pairs.csv").of_scene("rain")
    gallery = torch.eye(4)
    # The first finds its own; the second has all others before it.
    query = torch.tensor([[0.8, 0.6, 0, 0], [0.5, 0.1, 0.7, 0.5], [0, 0, 1, 0], [0, 0, 0.5, 0.9]])
    exhibit = retrieval_example(rain, query, gallery, "title", RATE)
    kinds = [type(part) for part in exhibit.parts]
    assert kinds == [Text, *[Audio] * 4, Table, Text, *[Audio] * 5, Table]
    captions = [part.caption for part in exhibit.parts if isinstance(part, Audio)]
    assert captions[:2] == [
        "Query: “add a beep”\nwith no event\nrain_14_s1.wav",
        "Right: place 1, cosine 1.000\nwith beep\nrain_14_s2.wav",
    ]
    assert captions[4:] == [
        "Query: “remove the beep”\nwith beep\nrain_13_s1.wav",
        "Right: place 4, cosine 0.100\nwith no event\nrain_13_s2.wav",
        "Place 1, cosine 0.700\nwith beep\nrain_14_s2.wav",
        "Place 2, cosine 0.500\nwith beep\nrain_12_s2.wav",
        "Place 3, cosine 0.500\nwith no event\nrain_15_s2.wav",
    ]
    assert all(part.spectrogram for part in exhibit.parts if isinstance(part, Audio))
    [_, table] = [part for part in exhibit.parts if isinstance(part, Table)]
    assert [row[0] for row in table.rows] == ["1", "2", "3", "4"]
    assert table.marked == {3}


def test_chosen_queries_by_hand():
    gallery = torch.eye(3)
    query = torch.tensor([[0.6, 0.8, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.8]])
    # Ranks 2, 1, 1; the leads of the last two are 1 and 0.2.
    assert chosen_queries(query, gallery) == (1, 0)
    assert chosen_queries(gallery, gallery)[1] is None
    assert chosen_queries(torch.ones(3, 3), gallery)[0] is None
    assert chosen_queries(torch.ones(1, 2), torch.ones(1, 2)) == (0, None)


def test_a_system_for_each_scene_and_seed(done):
    folders = sorted(path.parent for path in (done / "systems").glob("*/*/system.json"))
    assert [folder.name for folder in folders] == ["seed_1", "seed_2"] * 2
    assert len({path.stat().st_mode for path in folders[0].iterdir()}) == 1  # as the umask says
    system = load_system(folders[0])
    assert (system.about.scene, system.about.seed) == ("rain", 1)
    assert system.about.classes == ("beep",)
    assert system.about.encoder == WORD
    assert system.mean.shape == (system.about.audio_features,)
    clips = torch.randn(2, system.about.audio_features)
    text = torch.randn(2, system.about.text_features)
    expected = system.network.query((clips - system.mean) / system.deviation, text)
    torch.testing.assert_close(system.query(clips, text), expected)
    torch.testing.assert_close(system.target(clips).norm(dim=1), torch.ones(2))


def test_a_system_is_one_of_the_seeds(done):
    folder = next((done / "systems").iterdir())
    with pytest.raises(FileNotFoundError, match=r"give one of .*seed_1, .*seed_2"):
        load_system(folder)
    with pytest.raises(FileNotFoundError, match=r"evaluate\.py retrieval writes them"):
        load_system(done / "wav")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda about: about | {"format": 9},
            "'format': must be 1 or 2.*: train it again by eval",
        ),
        (lambda about: about | {"surprise": 1}, "'surprise': is unknown"),
        (lambda about: {k: v for k, v in about.items() if k != "seed"}, "'seed': is missing"),
        (lambda about: about | {"dim": 0}, "'dim': must be greater than 0"),
        (lambda about: about | {"sha256": "0" * 64}, "altered or replaced"),
        (lambda about: about | {"audio_features": 3}, "of wrong shape"),
        (lambda about: [], "is not of a retrieval system"),
    ],
)
def test_broken_systems(copy, change, message):
    path = next((copy / "systems").glob("*/seed_1/system.json"))
    about = change({k: v for k, v in json.loads(path.read_text()).items() if k != "file_sha256"})
    path.write_text(sealed_json(about) if about else "[]")
    with pytest.raises(BrokenFileError, match=message):
        load_system(path.parent)


def test_truncated_weights(copy):
    path = next((copy / "systems").glob("*/seed_1/system.safetensors"))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BrokenFileError, match="altered or replaced"):
        load_system(path.parent)


def test_an_altered_description(copy):
    path = next((copy / "systems").glob("*/seed_1/system.json"))
    path.write_text(path.read_text().replace('"best_epoch": ', '"best_epoch": 1'))
    with pytest.raises(BrokenFileError, match=r"system\.json: its content does not match"):
        load_system(path.parent)


def test_a_scene_without_test_pairs(tmp_path):
    write_tone_pairs(tmp_path, n_test=0)
    options = options_for(tmp_path)
    with pytest.raises(ValueError, match=r"pairs\.csv: scene rain: no test pairs"):
        retrieval_jobs(options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--seeds", "1", "1"), "a seed occurs twice in 1 1"),
        (("--text-encoder", "word2vec"), "'word2vec' names no text encoder"),
    ],
)
def test_options_that_can_not_be(done, words, message):
    options = options_for(done, *words)
    with pytest.raises(ValueError, match=message):
        retrieval_jobs(options)


def test_missing_weights_of_the_text_encoder(done):
    options = options_for(done, "--text-encoder", f"distilbert:{done / 'nowhere'}")
    with pytest.raises(FileNotFoundError, match=r"https://huggingface\.co/distilbert"):
        retrieval_jobs(options)


def test_a_clip_that_can_not_be_read_fails_the_run(tmp_path, capsys):
    write_tone_pairs(tmp_path)
    (tmp_path / "wav/rain_03_s1.wav").write_bytes(b"not audio")
    assert run(tmp_path, *QUICK) == 2
    assert "rain_03_s1.wav" in capsys.readouterr().err
    (record,) = records_of(tmp_path)
    assert (record["status"], record["task"]) == ("failed", "apwd_rain")


def test_a_scene_that_fails_leaves_the_others_and_its_failure_goes_with_success(tmp_path):
    write_tone_pairs(tmp_path, ("rain", "traffic"))
    clip = tmp_path / "wav/rain_03_s1.wav"
    sound = clip.read_bytes()
    clip.write_bytes(b"not audio")
    assert run(tmp_path, *QUICK) == 2
    found = {record["task"]: record["status"] for record in records_of(tmp_path)}
    assert found == {"apwd_rain": "failed", "apwd_traffic": "ok"}
    clip.write_bytes(sound)
    assert run(tmp_path, *QUICK) == 0
    latest = read_records(tmp_path / "scores")
    assert [record.task for record in latest.scored] == ["apwd_rain", "apwd_traffic"]
    assert not latest.failed


def test_usual_settings_have_no_marks_of_their_own(done):
    options = options_for(done, "--text-encoder", "bag-of-words")
    assert (options.epochs, options.seeds) == (300, [42, 43, 44])
    assert options.systems == done / "systems"
    write_wav(done / "unused.wav", torch.zeros(10).numpy(), 8000)  # other files do not matter
    jobs = retrieval_jobs(options)
    assert len(jobs) == 2
    for job in jobs:
        assert not any(mark.startswith(("epochs", "seeds")) for mark in job.settings["deviations"])
