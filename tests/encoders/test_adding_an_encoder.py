"""An encoder is added in one file: the steps that CONTRIBUTING.md gives, done here."""

import importlib
import itertools
import sys

import pytest
import torch

from byola_diff.encoders import registry
from byola_diff.encoders.open import check_spec, open_encoder
from byola_diff.models.precision import bfloat16_networks
from tests.corpus import write_corpus
from tests.encoders.hear_contract import assert_hear_contract

FILE = '''
"""Level and slope of every 10 ms."""

from pathlib import Path

import torch
from torch import nn

from byola_diff.encoders.manifest_statistics import Corpus
from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.weights import WeightsSource, fill, read_tensors


class LevelEncoder(FrozenEncoder):
    """Two features a frame, weighted."""

    sample_rate = 16_000
    scene_embedding_size = timestamp_embedding_size = 2
    layer_strides = {"level": 1}
    stride_samples = twice_first_center = 160

    def __init__(self, offset, window_s=10.0):
        super().__init__(window_s)
        self.offset = offset
        self.head = nn.Linear(2, 2)
        self.freeze()

    def settings(self):
        return {"offset": self.offset}

    def samples_for(self, n_frames):
        return 160 * n_frames

    def _layers(self, waveform):
        return {"level": self._frames(waveform)}

    def _frames(self, waveform):
        frames = waveform.unfold(1, 160, 160)
        return self.head(torch.stack([frames.std(2), frames.diff(dim=2).mean(2)], 2)) + self.offset


def load_level(weights: Path, offset: float = 0.0, corpus: Corpus | None = None) -> LevelEncoder:
    """The encoder with the weights of a file."""
    encoder = LevelEncoder(offset + (corpus is not None))
    fill(encoder.head, read_tensors(weights, WeightsSource("Level", "level.pth", "here")), weights)
    return encoder
'''

_numbers = itertools.count()


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "level.pth")
    return tmp_path / "level.pth"


