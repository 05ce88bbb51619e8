import copy

import pytest
import torch
from torch import nn

from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022, FastDropout
from byola_diff.models.pair import Branch, OnlineTargetPair, mlp_head, update_target


def make_pair(seed=0, **settings):
    """A small pair with 16 mel bands."""
    torch.manual_seed(seed)
    encoder = AudioNTT2020(n_mels=16, dim=32)
    return OnlineTargetPair(encoder, projection_hidden=48, projection_dim=8, **settings)


def make_views(n_clips=4, seed=0):
    return torch.randn(n_clips, 1, 16, 24, generator=torch.Generator().manual_seed(seed))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def snapshot(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_parameter_counts_are_the_published_ones():
    with torch.device("meta"):
        pair = OnlineTargetPair(AudioNTT2022())
    assert count(pair.online.encoder) == 6_333_376
    assert count(pair.online.projector) == 13_644_032
    assert count(pair.predictor) == 2_109_696
    assert count(pair.difference_predictor) == 2_109_696
    assert count(pair.target) == 6_333_376 + 13_644_032
    trained = sum(p.numel() for p in pair.parameters() if p.requires_grad)
    assert trained == 6_333_376 + 13_644_032 + 2 * 2_109_696


def test_target_starts_as_a_copy_without_gradient():
    pair = make_pair()
    online, target = pair.online.state_dict(), pair.target.state_dict()
    assert online.keys() == target.keys()
    for name, tensor in online.items():
        assert torch.equal(tensor, target[name])
        assert tensor.data_ptr() != target[name].data_ptr()
    assert not any(p.requires_grad for p in pair.target.parameters())
    others = (pair.online, pair.predictor, pair.difference_predictor)
    assert all(p.requires_grad for module in others for p in module.parameters())


def test_the_two_predictors_have_their_own_weights():
    pair = make_pair()
    first, second = pair.predictor.state_dict(), pair.difference_predictor.state_dict()
    assert first.keys() == second.keys()
    assert not torch.equal(first["0.weight"], second["0.weight"])


def test_plain_pair_has_the_same_weights_and_no_second_predictor():
    full, plain = make_pair().state_dict(), make_pair(predicts_differences=False).state_dict()
    assert full.keys() - plain.keys() == {n for n in full if n.startswith("difference_predictor.")}
    for name, tensor in plain.items():
        assert torch.equal(tensor, full[name])


def test_represent_is_mean_plus_maximum_over_frames():
    pair = make_pair().eval()
    frames = pair.online.encoder(make_views())
    expected = frames.mean(1) + frames.amax(1)
    torch.testing.assert_close(pair.online.represent(make_views()), expected, rtol=0, atol=1e-6)


def test_branch_is_representation_then_projector():
    branch = make_pair().online.eval()
    assert isinstance(branch, Branch)
    expected = branch.projector(branch.represent(make_views()))
    assert torch.equal(branch(make_views()), expected)


def test_target_uses_the_targets_weights_and_carries_no_gradient():
    pair = make_pair()
    with torch.no_grad():
        pair.target.projector[3].bias += 5
    torch.manual_seed(1)
    projection = pair.target(make_views())
    torch.manual_seed(1)
    online = pair.online(make_views())
    assert not projection.requires_grad
    torch.testing.assert_close(projection, online.detach() + 5, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("decay", "expected"), [(0.99, 1.03), (0.5, 2.5), (0.0, 4.0), (1.0, 1.0)])
def test_update_by_hand(decay, expected):
    # decay * 1 + (1 - decay) * 4
    online, target = nn.Linear(2, 1), nn.Linear(2, 1)
    with torch.no_grad():
        for weight in online.parameters():
            weight.fill_(4)
        for weight in target.parameters():
            weight.fill_(1)
    update_target(online, target, decay)
    for weight in target.parameters():
        torch.testing.assert_close(
            weight.detach(), torch.full_like(weight, expected), rtol=0, atol=1e-6
        )
    assert all((weight == 4).all() for weight in online.parameters())


def test_decay_0_copies_and_decay_1_keeps_the_bits():
    pair = make_pair()
    with torch.no_grad():
        for weight in pair.online.parameters():
            weight.normal_()
    before = snapshot(pair.target)
    update_target(pair.online, pair.target, 1.0)
    assert all(torch.equal(t, before[name]) for name, t in pair.target.state_dict().items())
    update_target(pair.online, pair.target, 0.0)
    online = dict(pair.online.named_parameters())
    assert all(torch.equal(w, online[name]) for name, w in pair.target.named_parameters())


def test_updates_parameters_in_place_and_no_buffers():
    pair = make_pair()
    pair.online(make_views())  # moves the online statistics alone
    with torch.no_grad():
        for weight in pair.online.parameters():
            weight += 1
    before, places = snapshot(pair.target), [w.data_ptr() for w in pair.target.parameters()]
    update_target(pair.online, pair.target, 0.5)
    assert [w.data_ptr() for w in pair.target.parameters()] == places
    # Normalisation weights and biases are averaged like all others.
    for name, weight in pair.target.named_parameters():
        torch.testing.assert_close(weight, before[name] + 0.5, rtol=0, atol=1e-6)
    for name, buffer in pair.target.named_buffers():
        assert torch.equal(buffer, before[name])
    assert not any(w.requires_grad for w in pair.target.parameters())


def test_update_goes_by_name_not_by_order():
    online = nn.ModuleDict({"first": nn.Linear(1, 1), "second": nn.Linear(1, 1)})
    target = nn.ModuleDict({name: copy.deepcopy(online[name]) for name in ("second", "first")})
    with torch.no_grad():
        online["first"].weight.fill_(7)
    update_target(online, target, 0.0)
    assert target["first"].weight.item() == 7


def test_update_refuses_other_names():
    with pytest.raises(ValueError, match=r"online and target differ in \['bias'\]"):
        update_target(nn.Linear(2, 1), nn.Linear(2, 1, bias=False), 0.99)


def test_target_stays_in_train_mode_with_its_own_statistics():
    pair = make_pair().train()
    layers = list(pair.target.modules())
    assert all(layer.training for layer in layers)
    assert any(isinstance(layer, FastDropout) for layer in layers)
    before, online = snapshot(pair.target), snapshot(pair.online)
    first, second = (pair.target(make_views()) for _ in range(2))
    assert not torch.equal(first, second)  # dropout
    after = pair.target.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    kinds = ("running_mean", "running_var", "num_batches_tracked")
    assert moved == {name for name in after if name.endswith(kinds)}
    assert all(torch.equal(t, online[name]) for name, t in pair.online.state_dict().items())


def test_target_normalises_by_its_batch():
    pair = make_pair().train()
    with torch.no_grad():
        for name, buffer in pair.target.named_buffers():
            if name.endswith("running_mean"):
                buffer.fill_(1e6)
    torch.manual_seed(0)
    target = pair.target(make_views())
    torch.manual_seed(0)
    torch.testing.assert_close(target, pair.online(make_views()).detach(), rtol=0, atol=1e-5)


def test_outputs_are_float32_under_autocast():
    pair = make_pair()
    with torch.autocast("cpu", torch.bfloat16):
        assert pair.online.encoder(make_views()).dtype == torch.bfloat16
        assert pair.online.represent(make_views()).dtype == torch.float32
        assert pair.target(make_views()).dtype == torch.float32


@pytest.mark.parametrize("train", [True, False])
def test_bfloat16_representation_is_near_float32(train):
    torch.manual_seed(0)
    branch = Branch(AudioNTT2022(n_mels=64, dim=3072), 8, 8).train(train)
    view = torch.randn(8, 1, 64, 48, generator=torch.Generator().manual_seed(0))
    for layer in branch.modules():
        if isinstance(layer, FastDropout):
            layer.p = 0.0  # its draws are not the same for both
    with torch.no_grad():
        exact = branch.represent(view)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = branch.represent(view)
    error = (rounded - exact).norm(dim=1) / exact.norm(dim=1)
    # A bfloat16 has 8 bits: a rounding is 0.2 % of the value at most.
    assert error.max() < 0.006
    assert error.min() > 1e-5  # it did round


@pytest.mark.parametrize(
    ("dim_in", "expected"),
    [(512, 3_158_272), (2048, 9_449_728), (3072, 13_644_032), (256, 2_109_696)],
)
def test_parameter_counts_of_heads(dim_in, expected):
    # Projectors of 512, 2048 and 3072 dimensions, and the predictor.
    with torch.device("meta"):
        head = mlp_head(dim_in)
    assert sum(parameter.numel() for parameter in head.parameters()) == expected


def test_head_by_hand():
    head = mlp_head(1, 2, 1).eval()
    with torch.no_grad():
        head[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head[0].bias.zero_()
        head[3].weight.copy_(torch.tensor([[2.0, 3.0]]))
        head[3].bias.fill_(0.5)
    # Fresh batch statistics divide by sqrt(1 + 1e-5) only. 4 -> (4, 0) -> 8.5; -1 -> (0, 1) -> 3.5.
    out = head(torch.tensor([[4.0], [-1.0]]))
    torch.testing.assert_close(out, torch.tensor([[8.5], [3.5]]), rtol=0, atol=1e-4)


def test_head_normalises_inside_but_not_its_output():
    torch.manual_seed(0)
    head = mlp_head(4, 16, 8).train()
    inputs = torch.randn(32, 4)
    torch.testing.assert_close(head(inputs), head(7 * inputs), rtol=0, atol=1e-2)
    with torch.no_grad():
        head[3].bias.fill_(100.0)
    assert (head(inputs).mean() - 100).abs() < 5
