import pytest
import torch

from byola_diff.augment.crop import RandomResizeCrop
from byola_diff.augment.fader import RandomFader
from byola_diff.augment.mixup import RandomMixup
from byola_diff.randomness import torch_generator
from byola_diff.training.views import ViewMaker


def make_batch(n_clips=4, seed=0):
    return torch.randn(n_clips, 1, 16, 24, generator=torch_generator("batch", seed))


def make_views(**settings):
    return ViewMaker(16, 24, **settings)


def test_equals_the_chain_written_out():
    make = make_views(mixup_share=0.4, fader_gain=0.5)
    make(make_batch(seed=1), torch_generator(1))
    first, second = make(make_batch(), torch_generator(2))[:2]

    before = make_views(mixup_share=0.4)
    before.memory.write(make_batch(seed=1))
    generator, views = torch_generator(2), []
    for _ in range(2):
        view = RandomMixup(before.memory, 0.4)(make_batch(), generator)
        view = RandomResizeCrop()(view, generator)
        views.append(RandomFader(0.5)(view, generator))
    both = torch.cat(views).double()
    std = ((both - both.mean()).square().sum() / (both.numel() - 1)).sqrt()
    expected = ((both - both.mean()) / std).float()
    torch.testing.assert_close(torch.cat([first, second]), expected, rtol=0, atol=1e-5)


def test_order_of_the_augmentations_and_of_the_memory():
    make, calls = make_views(), []
    for name in ("mixup", "crop", "fader"):
        module = getattr(make, name)
        module.register_forward_hook(
            lambda module, inputs, output, name=name: calls.append((name, inputs[0], output))
        )
    write = make.memory.write
    make.memory.write = lambda log_mel: (calls.append(("write", log_mel, None)), write(log_mel))
    batch = make_batch()
    make(batch, torch_generator(0))
    assert [name for name, *_ in calls] == ["mixup", "crop", "fader"] * 2 + ["write"]
    for start in (0, 3):
        mixup, crop, fader = calls[start : start + 3]
        assert mixup[1] is batch
        assert crop[1] is mixup[2]
        assert fader[1] is crop[2]
    assert calls[-1][1] is batch


def test_memory_takes_each_clip_once_and_as_it_came():
    make = make_views(mixup_memory=6)
    batches = [make_batch(seed=seed) for seed in range(2)]
    copies = [batch.clone() for batch in batches]
    for batch in batches:
        make(batch, torch_generator(0))
    assert make.memory.n_written == 8
    expected = torch.cat(copies)[[6, 7, 2, 3, 4, 5]]
    assert torch.equal(make.memory.clips, expected)
    for batch, copy in zip(batches, copies, strict=True):
        assert torch.equal(batch, copy)


def test_first_batch_is_not_mixed():
    mixed, unmixed = make_views(mixup_share=0.4), make_views(mixup_share=0.0)
    for view, expected in zip(
        mixed(make_batch(), torch_generator(0))[:4],
        unmixed(make_batch(), torch_generator(0))[:4],
        strict=True,
    ):
        assert torch.equal(view, expected)
    assert not torch.equal(
        mixed(make_batch(), torch_generator(0))[0], unmixed(make_batch(), torch_generator(0))[0]
    )


@pytest.mark.parametrize("n_clips", [1, 2, 7])
def test_views_are_normalised_together(n_clips):
    make = make_views()
    first, second = make(make_batch(n_clips) * 5 + 3, torch_generator(0))[:2]
    both = torch.cat([first, second]).double()
    assert both.mean().item() == pytest.approx(0, abs=1e-5)
    assert both.std(correction=1).item() == pytest.approx(1, abs=1e-5)
    # Together, so that neither is normalised alone.
    assert first.mean().abs() > 1e-4


def test_views_are_drawn_independently():
    # A clip with a step in time and one in frequency, many times over: views of one pair are no
    # more alike than views of two pairs.
    batch = torch.zeros(400, 1, 16, 24)
    batch[..., :12] += 1
    batch[..., :8, :] += 1
    make = make_views()
    first, second = (view.flatten(1) for view in make(batch, torch_generator(0))[:2])
    assert not torch.equal(first, second)
    own = (first - second).norm(dim=1)
    others = (first - second.roll(1, 0)).norm(dim=1)
    assert own.amin() > 0
    error = (own.var() / 400 + others.var() / 400).sqrt()
    assert (own.mean() - others.mean()).abs() < 4 * error


