import numpy as np
import pytest
import torch

from byola_diff.audio.files import read_audio, write_wav
from byola_diff.evaluation.additivity.folders import list_events
from byola_diff.evaluation.additivity.polyphony import (
    file_pool,
    mix_sources,
    polyphony_curve,
    procedural_pool,
    ridge_scores,
    share_found,
    usable_labels,
)

RATE = 8000
N_LABELS, N_SAMPLES = 12, 400


@pytest.fixture(scope="module")
def tones():
    """Labels are frequencies with a whole number of periods in a clip, clips are phases."""
    time = torch.arange(N_SAMPLES) / N_SAMPLES

    def clips(number, phases):
        turns = torch.tensor(phases)[:, None] + (number + 3) * time
        return 0.05 * torch.sin(2 * torch.pi * turns)

    labels = [f"tone {number:02d}" for number in range(N_LABELS)]
    return {
        "train": {label: clips(number, [0.0, 0.2, 0.4]) for number, label in enumerate(labels)},
        "test": {label: clips(number, [0.1, 0.3]) for number, label in enumerate(labels)},
    }


def test_oracle_finds_everything(tones):
    def energies(waveform):
        return torch.fft.rfft(waveform).abs()[:, 3 : 3 + N_LABELS].square()

    curve = polyphony_curve(energies, tones, 160, seed=0)
    assert list(curve) == list(range(1, 9))
    assert min(curve.values()) == 1.0


def test_random_embeddings_are_at_chance(tones):
    generator = torch.Generator().manual_seed(0)
    curves = [
        polyphony_curve(lambda w: torch.randn(len(w), 16, generator=generator), tones, 400, seed)
        for seed in range(4)
    ]
    for n_sources in range(1, 9):
        mean = sum(curve[n_sources] for curve in curves) / len(curves)
        # A share of k labels over 200 mixtures: the deviation is below 0.28 / 200 ** 0.5.
        assert mean == pytest.approx(n_sources / N_LABELS, abs=0.07)


def test_mixtures_have_labels_in_turn_at_equal_loudness(tones):
    waveforms, present = mix_sources(tones, "train", range(16), seed=0)
    assert present.sum(1).tolist() == 2 * list(range(1, 9))
    power = torch.fft.rfft(waveforms).abs()[:, 3 : 3 + N_LABELS].square()
    torch.testing.assert_close(power > 1, present)
    assert waveforms.abs().max() <= 1


def test_a_mixture_depends_on_its_number_alone(tones):
    whole, all_present = mix_sources(tones, "test", range(10), seed=1)
    part, present = mix_sources(tones, "test", range(4, 7), seed=1)
    assert torch.equal(whole[4:7], part)
    assert torch.equal(all_present[4:7], present)
    assert not torch.equal(all_present, mix_sources(tones, "test", range(10), seed=2)[1])


def test_loud_mixtures_are_scaled_down(tones):
    loud = {"train": {name: 30 * clips for name, clips in tones["train"].items()}}
    peaks = mix_sources(loud, "train", range(8), seed=0)[0].abs().amax(1)
    assert peaks.max().item() == pytest.approx(1.0)


@pytest.mark.slow
def test_pool_of_procedural_events():
    pool = procedural_pool(0, RATE, 2000)
    assert len(pool["train"]) == len(pool["test"]) == 30
    again = procedural_pool(0, RATE, 2000)
    assert torch.equal(pool["test"]["bark"], again["test"]["bark"])
    assert not torch.equal(pool["test"]["bark"][0], pool["train"]["bark"][0])


def test_pool_of_files_keeps_files_apart(tmp_path):
    time = np.arange(2000) / RATE
    for label, n_files in (("a", 7), ("b", 2), ("single", 1)):
        for number in range(n_files):
            hz = 200.0 + 10 * number + 500 * (label == "b")
            path = tmp_path / label / f"{number}.wav"
            path.parent.mkdir(exist_ok=True)
            write_wav(path, 0.5 * np.sin(2 * np.pi * hz * time), RATE)
    files = list_events(tmp_path)
    assert usable_labels(files) == ["a", "b"]
    pool = file_pool(files, 0, RATE, 2000)
    assert [sorted(side) for side in (pool["train"], pool["test"])] == [["a", "b"]] * 2
    assert [len(pool["train"]["a"]), len(pool["test"]["a"])] == [5, 2]
    assert [len(pool["train"]["b"]), len(pool["test"]["b"])] == [1, 1]
    for test in pool["test"]["a"]:
        assert not any(torch.equal(test, train) for train in pool["train"]["a"])
    with pytest.raises(ValueError, match="1 labels have two event files or more"):
        usable_labels([file for file in files if file.label != "b"])


def test_ties_are_lost():
    scores = np.array([[0.9, 0.9, 0.1], [0.3, 0.2, 0.1], [0.5, 0.5, 0.5]])
    present = np.array([[True, False, False], [True, False, True], [True, True, False]])
    # A tie for the one place; one of two; the absent one takes one of two places.
    np.testing.assert_allclose(share_found(scores, present), [0, 0.5, 0.5])


