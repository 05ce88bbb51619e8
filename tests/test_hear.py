"""The HEAR API, called as the validator and the evaluation kit call it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import byola_diff
from byola_diff import hear
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.models.cnn import AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from tests.bundles import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(0)
    encoder = AudioEncoder(LogMel(), Normalize(-9.0, 4.5), AudioNTT2022(dim=1060))
    folder = tmp_path_factory.mktemp("hear") / "bundle"
    write_bundle(folder, encoder)
    return folder


def noise(batch, seconds):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, int(16_000 * seconds), generator=generator) * 2 - 1


def test_model_as_the_validator_wants_it(bundle):
    model = hear.load_model(str(bundle)).to("cpu")
    assert isinstance(model, torch.nn.Module)
    assert not model.training  # the kit never calls eval()
    assert model.sample_rate in {16_000, 22_050, 32_000, 44_100, 48_000}
    assert type(model.scene_embedding_size) is type(model.timestamp_embedding_size) is int


@pytest.mark.parametrize("seconds", [1.07, 1.98, 4.0])
def test_timestamp_embeddings(bundle, seconds):
    model = hear.load_model(str(bundle))
    embeddings, timestamps = hear.get_timestamp_embeddings(noise(2, seconds), model)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape == (*timestamps.shape, model.timestamp_embedding_size)
    assert timestamps.shape[0] == 2
    assert timestamps.max() <= 1000 * seconds
    assert timestamps[:, -1].min() >= 1000 * seconds - 40
    torch.testing.assert_close(timestamps.diff(), torch.full_like(timestamps[:, 1:], 40.0))


@pytest.mark.parametrize("seconds", [1.07, 1.98, 4.0])
def test_first_timestamp_is_within_one_spacing(bundle, seconds):
    model = hear.load_model(str(bundle))
    audio = torch.rand(2, round(seconds * model.sample_rate)) * 2 - 1
    _, timestamps = hear.get_timestamp_embeddings(audio, model)
    spacing = timestamps.diff(dim=1).mean()
    assert (timestamps[:, 0] <= spacing).all()
    assert (timestamps[:, -1] >= 1000 * seconds - spacing).all()


def test_scene_embeddings(bundle):
    model = hear.load_model(str(bundle))
    embeddings = hear.get_scene_embeddings(noise(4, 2.74), model)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape == (4, model.scene_embedding_size)


def test_no_path_is_an_error_that_says_what_to_give():
    with pytest.raises(ValueError, match=r"--model BUNDLE.*byola-diff export.*statistics"):
        hear.load_model()


def test_options_reach_the_loader(bundle, tmp_path):
    network = hear.load_model(str(bundle)).network
    torch.save(network.state_dict(), tmp_path / "a.pth")
    # As decoded from the JSON of --model-options.
    model = hear.load_model(str(tmp_path / "a.pth"), statistics=[-9.0, 4.5])
    expected = hear.load_model(str(bundle)).scene(noise(1, 1))
    torch.testing.assert_close(model.scene(noise(1, 1)), expected, rtol=0, atol=0)


@pytest.mark.slow
def test_import_is_cheap():
    code = """if True:
        import sys, byola_diff
        assert "torch" not in sys.modules
        byola_diff.load_encoder
        heavy = {"pytorch_lightning", "matplotlib", "librosa", "nnAudio", "onnx", "scipy"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=Path(byola_diff.__file__).parents[1]
    )


def test_version_is_that_of_the_package():
    project = tomllib.loads((Path(byola_diff.__file__).parents[1] / "pyproject.toml").read_text())
    assert byola_diff.__version__ == project["project"]["version"]


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="load_encode"):
        byola_diff.load_encode  # noqa: B018