def test_equal_under_equal_seeds_alone():
    views = [make_views()(make_batch(), torch_generator(seed)) for seed in (0, 0, 1)]
    assert torch.equal(views[0][0], views[1][0])
    assert torch.equal(views[0][1], views[1][1])
    assert not torch.equal(views[0][0], views[2][0])


def test_global_generator_is_left_alone():
    state = torch.get_rng_state()
    make_views()(make_batch(), torch_generator(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_clip_meets_the_others_only_in_the_normalisation():
    batch, changed = make_batch(), make_batch()
    changed[1:] = changed[1:] * 3 + 1
    runs = [torch.stack(make_views()(b, torch_generator(0))[:2])[:, 0] for b in (batch, changed)]
    # One scale and one shift take the first clip's views from one batch to those from the other.
    scale = runs[1].std() / runs[0].std()
    shift = runs[1].mean() - scale * runs[0].mean()
    assert abs(scale - 1) > 0.1
    torch.testing.assert_close(scale * runs[0] + shift, runs[1], rtol=0, atol=1e-5)


def test_constant_batch_stays_finite():
    make = make_views(fader_gain=0.0, mixup_share=0.0)
    first, second = make(torch.zeros(2, 1, 16, 24), torch_generator(0))[:2]
    assert torch.equal(first, torch.zeros(2, 1, 16, 24))
    assert second.isfinite().all()


def test_without_mixup_crop_and_fader_both_views_are_the_batch():
    make = make_views(mixup_share=0.0, fader_gain=0.0)
    make.crop.forward = lambda log_mel, generator: log_mel
    batch = make_batch()
    first, second = make(batch, torch_generator(0))[:2]
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    std, mean = torch.std_mean(torch.cat([batch, batch]))
    torch.testing.assert_close(first, (batch - mean) / std, rtol=0, atol=1e-5)


def test_memory_is_in_the_checkpoint():
    make = make_views(mixup_share=0.4)
    make(make_batch(), torch_generator(0))
    restored = make_views(mixup_share=0.4)
    restored.load_state_dict(make.state_dict())
    views, again = (m(make_batch(seed=5), torch_generator(9)) for m in (make, restored))
    assert torch.equal(views[0], again[0])
    assert torch.equal(views[1], again[1])


def test_the_second_view_is_of_the_second_log_mel():
    make = make_views(mixup_share=0.0, fader_gain=0.0)
    make.crop.forward = lambda log_mel, generator: log_mel
    one, other = make_batch(seed=1), make_batch(seed=2)
    first, second, mean, std = make(one, torch_generator(0), other)[:4]
    torch.testing.assert_close(first * std + mean, one)
    torch.testing.assert_close(second * std + mean, other)


def test_short_views_are_stretches_of_half_the_frames_drawn_last():
    make = make_views(mixup_share=0.0, fader_gain=0.0, n_short=2)
    make.crop.forward = lambda log_mel, generator: log_mel
    batch = make_batch()
    views = make(batch, torch_generator(0))
    assert torch.equal(views.first, make_views_without_short(batch).first)
    for short in views.short:
        assert short.shape[-1] == batch.shape[-1] // 2
        for clip, found in zip(batch, short * views.std + views.mean, strict=True):
            stretches = clip.unfold(2, found.shape[-1], 1).movedim(2, 0)
            assert min((stretch - found).abs().max() for stretch in stretches) < 1e-5
    assert not torch.equal(*views.short)


def make_views_without_short(batch):
    make = make_views(mixup_share=0.0, fader_gain=0.0)
    make.crop.forward = lambda log_mel, generator: log_mel
    return make(batch, torch_generator(0))


def test_crops_of_all_mel_bands_leave_every_pitch_where_it_is():
    make = make_views(mixup_share=0.0, fader_gain=0.0, crop_mel_scale=(1.0, 1.0))
    batch = torch.zeros(3, 1, 16, 24)
    batch[:, :, 5] = 1.0
    view = make(batch, torch_generator(0)).first
    assert (view[:, 0].mean(2).argmax(1) == 5).all()
