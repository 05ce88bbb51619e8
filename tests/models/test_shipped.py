from pathlib import Path

import pytest
import torch

import byola_diff
from byola_diff.encoders.open import open_encoder
from byola_diff.models import shipped
from byola_diff.models.shipped import SHIPPED, shipped_bundle
from byola_diff.storage import BrokenFileError
from tests.bundles import write_bundle

FOLDER = Path(shipped.__file__).parent / "shipped_bundles"


def test_all_together_are_small_enough_for_a_package():
    sizes = [path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(sizes) < 16e6


def test_the_best_is_there():
    assert "byola-diff" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_whole_and_says_what_it_is(name):
    encoder = byola_diff.load_encoder(name)
    embedding = encoder.scene(torch.rand(2, 16_000, generator=torch.Generator().manual_seed(0)))
    assert embedding.shape == (2, encoder.scene_embedding_size)
    assert embedding.isfinite().all()
    assert not torch.equal(embedding[0], embedding[1])
    card = (FOLDER / name / "README.md").read_text()
    for heading in ("Usage", "Training", "Scores", "What it is not good at", "Licence"):
        assert f"## {heading}" in card
    assert f'load_encoder("{name}")' in card


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_a_word_for_every_command(name):
    named = open_encoder(f"{name}[conv1,output]")
    assert named.encoder.scene_embedding_size > byola_diff.load_encoder(name).scene_embedding_size
    assert open_encoder(f"untrained:{name}").content_hash != open_encoder(name).content_hash
    with pytest.raises(ValueError, match=f"nothing follows {name}, not 'more'"):
        open_encoder(f"{name}:more")


def test_a_name_is_that_encoder_wherever_one_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = byola_diff.load_encoder("byola-diff")
    other.normalize.mean.fill_(0.0)
    write_bundle(tmp_path / "byola-diff", other)
    assert byola_diff.load_encoder("byola-diff").normalize.mean.item() != 0
    for folder in ("./byola-diff", Path("byola-diff")):
        assert byola_diff.load_encoder(folder).normalize.mean.item() == 0
    assert open_encoder("byola-diff").content_hash != open_encoder("./byola-diff").content_hash


def test_any_other_word_is_none_of_them():
    assert shipped_bundle("model.safetensors") is None
    assert shipped_bundle(Path("runs/byola-diff")) is None
    with pytest.raises(FileNotFoundError, match="or the name of a shipped encoder: byola-diff"):
        byola_diff.load_encoder("byola-dif")


def test_an_altered_one_is_refused(tmp_path, monkeypatch):
    bundle = tmp_path / "byola-diff"
    bundle.mkdir()
    for path in (FOLDER / "byola-diff").iterdir():
        (bundle / path.name).write_bytes(path.read_bytes())
    weights = bytearray((bundle / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (bundle / "model.safetensors").write_bytes(weights)
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path)
    with pytest.raises(BrokenFileError, match="SHA-256"):
        byola_diff.load_encoder("byola-diff")