@pytest.fixture
def write_encoder(tmp_path, monkeypatch):
    """Write the file of an encoder; returns the import name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text=FILE):
        name = f"level_encoder_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return name

    return write


def test_a_file_outside_the_package(write_encoder, weights):
    spec = f"python:{write_encoder()}:load_level:{weights}"
    check_spec(spec)
    named = open_encoder(spec)
    assert named.name == spec
    assert_hear_contract(named.encoder)
    fused = open_encoder(f"{spec}[level]")
    waveform = torch.rand(1, 8000) - 0.5
    torch.testing.assert_close(fused.encoder.scene(waveform), named.encoder.scene(waveform))


def test_a_line_in_the_registry_makes_it_a_kind(write_encoder, weights, monkeypatch):
    loader = importlib.import_module(write_encoder()).load_level
    monkeypatch.setitem(registry.KINDS, "level", registry.of_file("level:FILE", loader))
    check_spec(f"level:{weights}")
    assert_hear_contract(open_encoder(f"level:{weights}").encoder)
    with pytest.raises(ValueError, match="'level' lacks its weights, as in level:FILE"):
        open_encoder("level")


def test_options_in_yaml_and_statistics_of_the_task(write_encoder, weights, tmp_path):
    module = write_encoder()
    config = tmp_path / "level.yaml"
    text = f"encoder: python:{module}:load_level\nweights: {weights}\noptions: {{offset: 2.5}}"
    config.write_text(text)
    assert open_encoder(str(config)).encoder.offset == 2.5
    assert open_encoder(str(config), write_corpus(tmp_path)).encoder.offset == 3.5
    config.write_text(text.replace("offset", "ofset"))
    with pytest.raises(ValueError, match="python: unknown key 'ofset', did you mean 'offset'"):
        open_encoder(str(config))


def test_other_code_weights_or_settings_have_another_hash(write_encoder, weights, tmp_path):
    other = tmp_path / "other.pth"
    torch.save(torch.nn.Linear(2, 2).state_dict(), other)
    module, edited = write_encoder(), write_encoder(FILE.replace("std(2)", "amax(2)"))
    (tmp_path / "o.yaml").write_text(
        f"encoder: python:{module}:load_level\nweights: {weights}\noptions: {{offset: 1.0}}"
    )
    specs = [f"python:{module}:load_level:{path}" for path in (weights, other)]
    specs += [f"python:{edited}:load_level:{weights}", str(tmp_path / "o.yaml")]
    assert len({open_encoder(spec).content_hash for spec in specs}) == 4
    assert open_encoder(specs[0]).content_hash == open_encoder(specs[0]).content_hash


@pytest.mark.parametrize("file", ["scale.txt", "beside_the_encoder.py"])
def test_what_lies_beside_it_and_is_read_counts(write_encoder, weights, tmp_path, file):
    for name in ("scale.txt", "beside_the_encoder.py"):
        (tmp_path / name).write_text("")
    sys.modules.pop("beside_the_encoder", None)  # that of another folder
    text = f"{FILE}\nimport beside_the_encoder\nSCALE = Path(__file__).with_name('scale.txt')\n"
    spec = f"python:{write_encoder(text)}:load_level:{weights}"
    before = open_encoder(spec).content_hash
    (tmp_path / file).write_text("2")
    assert open_encoder(spec).content_hash != before


@pytest.mark.parametrize(
    ("what", "error", "match"),
    [
        ("", ValueError, "is not python:MODULE:FUNCTION"),
        ("{module}", ValueError, "is not python:MODULE:FUNCTION"),
        ("{module}:load", ValueError, "has no function 'load', did you mean 'load_level'"),
        ("{module}_not:load", ModuleNotFoundError, "no module .*: install .* PYTHONPATH"),
        ("{module}:load_level", ValueError, "weights: is missing"),
        ("{module}:load_level:none.pth", FileNotFoundError, "no weights of Level at none.pth"),
        ("{module}:no_encoder", ValueError, "gives a Linear: it must be an nn.Module with all"),
    ],
)
def test_what_goes_wrong(write_encoder, what, error, match):
    module = write_encoder(f"{FILE}\n\ndef no_encoder():\n    return nn.Linear(1, 1)\n")
    with pytest.raises(error, match=match):
        open_encoder(f"python:{what.format(module=module)}")


def test_two_functions_of_a_file_are_two_encoders(write_encoder, weights):
    text = FILE.replace('"offset": self.offset', "")
    other = "\n\ndef load_high(weights: Path):\n    return load_level(weights, 9.0)\n"
    module = write_encoder(text + other)
    specs = [f"python:{module}:{name}:{weights}" for name in ("load_level", "load_high")]
    first, second = map(open_encoder, specs)
    assert first.content_hash != second.content_hash


def test_statistics_kept_as_plain_numbers_are_another_encoder(write_encoder, tmp_path):
    text = FILE.replace('"offset": self.offset', "").partition("def load_level")[0]
    text += """
from byola_diff.audio.log_mel import LogMel
from byola_diff.encoders.manifest_statistics import log_mel_moments

def load_moments(corpus: Corpus | None = None):
    return LevelEncoder(log_mel_moments(corpus, LogMel())[0])
"""
    spec = f"python:{write_encoder(text)}:load_moments"
    hashes = []
    for n_clips in (12, 9, 12):
        torch.manual_seed(0)  # the head is not trained
        corpus = write_corpus(tmp_path / str(len(hashes)), n_clips)
        hashes.append(open_encoder(spec, corpus).content_hash)
    assert hashes[0] == hashes[2] != hashes[1]


def test_code_of_others_is_not_rounded(write_encoder, weights):
    encoder = open_encoder(f"python:{write_encoder()}:load_level:{weights}").encoder
    waveform = torch.rand(1, 8000) - 0.5
    expected = encoder.scene(waveform), encoder.timestamps(waveform)[0]
    with bfloat16_networks(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.scene(waveform), expected[0])
        assert torch.equal(encoder.timestamps(waveform)[0], expected[1])
