"""Background-known items of three tones in noise, and an encoder that is linear in the waveform."""

import argparse
import json
from shutil import copyfile

import numpy as np
import pytest
import soundfile
import torch
from corpus import RATE, tone

from byola_diff.data.manifest import Clip, write_manifest
from byola_diff.evaluation.bgknown import difference_embeddings, read_bgknown
from byola_diff.evaluation.encoders.content_hash import content_hash
from byola_diff.evaluation.encoders.open import NamedEncoder
from byola_diff.evaluation.probes import probe_task as probing
from byola_diff.evaluation.probes.parts import Part, probe_parts
from byola_diff.evaluation.probes.probe_task import manifest_targets
from byola_diff.evaluation.probes.protocols import BGKNOWN
from byola_diff.evaluation.probes.validation import carve_stratified
from byola_diff.evaluation.results.exhibits import read_exhibits
from byola_diff.evaluation.results.report import Audio, Table, Text
from byola_diff.evaluation.results.scores import failure_record, write_record
from byola_diff.evaluation.results.text_table import print_paper_table, text_table
from byola_diff.evaluation.runs import bgknown_runs
from byola_diff.evaluation.runs.bgknown_options import bgknown_options
from byola_diff.evaluation.runs.bgknown_runs import bgknown_job
from byola_diff.storage import sha256

VARIANTS = ("mix", "a", "b", "c")
TONES_HZ = {"low": 300.0, "middle": 700.0, "high": 1500.0}
N_SAMPLES = 1600


class Linear(torch.nn.Module):
    """Inner products with the three tones at known phases, and with noise: linear in sound."""

    sample_rate = RATE
    scene_embedding_size = timestamp_embedding_size = 8
    layer_strides = {"embedding": 1}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        rows = [tone(hz, N_SAMPLES) for hz in TONES_HZ.values()]
        rows += [0.1 * rng.standard_normal(N_SAMPLES) for _ in range(5)]
        self.register_buffer("rows", torch.tensor(np.array(rows), dtype=torch.float32))

    def scene(self, waveform):
        return waveform @ self.rows.T

    def timestamps(self, waveform):
        return self.scene(waveform)[:, None], torch.zeros(len(waveform), 1)

    def layers(self, waveform):
        return {"embedding": self.scene(waveform)[:, None]}


def named():
    encoder = Linear()
    return NamedEncoder("linear", encoder, content_hash(encoder))


def write_set(folder, n_train=90, n_test=30, change=None):
    """Tones far below tones of the background, whose phases and levels are random."""
    rows = {variant: [] for variant in VARIANTS}
    hashed = [f"{variant}_sha256" for variant in VARIANTS]
    items = [",".join(["item,label,split,snr_db,background_label,start_s", *hashed]) + "\n"]
    for number in range(n_train + n_test):
        rng = np.random.default_rng(number)
        split = "train" if number < n_train else "test"
        label = list(TONES_HZ)[number % 3]
        # What overlaps is the same: (a) wholly, (b) in half of its power, (c) not at all.
        levels = rng.normal(size=(3, len(TONES_HZ)))
        scene, other, third = 0.1 * levels @ [tone(hz, N_SAMPLES) for hz in TONES_HZ.values()]
        sounds = {
            "mix": scene + 0.08 * tone(TONES_HZ[label], N_SAMPLES),
            "a": scene,
            "b": 0.5 * scene + 0.5 * other,
            "c": third,
        }
        name = f"{split}_{number}"
        digests = []
        for variant, sound in sounds.items():
            file = f"audio/{split}/{name}_{variant}.wav"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / file, sound, RATE)
            digests.append(sha256(folder / file))
            rows[variant].append(Clip(file, (label,), split=split, group=str(number)))
        about = [name, label, split, f"{number / 100}", "rain", "1.25", *digests]
        items.append(",".join(about) + "\n")
    if change:
        change(rows)
    for variant in VARIANTS:
        write_manifest(folder / f"{variant}.csv", rows[variant])
    (folder / "items.csv").write_text("".join(items))
    write_facts(folder)


def write_facts(folder, **changes):
    facts = {
        "name": "Background-known ESC-50",
        "seed": 3,
        "settings": {"ref_db": -40.0},
        "renderer": "by hand",
        "deviations": ["events: 120 tones", "backgrounds: tones"],
        "manifests": {
            f"{name}.csv": sha256(folder / f"{name}.csv") for name in (*VARIANTS, "items")
        },
    }
    (folder / "bgknown.json").write_text(json.dumps(facts | changes))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bgknown") / "data"
    write_set(folder)
    return folder


def options_for(out, *words):
    parser = argparse.ArgumentParser()
    bgknown_options(parser)
    options = parser.parse_args(["--data", "x", *words])
    common = {
        "batch_size": 32,
        "device": torch.device("cpu"),
        "precision": "float32",
        "workers": 1,
        "cache": out / "cache",
        "out": out / "scores",
    }
    return argparse.Namespace(**vars(options), **common)


