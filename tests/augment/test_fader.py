import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byola_diff.augment.fader import RandomFader, fade
from byola_diff.randomness import torch_generator
from tests.helpers import normal_noise


def test_treats_each_clip_alone():
    out = fade(torch.zeros(2, 1, 3, 5), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
    for band in range(3):
        assert out[0, 0, band].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert torch.equal(out[1], torch.ones(1, 3, 5))


def test_adds_a_falling_line():
    log_mel = torch.arange(6.0).reshape(1, 1, 2, 3)
    out = fade(log_mel, torch.tensor([1.0]), torch.tensor([-1.0]))
    assert out[0, 0].tolist() == [[1.0, 1.0, 1.0], [4.0, 4.0, 4.0]]


def test_one_frame_takes_the_start():
    assert fade(torch.zeros(1, 1, 1, 1), torch.tensor([0.5]), torch.tensor([2.0])).item() == 0.5


def test_the_gain_is_1_unless_another_is_given():
    ends = RandomFader()(torch.zeros(10_000, 1, 1, 2), torch_generator(0)).abs()
    assert 0.999 < ends.max() <= 1


def test_draws_are_uniform_independent_and_new_for_each_clip():
    out = RandomFader(max_gain=2.0)(torch.zeros(10_000, 1, 1, 2), torch_generator(0))
    ends = out[:, 0, 0].T  # [2, clip]
    assert ends.amin() >= -2
    assert ends.amax() <= 2
    # Of 10 000 draws, five standard errors: mean 2 / sqrt(3) / 100, quarter shares 0.0043.
    assert (ends.mean(1).abs() < 0.058).all()
    for low in (-2, -1, 0, 1):
        share = ((ends >= low) & (ends < low + 1)).float().mean(1)
        assert ((share - 0.25).abs() < 0.022).all()
    assert torch.corrcoef(ends)[0, 1].abs() < 0.05
    assert len(ends[0].unique()) > 9_900


def test_equal_under_equal_seeds_alone():
    log_mel = torch.zeros(3, 1, 4, 5)
    fader = RandomFader()
    assert torch.equal(fader(log_mel, torch_generator(1)), fader(log_mel, torch_generator(1)))
    assert not torch.equal(fader(log_mel, torch_generator(1)), fader(log_mel, torch_generator(2)))


def test_other_clips_do_not_matter():
    log_mel = torch.randn(3, 1, 4, 5, generator=torch_generator(0))
    changed = log_mel.clone()
    changed[1:] += 7
    out, out_changed = (RandomFader()(batch, torch_generator(1)) for batch in (log_mel, changed))
    assert torch.equal(out[0], out_changed[0])


def test_no_gain_leaves_the_batch_and_draws_nothing():
    generator = torch_generator(0)
    state = generator.get_state()
    log_mel = torch.ones(2, 1, 3, 4)
    assert torch.equal(RandomFader(max_gain=0.0)(log_mel, generator), log_mel)
    assert torch.equal(generator.get_state(), state)


@settings(max_examples=50, deadline=None)
@given(
    max_gain=st.floats(0, 20, width=32),
    n_frames=st.integers(1, 40),
    seed=st.integers(0, 2**32),
)
def test_what_is_added_is_a_straight_line_within_the_gain(max_gain, n_frames, seed):
    log_mel = normal_noise(4, 1, 3, n_frames, seed=seed)
    added = RandomFader(max_gain)(log_mel, torch_generator(seed)) - log_mel
    assert added.abs().amax() <= max_gain + 1e-5
    bands = added - added[:, :, :1]  # the same in all bands
    assert bands.abs().amax() < 1e-5
    if n_frames > 2:
        assert added.diff(n=2).abs().amax() < 1e-5
