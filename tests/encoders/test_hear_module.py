import importlib
import itertools

import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.ensemble import EnsembleEncoder, Member
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.hear_module import load_hear_module
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.precision import bfloat16_networks
from tests.bundles import write_bundle
from tests.encoders.fake_encoders import FakeSpeech

# Frames of 800 samples, 50 ms: power and mean of each. The scene is their mean.
GOOD = """
from pathlib import Path
import torch

class Model(torch.nn.Module):
    sample_rate = 16000
    scene_embedding_size = 2
    timestamp_embedding_size = 2

    def __init__(self, gain):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(float(gain)))

def load_model(model_file_path="", gain=1.0):
    if model_file_path:
        gain = float(Path(model_file_path).read_text())
    return Model(gain)

def get_timestamp_embeddings(audio, model):
    frames = audio[:, : audio.shape[1] // 800 * 800].reshape(len(audio), -1, 800)
    embeddings = model.gain * torch.stack([frames.square().mean(2), frames.mean(2)], dim=2)
    timestamps = 25.0 + 50.0 * torch.arange(embeddings.shape[1])
    return embeddings, timestamps.repeat(len(audio), 1)

def get_scene_embeddings(audio, model):
    return get_timestamp_embeddings(audio, model)[0].mean(1)
"""

_numbers = itertools.count()


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """Write a HEAR module with a part of it replaced; returns its import name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(old="", new=""):
        assert old in GOOD
        name = f"hear_fake_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(GOOD.replace(old, new, 1) if old else GOOD)
        importlib.invalidate_caches()
        return name

    return write


def noise(batch, n_samples):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_embeddings_are_those_of_the_module(write_module):
    encoder = load_hear_module(write_module(), gain=3.0)
    waveform = noise(2, 1600)
    embeddings, centers_ms = encoder.timestamps(waveform)
    assert centers_ms.tolist() == [[25.0, 75.0]] * 2
    expected = 3 * waveform[1, 800:].square().mean()
    torch.testing.assert_close(embeddings[1, 1, 0], expected)
    torch.testing.assert_close(encoder.scene(waveform), embeddings.mean(1))
    assert list(encoder.layers(waveform)) == list(encoder.layer_strides) == ["embedding"]
    torch.testing.assert_close(encoder.layers(waveform)["embedding"], embeddings)
    assert not embeddings.requires_grad
    assert not encoder.train().training
    assert not encoder.one_at_a_time


def test_weights_are_found_by_their_path(write_module, tmp_path):
    (tmp_path / "gain.txt").write_text("2.5")
    encoder = load_hear_module(write_module(), str(tmp_path / "gain.txt"))
    assert encoder.model.gain.item() == 2.5


def test_missing_weights_are_named(write_module, tmp_path):
    name, missing = write_module(), str(tmp_path / "w.pt")
    with pytest.raises(FileNotFoundError, match=rf"no weights at .*w\.pt, .* {name}\.load_model"):
        load_hear_module(name, missing)
    # The file is there, so what is missing is another one: the module's own words.
    other = write_module("    if model_file_path:", "    Path('other.txt').read_text()\n    if 0:")
    (tmp_path / "w.pt").touch()
    with pytest.raises(FileNotFoundError, match=r"^\[Errno 2\].*other\.txt"):
        load_hear_module(other, missing)


def test_clips_are_encoded_one_at_a_time_if_they_depend_on_each_other(write_module):
    name = write_module("return get_timestamp_embeddings(audio, model)[0].mean(1)",
        "return get_timestamp_embeddings(audio / audio.abs().max(), model)[0].mean(1)")  # fmt: skip
    encoder = load_hear_module(name)
    assert encoder.one_at_a_time
    waveform = noise(3, 1600) * torch.tensor([[0.1], [1.0], [0.01]])
    together = encoder.scene(waveform)
    alone = torch.cat([encoder.scene(clip) for clip in waveform.split(1)])
    assert torch.equal(together, alone)
    assert encoder.timestamps(waveform)[0].shape == (3, 2, 2)


SCENE = "return get_timestamp_embeddings(audio, model)[0].mean(1)"
FRAMES = "return embeddings, timestamps.repeat(len(audio), 1)"


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("def get_scene_embeddings", "def scenes", "no HEAR module: it has no get_scene_embedd"),
        ("sample_rate = 16000", "", "sample_rate of its model must be one of 16000, .* not None"),
        ("sample_rate = 16000", "sample_rate = 8000", "one of 16000, 22050, .* 48000, not 8000"),
        ("class Model(torch.nn.Module)", "class Model", "must return a torch.nn.Module, not Model"),
        ("scene_embedding_size = 2", "scene_embedding_size = 2.0", "scene_embedding_size .* 2.0"),
        (SCENE, f"{SCENE}.double()", "scene_embeddings must give .* float32, not torch.float64"),
        (SCENE, f"{SCENE}.numpy()", "fails on scene embeddings of .*TypeError"),
        (SCENE, f"{SCENE}[:1]", r"scene_embeddings: two clips .* gave \[1, 2\], expected \[2, 2\]"),
        (SCENE, f"{SCENE}[:, :1]", r"scene_embeddings: .* gave \[2, 1\], expected \[2, 2\]"),
        (SCENE, f"{SCENE} * float('nan')", "NaN"),
        (SCENE, "return torch.rand(2, 2)", "another embedding each time"),
        (SCENE, "raise RuntimeError('no GPU')", "fails on scene embeddings .* no GPU"),
        (FRAMES, f"{FRAMES} / 1000", "last timestamp of a clip of 1000 ms is 0.975: in seconds"),
        (FRAMES, f"{FRAMES} * 16", "leave the clip"),
        (FRAMES, f"{FRAMES} - 50", "leave the clip"),
        (FRAMES, f"{FRAMES} ** 2 / 1000", "evenly spaced"),
        (FRAMES, f"{FRAMES} * 0", "do not grow"),
        (FRAMES, f"{FRAMES}[:, 1:]", r"gave \[2, 19\], expected \[2, 20\] as timestamps"),
        ("timestamp_embedding_size = 2", "timestamp_embedding_size = 3", r"\[2, 20, 2\], expec.*3"),
        (FRAMES, FRAMES.replace("embeddings", "embeddings.double()"), "not torch.float64"),
        (FRAMES, "return embeddings, None", "fails on timestamp embeddings"),
    ],
)  # fmt: skip
def test_modules_that_break_the_api(write_module, old, new, match):
    name = write_module(old, new)
    with pytest.raises(ValueError, match=match) as error:
        load_hear_module(name)
    assert name in str(error.value)


def test_modules_that_can_not_be_imported(write_module):
    with pytest.raises(ModuleNotFoundError, match="no module 'hear_nothing': install"):
        load_hear_module("hear_nothing")
    with pytest.raises(ModuleNotFoundError, match="No module named 'dependency_of_it'"):
        load_hear_module(write_module("import torch", "import torch, dependency_of_it"))
    with pytest.raises(ValueError, match=r"load_model does not take this: .*gains"):
        load_hear_module(write_module(), gains=1)


def test_hash_tells_code_weights_and_options(write_module, tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("1.0")
    second.write_text("1.00")  # another file, the same model
    name = write_module()
    encoders = [
        load_hear_module(name),
        load_hear_module(name, gain=2.0),
        load_hear_module(name, gain=1.0),
        load_hear_module(name, str(first)),
        load_hear_module(name, str(second)),
        load_hear_module(write_module()),
    ]
    assert len({content_hash(encoder) for encoder in encoders}) == len(encoders)
    copy = tmp_path / "copy.txt"
    copy.write_text("1.0")
    moved = load_hear_module(name, str(copy))
    assert content_hash(moved) == content_hash(load_hear_module(name, str(first)))


def test_hash_tells_versions_of_the_code(write_module, tmp_path, monkeypatch):
    name = write_module()
    before = content_hash(load_hear_module(name))
    (tmp_path / f"{name}.py").write_text(GOOD + "# new")
    assert content_hash(load_hear_module(name)) != before


def test_hash_tells_the_other_modules_of_a_package(tmp_path, monkeypatch):
    package = tmp_path / f"hear_package_{next(_numbers)}"
    (package / "deep").mkdir(parents=True)
    (package / "deep" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "network.py").write_text(GOOD)
    (package / "deep" / "api.py").write_text("from ..network import *")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    name = f"{package.name}.deep.api"
    before = content_hash(load_hear_module(name))
    (package / "mean.txt").write_text("data of the package")
    with_data = content_hash(load_hear_module(name))
    assert with_data != before
    (package / "deep" / "__pycache__").mkdir(exist_ok=True)
    (package / "deep" / "__pycache__" / "x.pyc").touch()
    assert content_hash(load_hear_module(name)) == with_data
    (package / "network.py").write_text(f"{GOOD}# new")
    assert content_hash(load_hear_module(name)) != before


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("import {front}", "{front}.py"),
        ("def lazily(): from {front} import gain", "{front}.py"),
        ("import importlib; importlib.import_module('{front}')", "{front}.py"),
        ("import {front}_nets.layers", "{front}_nets/layers/deep.py"),
        ("import {front}", "{front}_deeper.py"),
        ("MEAN = Path(__file__).with_name('mean.txt').read_text()", "mean.txt"),
        ("MEAN = (Path(__file__).parent / 'assets' / 'mean.txt').read_text()", "assets/mean.txt"),
    ],
)
def test_hash_tells_all_that_a_module_reads_from_beside_it(write_module, tmp_path, line, file):
    front = f"front_{next(_numbers)}"
    for name in ("{front}.py", "{front}_deeper.py", "{front}_nets/layers/deep.py", "mean.txt",
                 "assets/mean.txt", "{front}_nets/layers/__init__.py"):  # fmt: skip
        path = tmp_path / name.format(front=front)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"import {front}_deeper" if name == "{front}.py" else "")
    name = write_module("import torch", f"import torch\n{line.format(front=front)}")
    before = content_hash(load_hear_module(name))
    (tmp_path / "notes.txt").write_text("of no use to it")
    (tmp_path / "another.py").write_text("import torch")
    assert content_hash(load_hear_module(name)) == before
    (tmp_path / file.format(front=front)).write_text("gain = 2")
    assert content_hash(load_hear_module(name)) != before


def test_a_module_may_change_what_it_gets_and_reuse_what_it_gave(write_module):
    name = write_module(
        "def get_scene_embeddings(audio, model):",
        "KEPT = {}\n\ndef get_scene_embeddings(audio, model):\n"
        "    given = get_timestamp_embeddings(audio, model)[0].mean(1)\n"
        "    audio.mul_(0)\n"
        "    return KEPT.setdefault(given.shape, given).copy_(given)\n\n"
        "def unused(audio, model):",
    )
    encoder, waveform = load_hear_module(name), noise(2, 1600)
    before = waveform.clone()
    first = encoder.scene(waveform)
    expected = encoder.timestamps(waveform)[0].mean(1)
    encoder.scene(noise(2, 3200) / 7)
    assert torch.equal(waveform, before)
    torch.testing.assert_close(first, expected)


def test_a_module_that_needs_some_samples_has_widths(write_module):
    needs = "    assert audio.shape[1] >= 400 and audio.abs().max() > 0"
    head = "def get_timestamp_embeddings(audio, model):"
    encoder = load_hear_module(write_module(head, f"{head}\n{needs}"))
    both = EnsembleEncoder([Member(encoder), Member(FakeSpeech(6))], "concat")
    assert both.scene(noise(1, 1600)).shape == (1, 8)
    assert FusedEncoder(encoder, ["embedding"]).scene_embedding_size == 2
    with pytest.raises(ValueError, match=r"hear_fake_.* of 2 clips of 300 samples at 16000 Hz: As"):
        encoder.scene(noise(2, 300))


@pytest.mark.parametrize("rate", [16_000, 22_050, 32_000, 44_100, 48_000])
def test_rates_of_hear(write_module, rate):
    name = write_module("sample_rate = 16000", f"sample_rate = {rate}")
    source = importlib.import_module(name)
    source.get_timestamp_embeddings = _frames_of(rate)
    assert load_hear_module(name).sample_rate == rate


def _frames_of(rate):
    def get_timestamp_embeddings(audio, model):
        size = rate // 10
        frames = audio[:, : audio.shape[1] // size * size].reshape(len(audio), -1, size)
        embeddings = torch.stack([frames.square().mean(2), frames.mean(2)], dim=2)
        return embeddings, (50.0 + 100 * torch.arange(embeddings.shape[1])).repeat(len(audio), 1)

    return get_timestamp_embeddings


def test_our_own_hear_module(tmp_path):
    torch.manual_seed(0)
    encoder = AudioEncoder(LogMel(), Normalize(-9.0, 4.5), AudioNTT2020(dim=48))
    write_bundle(tmp_path / "bundle", encoder)
    hear = load_hear_module("byola_diff.hear", str(tmp_path / "bundle"))
    bundle = load_encoder(tmp_path / "bundle")
    waveform = noise(2, 20_000)
    assert not hear.one_at_a_time
    assert hear.sample_rate == 16_000
    torch.testing.assert_close(hear.scene(waveform), bundle.scene(waveform))
    for found, expected in zip(hear.timestamps(waveform), bundle.timestamps(waveform), strict=True):
        torch.testing.assert_close(found, expected)


def test_our_own_hear_module_keeps_the_contract(tmp_path, check_hear_contract):
    encoder = AudioEncoder(LogMel(), Normalize(-9.0, 4.5), AudioNTT2020(dim=48))
    write_bundle(tmp_path / "bundle", encoder)
    check_hear_contract(load_hear_module("byola_diff.hear", str(tmp_path / "bundle")))


def test_input_is_checked(write_module):
    encoder = load_hear_module(write_module())
    with pytest.raises(ValueError, match="batch, sample"):
        encoder.scene(torch.zeros(16_000))
    with pytest.raises(TypeError, match="float"):
        encoder.layers(torch.zeros(1, 16_000, dtype=torch.int16))


def test_a_module_of_others_is_not_rounded(write_module):
    mixed = "embeddings = embeddings @ torch.tensor([[1.0, 1 / 3], [1 / 7, 1.0]])"
    encoder = load_hear_module(write_module("timestamps =", f"{mixed}\n    timestamps ="))
    waveform = torch.rand(2, 8000) - 0.5
    expected = encoder.scene(waveform)
    with bfloat16_networks(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.scene(waveform), expected)