@pytest.fixture(scope="module")
def outcome(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("outcome")
    options = options_for(out)
    options.learning_rates = [1e-2]  # of few items, to be done soon
    job = bgknown_job(data, options)
    [made] = job.records(named())
    return job, made, options


def test_the_right_reference_takes_the_background_away(outcome):
    _, made, _ = outcome
    means = {name: score["mean"] for name, score in made["scores"].items()}
    assert list(means) == ["mix", "a", "b", "c"]
    assert means["a"] == 1.0
    assert means["a"] > means["b"] > means["mix"] > means["c"]
    for one in made["scores"].values():
        assert list(one["values"]) == ["seed 42", "seed 43", "seed 44"]


def test_a_record_says_how_it_came_about(outcome, data):
    job, made, _ = outcome
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
    settings = bgknown_job(data, options_for(tmp_path)).settings
    assert settings["deviations"] == ["events: 120 tones", "backgrounds: tones"]
    assert (settings["learning_rates"], settings["seeds"]) == ((1e-3,), (42, 43, 44))
    assert settings["rules"]["max_epochs"] == 200


def test_seeds_and_learning_rates_are_marked(data, tmp_path):
    options = options_for(tmp_path, "--seeds", "7", "--learning-rates", "1e-3", "1e-2")
    assert bgknown_job(data, options).settings["deviations"][2:] == [
        *("learning_rates: [0.001, 0.01]", "seeds: [7]"),
    ]
    with pytest.raises(ValueError, match="given twice"):
        bgknown_job(data, options_for(tmp_path, "--seeds", "7", "7"))


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
    [line] = bgknown_job(data, options_for(tmp_path)).plan(named())
    assert "480 clips, 0 of them cached" in line
    assert not list(tmp_path.iterdir())


def test_the_exhibit_shows_two_classes_once(outcome, data, monkeypatch):
    job, _, options = outcome
    [exhibit], problems = read_exhibits([options.out])
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

    monkeypatch.setattr(bgknown_runs, "bgknown_exhibit", never)
    assert len(list(job.records(named()))) == 1


def test_scores_stand_where_figures_can_not_be_drawn(data, tmp_path, monkeypatch, capsys):
    def absent(_):
        raise ModuleNotFoundError("figures need Matplotlib: pip install 'byola-diff[evaluate]'")

    monkeypatch.setattr(bgknown_runs, "bgknown_exhibit", absent)
    assert len(list(bgknown_job(data, options_for(tmp_path, "--seeds", "1")).records(named()))) == 1
    assert "no exhibit of" in capsys.readouterr().err


def test_labels_of_test_items_are_read_last(data, tmp_path, monkeypatch):
    asked = []

    def recording(manifest, metric):
        targets_of = manifest_targets(manifest, metric)

        def ask(places):
            asked.append(places)
            return targets_of(places)

        return ask

    monkeypatch.setattr(bgknown_runs, "manifest_targets", recording)
    next(iter(bgknown_job(data, options_for(tmp_path, "--seeds", "1")).records(named())))
    test = set(range(90, 120))
    each = len(asked) // 4
    for start in range(0, len(asked), each):
        *before, last = asked[start : start + each]
        assert set(last.tolist()) == test
        assert not any(set(places.tolist()) & test for places in before)


def test_differences_by_hand():
    embeddings = {"mix": np.array([[3.0, 5.0]]), "a": np.array([[1.0, 1.0]])}
    embeddings |= {"b": np.array([[0.0, 5.0]]), "c": np.array([[4.0, 0.0]])}
    found = {name: value.tolist() for name, value in difference_embeddings(embeddings).items()}
    assert found == {"mix": [[3, 5]], "a": [[2, 4]], "b": [[3, 0]], "c": [[-1, 5]]}


def swap_rows(rows):
    rows["b"][0], rows["b"][3] = rows["b"][3], rows["b"][0]


def relabel(rows):
    rows["c"][4] = Clip(rows["c"][4].file, ("low",), split="train", group="4")


def shorten(rows):
    rows["a"].pop()


def swap_kinds(rows):
    rows["a"], rows["b"] = rows["b"], rows["a"]


def move(rows):
    rows["a"][5] = Clip(rows["a"][5].file, rows["a"][5].labels, split="test", group="5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap_rows, r"b\.csv: row 2, column 'file': .*train_3_b\.wav does not .*train_0_mix\.wav"),
        (relabel, r"c\.csv: row 6, column 'label'"),
        (shorten, r"a\.csv has 11 rows, mix\.csv 12"),
        (swap_kinds, r"a\.csv: row 2, column 'file': .*_b\.wav"),
        (move, r"a\.csv: row 7, column 'split'"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(tmp_path, change, message):
    write_set(tmp_path, 9, 3, change)
    with pytest.raises(ValueError, match=message):
        read_bgknown(tmp_path)


def test_an_altered_table_is_refused(tmp_path):
    write_set(tmp_path, 9, 3)
    read_bgknown(tmp_path)
    path = tmp_path / "a.csv"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ValueError, match=r"a\.csv is not the table that bgknown\.json tells of"):
        read_bgknown(tmp_path)


def test_altered_sounds_are_refused(tmp_path):
    write_set(tmp_path, 9, 3)
    data = read_bgknown(tmp_path)
    data.check_audio()
    copyfile(tmp_path / "audio/test/test_9_mix.wav", tmp_path / "audio/test/test_9_a.wav")
    with pytest.raises(ValueError, match=r"test_9_a\.wav is not the sound that items\.csv"):
        data.check_audio()
    job = bgknown_job(tmp_path, options_for(tmp_path))
    with pytest.raises(ValueError, match=r"test_9_a\.wav"):
        list(job.records(named()))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train_3,", "other,", r"items\.csv has no mix_sha256 of item 'train_3'"),
        ("c_sha256", "digest", r"items\.csv has no c_sha256 of item 'train_0'"),
    ],
)
def test_every_sound_needs_its_hash(tmp_path, old, new, message):
    write_set(tmp_path, 9, 3)
    path = tmp_path / "items.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=r"items\.csv is not the table"):
        read_bgknown(tmp_path)
    write_facts(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_bgknown(tmp_path)


def test_a_set_that_tells_no_deviations_is_counted(tmp_path):
    write_set(tmp_path, 9, 3)
    write_facts(tmp_path, deviations=[])
    assert read_bgknown(tmp_path).deviations == (
        *("training items: 9, not 1200", "test items: 3, not 800", "classes: 3, not 50"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "does not tell of a data set"),
        ("[]", "does not tell of a data set"),
        ('{"manifests": {}}', "KeyError.*deviations"),
        ('{"manifests": {}, "deviations": [1]}', "must be a list of texts"),
        ('{"manifests": {}, "deviations": []}', r"mix\.csv is not the table"),
    ],
)
def test_broken_facts_are_refused(tmp_path, text, message):
    write_set(tmp_path, 9, 3)
    (tmp_path / "bgknown.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_bgknown(tmp_path)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="make_bgknown_esc50"):
        read_bgknown(tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_every_class_gives_its_share(seed):
    labels = np.repeat(np.arange(50), 24)
    targets_of = lambda places: torch.tensor(labels[places])  # noqa: E731
    part = Part("test", 3 + np.arange(1197), np.empty(0, int), np.empty(0, int))
    train, valid = carve_stratified(part, targets_of, 0.1, seed)
    assert len(valid) == 120
    assert sorted([*train, *valid]) == part.train.tolist()
    assert set(np.bincount(labels[valid], minlength=50)) <= {2, 3}
    again = carve_stratified(part, targets_of, 0.1, seed)
    assert again[1].tolist() == valid.tolist()
    other = carve_stratified(part, targets_of, 0.1, seed + 100)
    assert other[1].tolist() != valid.tolist()


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((10, 20, 30), 0.1, (1, 2, 3)),
        ((14, 16, 30), 0.1, (1, 2, 3)),  # what whole clips leave over goes where most is lacking
        ((1, 1, 18), 0.1, (0, 0, 2)),  # a single clip is trained on
        ((2, 2), 0.9, (1, 1)),  # of each class one is left
        ((3, 3), 0.01, (1, 0)),  # at least one
    ],
)
def test_shares_of_uneven_classes(counts, share, expected):
    labels = np.repeat(np.arange(len(counts)), counts)
    part = Part("test", np.arange(len(labels)), np.empty(0, int), np.empty(0, int))
    train, valid = carve_stratified(part, lambda p: torch.tensor(labels[p]), share, 0)
    found = np.bincount(labels[valid], minlength=len(counts))
    assert sorted(found) == sorted(expected)
    assert len(set(counts)) < len(counts) or found.tolist() == list(expected)
    assert (np.bincount(labels[train], minlength=len(counts)) > 0).all()


def test_what_can_not_be_shared_out_is_refused():
    part = Part("test", np.arange(3), np.empty(0, int), np.empty(0, int))
    with pytest.raises(ValueError, match="test: no class has a training clip to spare"):
        carve_stratified(part, torch.as_tensor, 0.5, 0)
    with pytest.raises(ValueError, match="test: shares of classes need one label per clip"):
        carve_stratified(part, lambda places: torch.ones(len(places), 2), 0.5, 0)


def test_the_protocol_takes_stratified_clips(data, monkeypatch):
    mixtures = read_bgknown(data).mixtures
    calls = []

    def recording(part, targets_of, share, seed):
        calls.append((share, seed))
        return carve_stratified(part, targets_of, share, seed)

    monkeypatch.setattr(probing, "carve_stratified", recording)
    probing.probe_task(
        np.eye(120, 4),
        manifest_targets(mixtures, "accuracy"),
        probe_parts(mixtures),
        3,
        "accuracy",
        BGKNOWN,
        progress=False,
    )
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
