"""What is to be pasted, run in the real suites where they are installed."""

import io
import json
import tarfile
from functools import partial

import numpy as np
import pytest
import soundfile
import torch

from byola_diff.adapters.mteb import model_meta
from byola_diff.adapters.paste import pasted
from tests.helpers import uniform_noise

SMALL = "byola-diff-small"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the suites
]


def suite(name, *more):
    """The module of a suite; the test is skipped where that, or what it loads, is missing."""
    for module in more:
        pytest.importorskip(module, exc_type=(ImportError, OSError, RuntimeError))
    return pytest.importorskip(name)


def run(code):
    scope = {}
    exec(code, scope)
    return scope


def tone(label, number, sampling_rate=16_000, duration_s=0.5):
    """Low for label 0, high for 1; no two alike."""
    time = np.arange(round(duration_s * sampling_rate)) / sampling_rate
    return 0.3 * np.sin(2 * np.pi * ((300, 3000)[label] + 10 * number) * time).astype(np.float32)


def test_mteb(monkeypatch, tmp_path, capsys):
    mteb = suite("mteb", "torchcodec")  # needs FFmpeg
    datasets = pytest.importorskip("datasets")
    from mteb.mocks.mock_tasks import MockAudioClassification

    class Tones(MockAudioClassification):
        """Clips of two rates."""

        def load_data(self, **options):
            def rows(first):
                labels = [label for number in range(8) for label in (0, 1)]
                audio = [
                    {"array": tone(label, first + n, rate), "sampling_rate": rate}
                    for n, label in enumerate(labels)
                    for rate in [44_100 if n % 3 == 2 else 16_000]
                ]
                return datasets.Dataset.from_dict({"audio": audio, "label": labels})

            self.dataset = datasets.DatasetDict({"train": rows(0), "test": rows(16)})
            self.data_loaded = True

    cache = mteb.ResultCache(tmp_path)
    monkeypatch.setattr(mteb, "evaluate", partial(mteb.evaluate, cache=cache))
    known = mteb.get_benchmark
    # The name has to be known, but its tasks would be downloaded.
    monkeypatch.setattr(mteb, "get_benchmark", lambda name: [Tones()] * bool(known(name)))
    scope = run(pasted("mteb", SMALL))
    assert "✓ (7/7)" in capsys.readouterr().out
    [result] = scope["results"].task_results
    assert result.get_score() == 1.0
    meta = scope["model"].mteb_model_meta
    assert meta.revision == model_meta(SMALL).revision != model_meta("byola-diff").revision
    assert str(meta.revision) in str(list(tmp_path.rglob("*.json")))


def test_facts_for_mteb():
    suite("mteb")
    meta = model_meta("byola-diff", release_date="2026-11-29")
    assert (meta.name, meta.embed_dim, meta.license) == ("byola-diff/byola-diff", 3072, "mit")
    assert (meta.modalities, meta.training_datasets) == (["audio"], set())
    assert meta.release_date == "2026-11-29"
    other = model_meta("byola-diff-small[fc1,output]", name="mine/small")
    assert (other.name, other.embed_dim, other.license) == ("mine/small", 1024, None)
    assert other.training_datasets is None
    assert model_meta("byola-diff-small[fc1]").name == "byola-diff/byola-diff-small-fc1"


def write_tar(path, split):
    """Clips of one split of a task of X-ARES."""
    with tarfile.open(path, "w") as tar:
        for number in range(16):
            label, wav = number % 2, io.BytesIO()
            soundfile.write(wav, tone(label, number + 16 * split, 44_100), 44_100, format="WAV")
            row = json.dumps({"label": label}).encode()
            for suffix, content in (("wav", wav.getvalue()), ("json", row)):
                member = tarfile.TarInfo(f"{split}_{number}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def test_xares(monkeypatch, tmp_path):
    suite("xares", "torchcodec")  # torchaudio reads by it
    from xares.audio_encoder_checker import check_audio_encoder
    from xares.task import TaskConfig, XaresTask
    from xares.utils import attr_from_py_path

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "byola_diff_encoder.py").write_text(pasted("xares", SMALL))
    encoder = attr_from_py_path("byola_diff_encoder.py", endswith="Encoder")()
    assert check_audio_encoder(encoder)
    task = XaresTask(
        TaskConfig(
            name="tones",
            encoder=encoder,
            env_root=tmp_path,
            output_dim=2,
            label_processor=lambda row: row["label"],
            num_encoder_workers=0,
        )
    )
    for number, split in enumerate(["train", "valid", "test"]):
        write_tar(task.env_dir / f"{split}00000.tar", number)
    (task.env_dir / task.config.xares_settings.audio_ready_filename).touch()
    task.make_encoded_tar()
    assert task.run_mlp() == (1.0, 0)
    assert task.run_knn()[0] == 1.0
    assert type(encoder).__name__ in str(task.encoded_tar_dir)


def test_s3prl():
    pytest.importorskip("s3prl")
    scope = run(pasted("s3prl", SMALL))
    upstream, featurizer = scope["upstream"], scope["featurizer"]
    assert (upstream.num_layers, upstream.hidden_sizes) == (4, [512] * 4)
    assert featurizer.downsample_rate == 1280
    for lengths in ([16_000, 50_000], [1, 3], [800, 700]):
        wavs = 0.1 * uniform_noise(2, max(lengths))
        states, state_lengths = upstream(wavs, torch.tensor(lengths))
        summed, _ = featurizer(states, state_lengths)
        assert [-(-length // 1280) for length in lengths] == state_lengths[0].tolist()
        assert summed.shape == (2, max(state_lengths[0]), 512)
        assert summed.isfinite().all()
    clip = wavs[:1].repeat(1, 40)
    expected = upstream.upstream.encoder.timestamps(clip)[0]
    found = upstream(clip, torch.tensor([clip.shape[1]]))[0][-1]
    torch.testing.assert_close(found[:, : expected.shape[1]], expected)
