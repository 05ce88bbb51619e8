"""Laws that hold for any values: of losses, of what augmentations draw, of what is read back."""

import tempfile
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.augment.mixup import MixupMemory, RandomMixup
from byola_diff.commands.pretrain import parse_args
from byola_diff.config import to_plain
from byola_diff.losses.byol import byol_loss
from byola_diff.losses.difference import mix_with_neighbour, subtract_neighbour
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import ENCODERS
from byola_diff.models.encoder import AudioEncoder
from byola_diff.randomness import torch_generator
from byola_diff.storage import read_json
from tests.bundles import write_bundle
from tests.helpers import normal_noise

SEEDS = st.integers(0, 2**32)
FEW = settings(max_examples=5, deadline=None)
MANY = settings(max_examples=50, deadline=None)


@MANY
@given(n_clips=st.integers(1, 8), dim=st.integers(2, 20), seed=SEEDS, data=st.data())
def test_the_order_of_the_clips_does_not_matter_to_the_byol_loss(n_clips, dim, seed, data):
    prediction, target = normal_noise(2, n_clips, dim, seed=seed)
    order = torch.tensor(data.draw(st.permutations(range(n_clips))))
    expected = byol_loss(prediction, target).item()
    assert byol_loss(prediction[order], target[order]).item() == pytest.approx(expected, abs=1e-5)


@MANY
@given(n_clips=st.integers(2, 8), seed=SEEDS, turn=st.integers(1, 7), scale=st.floats(0.01, 100))
def test_turning_the_batch_and_scaling_commute_with_the_difference_term(n_clips, seed, turn, scale):
    """Neighbours form a ring, so turning it changes no pair, and hence no mean over the batch."""
    generator = torch_generator(seed, "law")
    rate = 0.4 + 0.2 * torch.rand(n_clips, generator=generator)
    view = normal_noise(n_clips, 1, 3, 4, seed=seed)
    mixture, parts = normal_noise(2, n_clips, 5, seed=seed)

    def turned(batch):
        return batch.roll(turn, 0)

    mixed = mix_with_neighbour(view, rate)
    torch.testing.assert_close(mix_with_neighbour(turned(view), turned(rate)), turned(mixed))
    # A gain of the sounds is a number added to their log-mels.
    louder = mix_with_neighbour(view + scale, rate)
    torch.testing.assert_close(louder, mixed + scale, rtol=1e-5, atol=1e-4)
    rest = subtract_neighbour(mixture, parts, rate)
    found = subtract_neighbour(turned(mixture), turned(parts), turned(rate))
    torch.testing.assert_close(found, turned(rest))
    scaled = subtract_neighbour(scale * mixture, scale * parts, rate)
    loss = byol_loss(rest, mixture).item()
    assert byol_loss(scaled, scale * mixture).item() == pytest.approx(loss, abs=1e-4)


@MANY
@given(share=st.floats(0, 0.99), size=st.integers(1, 9), n_clips=st.integers(1, 6), seed=SEEDS)
def test_a_mixup_lies_between_its_sounds_and_keeps_its_own(share, size, n_clips, seed):
    """No quieter than what is left of the clip, no louder than the loudest sound that is there."""
    memory = MixupMemory(2, 3, size)
    past, clips = 3 * normal_noise(2, n_clips, 1, 2, 3, seed=seed)
    memory.write(past)
    held = torch.cat([past, clips])
    mixed = RandomMixup(memory, share)(clips, torch_generator(seed, "now"))
    least = clips.exp() * (1 - share)
    assert (mixed.exp() >= least * (1 - 1e-5)).all()
    assert (mixed <= held.amax(0) + 1e-5).all()
    assert mixed.isfinite().all()


@FEW
@given(
    sizes=st.tuples(st.sampled_from(sorted(ENCODERS)), st.integers(1, 5), st.integers(8, 24)),
    statistics=st.tuples(st.floats(-100, 100, width=32), st.floats(0.125, 100, width=32)),
    facts=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
    licence=st.text(max_size=9),
)
def test_a_bundle_gives_back_what_was_written(sizes, statistics, facts, licence):
    name, bands, n_mels = sizes
    network = ENCODERS[name](8 * (n_mels // 8), 16 * n_mels + bands)
    encoder = AudioEncoder(LogMel(n_mels=network.n_mels), Normalize(*statistics), network)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "bundle"
        write_bundle(folder, encoder, training=facts, licence=licence)
        found, config = load_encoder(folder), read_json(folder / "config.json")
    assert (config["training"], config["licence"]) == (facts, licence)
    assert found.log_mel.settings() == encoder.log_mel.settings()
    expected, state = encoder.state_dict(), found.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    assert found.normalize.mean.item() == statistics[0]
    assert found.normalize.std.item() == statistics[1]


@settings(max_examples=3, deadline=None)
@given(
    seed=SEEDS,
    data=st.fixed_dictionaries({"unit_s": st.floats(0.1, 9), "batch_size": st.integers(2, 999)}),
    objective=st.fixed_dictionaries(
        {
            "difference_weight": st.floats(0, 1),
            "rate_range": st.tuples(st.floats(0.01, 0.5), st.floats(0.5, 0.99)).map(list),
            "symmetric": st.booleans(),
        }
    ),
    training=st.fixed_dictionaries(
        {"lr": st.floats(1e-300, 1e300), "steps": st.integers(1, 2**40), "epochs": st.just(7)}
    ),
)
def test_a_configuration_written_as_yaml_is_the_same_when_read(seed, data, objective, training):
    given_parts = {"data": {**data, "source": "procedural"}, "objective": objective}
    with tempfile.TemporaryDirectory() as place:
        first, second = Path(place) / "first.yaml", Path(place) / "second.yaml"
        whole = {"out_dir": "run", "seed": seed, "training": training, **given_parts}
        first.write_text(yaml.safe_dump(whole))
        config, _ = parse_args([f"--config={first}"])
        second.write_text(yaml.safe_dump(to_plain(config)))
        again, _ = parse_args([f"--config={second}"])
    assert again == config
    for part, values in (*given_parts.items(), ("training", training)):
        plain = to_plain(config)[part]
        assert {name: plain[name] for name in values} == values
