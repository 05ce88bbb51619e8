import numpy as np
import pytest
import torch
from torch import nn

from byola_diff.audio.files import write_wav
from byola_diff.command_line import read_options
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.run import AdditivityOptions, additivity_job
from byola_diff.reports.extras import read_extras
from byola_diff.scores import read_records, write_record

pytestmark = pytest.mark.slow

RATE = 8000


class Spectrum(nn.Module):
    """Scene: magnitudes of 32 bands."""

    sample_rate = RATE
    scene_embedding_size = timestamp_embedding_size = 32
    layer_strides = {"a": 1}  # noqa: RUF012

    def scene(self, waveform):
        assert torch.is_inference_mode_enabled()
        assert len(waveform) <= 16
        return torch.fft.rfft(waveform).abs()[:, :960].reshape(len(waveform), 32, -1).mean(2)

    def timestamps(self, waveform):
        raise NotImplementedError

    def layers(self, waveform):
        raise NotImplementedError


def named(name="spectrum"):
    return NamedEncoder(name, Spectrum(), "ab" * 32)


def options(tmp_path, *words):
    given = ["--encoder", "spectrum", "--batch-size", 16, "--out", tmp_path / "out", *words]
    return read_options(
        AdditivityOptions, [str(word) for word in given], prog="additivity", description=None
    )


SMALL = ("--events", 12, "--duration-s", 1, "--snr-db", 10, -10, 0, "--polyphony-clips", 40)


def test_record_and_picture(tmp_path):
    job = additivity_job(options(tmp_path, *SMALL, "--seeds", 0, 1))
    assert (job.protocol, job.task) == ("additivity", "procedural")
    [record] = job.records(named())
    raw = record.model_dump()
    again = next(iter(job.records(named())))
    assert record.curves == again.curves
    assert list(raw["scores"]) == ["cosine", "raw_cosine", "recall@1", "recall@5"]
    assert list(raw["curves"]) == ["cosine", "raw_cosine", "recall@1", "recall@5", "polyphony"]
    for metric, score in raw["scores"].items():
        assert raw["curves"][metric]["values"]["0"] == score["values"]
    assert raw["curves"]["recall@5"]["chance"]["10"] == pytest.approx(5 / 12)
    assert raw["curves"]["polyphony"]["chance"]["3"] == pytest.approx(3 / 30)
    assert raw["settings"]["snr_db"] == [-10, 0, 10]
    assert raw["settings"]["deviations"] == [
        "events: 12",
        "snr_db: [-10.0, 0.0, 10.0]",
        "duration_s: 1.0",
        "seeds: [0, 1]",
    ]
    write_record(tmp_path / "out", record)
    [read] = read_records(tmp_path / "out").scored
    assert list(read.curves["cosine"].points()) == [-10, 0, 10]
    pytest.importorskip("matplotlib")
    [exhibit], problems = read_extras(tmp_path / "out")
    assert not problems
    assert exhibit.section == "Additivity"
    assert "2 more labels are left out" in exhibit.parts[0].caption


@pytest.mark.parametrize(("snrs_db", "main"), [((-10, -4, 4), 4), ((-3, 8), -3), ((5, 0), 0)])
def test_main_ratio_is_the_one_nearest_0(tmp_path, snrs_db, main):
    assert additivity_job(options(tmp_path, "--snr-db", *snrs_db)).settings["main_snr_db"] == main


def test_other_seeds_make_another_file(tmp_path):
    words = ("--events", 3, "--duration-s", 0.5, "--snr-db", 0, "--polyphony-clips", 0)
    for seeds in ((0, 1), (2,)):
        job = additivity_job(options(tmp_path, *words, "--seeds", *seeds))
        [record] = job.records(named())
        write_record(tmp_path / "out", record)
    assert len(list((tmp_path / "out").glob("*.json"))) == 2


def test_without_polyphony_and_without_0_db(tmp_path):
    words = ("--events", 4, "--duration-s", 1, "--snr-db", -8, 6, "--polyphony-clips", 0)
    job = additivity_job(options(tmp_path, *words, "--seeds", 0))
    raw = next(iter(job.records(named()))).model_dump()
    assert "polyphony" not in raw["curves"]
    assert raw["settings"]["main_snr_db"] == 6
    assert raw["settings"]["deviations"][-1] == "scores at 6 dB"
    assert raw["scores"]["cosine"]["values"] == raw["curves"]["cosine"]["values"]["6"]


def test_plan_counts_clips_and_renders_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "byola_diff.evaluation.additivity.run.event_sounds",
        lambda *_: pytest.fail("rendered"),
    )
    [line] = additivity_job(options(tmp_path, *SMALL, "--seeds", 0, 1)).plan(named())
    # Per seed: two sides of 12 events, three mixtures and two levels of background; 80 mixtures.
    assert "12 events, each for 2 seeds, at -10, 0, 10 dB" in line
    assert f"{2 * (2 * 12 * 5 + 80)} clips of 1 s" in line
    assert additivity_job(options(tmp_path)).settings["deviations"] == []


def test_encoders_share_the_sounds(tmp_path, monkeypatch):
    from byola_diff.evaluation.additivity import run as additivity_runs

    made, make = [], additivity_runs.event_sounds
    monkeypatch.setattr(
        additivity_runs, "event_sounds", lambda *words: made.append(words[-2:]) or make(*words)
    )
    words = ("--events", 3, "--duration-s", 1, "--polyphony-clips", 0, "--seeds", 0, 1)
    job = additivity_job(options(tmp_path, *words))
    for name in ("a", "b"):
        list(job.records(named(name)))
    assert made == [(0, RATE), (1, RATE)]


def test_folders(tmp_path):
    time = np.arange(4000) / RATE
    for folder in ("events/a", "events/b", "long"):
        for number in range(3):
            path = tmp_path / folder / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            hz = 300.0 + 100 * number + 30 * len(folder)
            write_wav(path, 0.5 * np.sin(2 * np.pi * hz * time), RATE)
    folders = ("--event-folder", tmp_path / "events", "--background-folder", tmp_path / "long")
    words = (*folders, "--duration-s", 0.25, "--seeds", 0)
    job = additivity_job(options(tmp_path, *words, "--events", 6, "--polyphony-clips", 8))
    raw = next(iter(job.records(named()))).model_dump()
    assert job.task == "events/long"
    assert raw["settings"]["max_sources"] == 2
    assert list(raw["curves"]["polyphony"]["values"]) == ["1", "2"]
    assert raw["settings"]["n_background_files"] == 3
    with pytest.raises(ValueError, match="200 events asked for, but there are 6"):
        additivity_job(options(tmp_path, *words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--events", 1), "at least two events"),
        (("--seeds", 3, 3), "a seed occurs twice in 3 3"),
        (("--duration-s", 0.01), r"--duration-s 0\.01: at least 0\.05 s"),
        (("--polyphony-clips", 7), "--polyphony-clips 7: with mixtures of 1 to 8 sources"),
    ],
)
def test_what_can_not_be_measured(tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        additivity_job(options(tmp_path, *words))


@pytest.mark.parametrize(
    "words", [("--snr-db", "nan"), ("--snr-db", "70"), ("--polyphony-clips", "-1")]
)
def test_values_that_can_not_be_used(tmp_path, words, capsys):
    with pytest.raises(SystemExit):
        options(tmp_path, *words)
    assert f"argument {words[0]}: '{words[1]}'" in capsys.readouterr().err or words[1] == "-1"