def test_leave_one_out_is_that_of_fitting_again():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(30, 4)), rng.normal(size=(5, 4))
    present = train[:, :2] + 0.3 * rng.normal(size=(30, 2)) > 0
    scores = ridge_scores(train, present, test)
    standard = (train - train.mean(0)) / train.std(0)
    size = np.mean(np.linalg.svd(standard, compute_uv=False) ** 2)

    def fitted(rows, penalty):
        # The means stay those of all: an intercept that is left out would change them too.
        gram = standard[rows].T @ standard[rows] + size * penalty * np.eye(4)
        target = present[rows] - present.mean(0)
        return np.linalg.solve(gram, standard[rows].T @ target)

    penalties = 10.0 ** np.arange(-4, 3)
    every = np.arange(30)
    errors = [
        np.mean(
            [
                np.square(
                    present[row] - present.mean(0) - standard[row] @ fitted(every != row, penalty)
                )
                for row in every
            ]
        )
        for penalty in penalties
    ]
    best = fitted(every, penalties[int(np.argmin(errors))])
    expected = (test - train.mean(0)) / train.std(0) @ best + present.mean(0)
    np.testing.assert_allclose(scores, expected, atol=1e-9)


def test_constant_embeddings_and_bad_ones(tones):
    curve = polyphony_curve(lambda waveform: torch.ones(len(waveform), 3), tones, 80, seed=0)
    assert all(0 <= value <= 1 for value in curve.values())
    with pytest.raises(ValueError, match="NaN or infinite"):
        polyphony_curve(lambda w: torch.full((len(w), 3), torch.nan), tones, 80, seed=0)


def test_cuts_of_one_recording_stay_on_one_side(tmp_path):
    rows = []
    for label, hz in (("x", 500), ("y", 900)):
        for number in range(6):
            sound = 0.5 * np.sin(2 * np.pi * hz * np.arange(800) / RATE) * (number + 1) / 6
            write_wav(tmp_path / f"{label}{number}.wav", sound, RATE)
            rows.append(f"{label}{number}.wav,{label},train,{label}{number // 3}")
    table = tmp_path / "m.csv"
    table.write_text("\n".join(["file,label,split,group", *rows]) + "\n")
    pool = file_pool(list_events(table), 0, RATE, 800)
    # Three cuts of each recording; by files it would be two of six for the test.
    assert [len(pool[side]["x"]) for side in ("train", "test")] == [3, 3]
    one_each = [row.rpartition(",")[0] + ",g" + row[0] for row in rows]
    table.write_text("\n".join(["file,label,split,group", *one_each]) + "\n")
    with pytest.raises(ValueError, match="0 labels have two"):
        usable_labels(list_events(table))


def test_recordings_of_several_labels_stay_on_one_side(tmp_path):
    rows = []
    for number in range(9):
        cut = 0.5 * np.random.default_rng(number).uniform(-1, 1, 2400)
        write_wav(tmp_path / f"r{number}.wav", cut, RATE)
        rows += [f"r{number}.wav,x,g{number},0,0.1", f"r{number}.wav,y,g{number},0.2,0.1"]
    table = tmp_path / "m.csv"
    table.write_text("\n".join(["file,label,group,start_s,duration_s", *rows]) + "\n")
    events = list_events(table)  # which needs no splits
    for seed in range(5):
        pool = file_pool(events, seed, RATE, 800)
        sides = {}
        for side in ("train", "test"):
            for label, start in (("x", 0), ("y", 1600)):
                for clip in pool[side][label]:
                    number = nearest(clip, tmp_path, start)
                    assert sides.setdefault(number, side) == side
        assert len(sides) == 9


def nearest(clip, folder, start):
    """Number of the recording that a clip is of, by correlation."""
    cuts = [read_audio(folder / f"r{number}.wav")[0][start : start + 800] for number in range(9)]
    return int(np.argmax([np.dot(cut, clip.numpy()) for cut in cuts]))


def test_a_label_without_a_side_is_told(tmp_path):
    rows = []
    for name, labels in (("a", "xy"), ("b", "xyz"), ("c", "xz"), ("d", "yz")):
        write_wav(tmp_path / f"{name}.wav", np.sin(np.arange(2400)) / 2, RATE)
        rows += [f"{name}.wav,{label},{0.1 * place:g},0.1" for place, label in enumerate(labels)]
    table = tmp_path / "m.csv"
    table.write_text("\n".join(["file,label,start_s,duration_s", *rows]) + "\n")
    told = set()
    for seed in range(30):
        try:
            file_pool(list_events(table), seed, RATE, 800)
        except ValueError as error:
            told.add(str(error).partition(":")[0])
    assert told
    assert all("have other labels too" in text for text in told)
