import dataclasses
from pathlib import Path

import pytest
import torch

from byola_diff import build
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.commands import run_pretraining
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder
from byola_diff.storage import BrokenFileError, load_checked, save_checked
from byola_diff.training.run_identity import OtherRunError, check_same_run, identity_of_run
from byola_diff.training.start import read_start
from tests.bundles import write_bundle


def make_encoder(seed=0, n_mels=64):
    torch.manual_seed(seed)
    network = AudioNTT2020(n_mels, dim=64)
    for block in (1, 5, 9):  # statistics that no new network has
        network.features[block].running_mean.normal_()
    log_mel = LogMel(window_samples=512, n_fft=512, f_min_hz=70.0, n_mels=n_mels)
    return AudioEncoder(log_mel, Normalize(-7.0, 3.0), network)


@pytest.fixture
def bundle(tmp_path):
    write_bundle(tmp_path / "bundle", make_encoder())
    return tmp_path / "bundle"


def starting_from(config, path):
    return dataclasses.replace(config, init_from=None if path is None else str(path))


def assert_same_network(first, second):
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_without_it_nothing_changes(small_config, tmp_path):
    config = small_config(tmp_path)
    assert read_start(config) == (config, None, None)


def test_of_a_bundle_all_is_taken(small_config, tmp_path, bundle):
    config, network, statistics = read_start(starting_from(small_config(tmp_path), bundle))
    assert (config.encoder.name, config.encoder.dim) == ("AudioNTT2020", 64)
    assert (config.front_end.window_samples, config.front_end.f_min_hz) == (512, 70)
    assert statistics == (-7, 3)
    assert_same_network(make_encoder().network, network)


def test_of_a_weights_file_the_network_is_taken(small_config, tmp_path):
    save_checked(make_encoder().network.state_dict(), tmp_path / "released.pth")
    before = small_config(tmp_path)
    config, network, statistics = read_start(starting_from(before, tmp_path / "released.pth"))
    assert (config.encoder.dim, statistics) == (64, None)
    assert config.front_end == before.front_end
    assert_same_network(make_encoder().network, network)


def test_both_networks_start_there_and_the_heads_do_not(small_config, tmp_path, bundle):
    config, network, statistics = read_start(starting_from(small_config(tmp_path), bundle))
    pair = build.build_learner(config, statistics, network=network).pair
    assert_same_network(network, pair.online.encoder)
    assert_same_network(network, pair.target.encoder)
    drawn = build.build_learner(config, statistics).pair
    assert_same_network(pair.online.projector, drawn.online.projector)
    assert not torch.equal(pair.online.encoder.fc[0].weight, drawn.online.encoder.fc[0].weight)


def test_a_folder_of_a_shipped_name_is_written_as_a_path(small_config, bundle, monkeypatch):
    bundle.rename(bundle.with_name("byola-diff"))
    monkeypatch.chdir(bundle.parent)
    config = small_config(bundle.parent)
    assert read_start(starting_from(config, "./byola-diff")).config.encoder.dim == 64
    assert read_start(starting_from(config, "byola-diff")).config.encoder.dim == 3072


def test_what_cannot_be_started_from_is_refused(small_config, tmp_path, bundle):
    config = small_config(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"init_from: nothing at .* resumed needs it"):
        read_start(starting_from(config, tmp_path / "none"))
    (bundle / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(BrokenFileError):
        read_start(starting_from(config, bundle))
    save_checked(make_encoder(n_mels=32).network.state_dict(), tmp_path / "narrow.pth")
    with pytest.raises(ValueError, match=r"takes 32 mel bands, front_end\.n_mels is 64"):
        read_start(starting_from(config, tmp_path / "narrow.pth"))


def test_the_run_knows_what_it_started_from(small_config, tmp_path, bundle):
    write_bundle(tmp_path / "copy", make_encoder())
    write_bundle(tmp_path / "other", make_encoder(seed=1))

    def facts(path):
        config = starting_from(small_config(tmp_path), path)
        return {**dataclasses.asdict(config), "run": identity_of_run(config)}

    check_same_run(facts(bundle), facts(tmp_path / "copy"))  # where it lies may change
    for other in (tmp_path / "other", None):
        with pytest.raises(OtherRunError, match=r"init_from|started_from"):
            check_same_run(facts(bundle), facts(other))
    with pytest.raises(OtherRunError, match=r"init_from|started_from"):
        check_same_run(facts(None), facts(bundle))


def test_a_run_that_moves_nothing_ends_with_the_encoder_it_started_from(
    small_config, tmp_path, bundle, monkeypatch
):
    monkeypatch.setattr(run_pretraining, "keep_freed_memory", lambda: None)
    config = small_config(tmp_path / "run", training={"steps": 2, "lr": 1e-30})
    run_pretraining.run(starting_from(config, bundle), "no")
    state = load_checked(tmp_path / "run" / "checkpoints" / "last.ckpt")
    network = make_encoder().network
    for name, weight in network.named_parameters():
        moved = state["state_dict"][f"pair.online.encoder.{name}"] - weight
        assert moved.abs().max() < 1e-20, name
    assert state["state_dict"]["normalize.mean"].item() == -7
    assert Path(state["config"]["init_from"]) == bundle
    assert state["config"]["encoder"]["dim"] == 64
