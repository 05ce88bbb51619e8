import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity, max_pool2d, normalize

from byola_diff.losses.variance import variance_covariance_loss
from byola_diff.models import cnn
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.kernels import Kernels
from byola_diff.models.pair import Branch, OnlineTargetPair, update_target
from byola_diff.randomness import torch_generator
from byola_diff.training import objective as objective_module
from byola_diff.training.objective import Objective

N_CLIPS, N_MELS, N_FRAMES = 5, 16, 24


class LinearFrames(nn.Module):
    """Stands in for an encoder: one linear layer on each frame."""

    def __init__(self, n_mels, dim):
        super().__init__()
        self.linear = nn.Linear(n_mels, dim)

    def forward(self, log_mel):
        return self.linear(log_mel[:, 0].transpose(1, 2))


class LinearBranch(Branch):
    def __init__(self, n_mels, dim, projection_dim):
        nn.Module.__init__(self)
        self.encoder = LinearFrames(n_mels, dim)
        self.projector = nn.Linear(dim, projection_dim)


class LinearPair(OnlineTargetPair):
    """A pair of linear layers, whose target differs from the online network."""

    def __init__(self, n_mels=3, dim=5, projection_dim=4):
        nn.Module.__init__(self)
        self.online = LinearBranch(n_mels, dim, projection_dim)
        self.target = LinearBranch(n_mels, dim, projection_dim).requires_grad_(False)
        self.predictor = nn.Linear(projection_dim, projection_dim)
        self.difference_predictor = nn.Linear(projection_dim, projection_dim)


def linear_pair(seed=0):
    torch.manual_seed(seed)
    return LinearPair()


def small_pair(seed=0, **settings):
    """Real layers: batch normalisation, dropout, a target that moves."""
    torch.manual_seed(seed)
    encoder = AudioNTT2020(n_mels=N_MELS, dim=32)
    return OnlineTargetPair(encoder, projection_hidden=48, projection_dim=8, **settings)


def make_views(n_clips=N_CLIPS, n_mels=N_MELS, n_frames=N_FRAMES, seed=0):
    generator = torch_generator("views", seed)
    return tuple(torch.randn(2, n_clips, 1, n_mels, n_frames, generator=generator))


def slow_terms(pair, first, second, rates, *, symmetric=True, renormalize=False):
    """BYOL and difference terms clip by clip, in float64, from the published equations.

    `rates` holds those of each direction.
    """

    def affine(layer, vector):
        return layer.weight.double() @ vector + layer.bias.double()

    def f(branch, log_mel):
        frames = [affine(branch.encoder.linear, log_mel[0, :, t]) for t in range(log_mel.shape[2])]
        frames = torch.stack(frames)
        return frames.mean(0) + frames.max(0).values

    def distance(prediction, target):
        cosine = prediction @ target / (prediction.norm() * target.norm())
        return 2 - 2 * cosine

    first, second = first.double(), second.double()
    n_clips = len(first)
    byol = difference = 0
    directions = [(first, second), (second, first)]
    for direction, (view, counter_view) in enumerate(directions):
        y = [f(pair.online, clip) for clip in view]
        z_target = [affine(pair.target.projector, f(pair.target, clip)) for clip in counter_view]
        for n in range(n_clips):
            prediction = affine(pair.predictor, affine(pair.online.projector, y[n]))
            byol = byol + distance(prediction, z_target[n]) / n_clips
        if direction == 1 and not symmetric:
            continue
        gamma = rates[direction].double()
        w = []
        for n in range(n_clips):
            after = view[0] if n == n_clips - 1 else view[n + 1]
            w.append(torch.log(gamma[n] * after.exp() + (1 - gamma[n]) * view[n].exp()))
        if renormalize:
            values = torch.stack(w)
            w = [(each - values.mean()) / values.std() for each in w]
        for n in range(n_clips):
            y_after = y[0] if n == n_clips - 1 else y[n + 1]
            d = f(pair.online, w[n]) - gamma[n] * y_after
            prediction = affine(pair.difference_predictor, affine(pair.online.projector, d))
            difference = difference + distance(prediction, z_target[n]) / n_clips
    return byol, difference


def drawn_rates(seed, n_directions, low=0.4, high=0.6, n_clips=N_CLIPS):
    """The rates that an objective draws from this seed: one row per direction."""
    generator = torch_generator(seed)
    return [
        low + (high - low) * torch.rand(n_clips, generator=generator) for _ in range(n_directions)
    ]


def assert_equals_slow(settings, seed=0):
    """Values and gradients of the objective are those of the slow transcription."""
    pair, (first, second) = linear_pair(seed), make_views(n_mels=3, n_frames=7, seed=seed)
    objective = Objective(**settings)
    rates = drawn_rates(seed, 2 if objective.symmetric else 1, *objective.rate_range)
    terms = objective(pair, first, second, torch_generator(seed))
    byol, difference = slow_terms(
        pair,
        first,
        second,
        rates,
        symmetric=objective.symmetric,
        renormalize=objective.renormalize_mixture,
    )
    weight = objective.difference_weight
    total = (1 - weight) * byol + weight * difference
    assert terms["byol"].item() == pytest.approx(byol.item(), abs=1e-5)
    assert terms["difference"].item() == pytest.approx(difference.item(), abs=1e-5)
    assert terms["total"].item() == pytest.approx(total.item(), abs=1e-5)

    weights = [weight for weight in pair.parameters() if weight.requires_grad]
    actual = torch.autograd.grad(terms["total"], weights)
    expected = torch.autograd.grad(total, weights)
    for gradient, slow in zip(actual, expected, strict=True):
        torch.testing.assert_close(gradient, slow, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"difference_weight": 0.2},
        {"difference_weight": 0.8, "symmetric": False},
        {"rate_range": (0.1, 0.9)},
        {"renormalize_mixture": True},
        {"symmetric": False, "renormalize_mixture": True},
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_an_independent_transcription(settings, seed):
    assert_equals_slow(settings, seed)


@pytest.mark.parametrize(
    ("sign", "expected"), [(1.0, 0.0), (-1.0, 8.0)], ids=["aligned", "opposed"]
)
def test_both_terms_run_from_0_to_8(sign, expected):
    # Everything ends in the same vector, or the predictions in its opposite.
    pair = linear_pair()
    with torch.no_grad():
        for weight in pair.parameters():
            weight.zero_()
        pair.target.projector.bias.fill_(1)
        pair.predictor.bias.fill_(sign)
        pair.difference_predictor.bias.fill_(sign)
    views = make_views(n_mels=3, n_frames=7)
    terms = Objective()(pair, *views, torch_generator(0))
    for name in ("byol", "difference", "total"):
        assert terms[name].item() == pytest.approx(expected, abs=1e-5)
    terms = Objective(symmetric=False)(pair, *views, torch_generator(0))
    assert terms["byol"].item() == pytest.approx(expected, abs=1e-5)
    assert terms["difference"].item() == pytest.approx(expected / 2, abs=1e-5)


@pytest.mark.parametrize("weight", [0.1, 0.5, 1.0])
def test_total_is_the_weighted_sum(weight):
    pair, views = linear_pair(), make_views(n_mels=3, n_frames=7)
    terms = Objective(difference_weight=weight)(pair, *views, torch_generator(0))
    expected = (1 - weight) * terms["byol"] + weight * terms["difference"]
    assert terms["total"].item() == pytest.approx(expected.item(), abs=1e-6)
    assert abs(terms["byol"] - terms["difference"]) > 1e-3


def test_what_is_reported():
    pair, views = linear_pair(), make_views(n_mels=3, n_frames=7)
    terms = Objective()(pair, *views, torch_generator(0))
    without = {"total", "byol", "representation", "view_mean"}
    assert set(terms) == without | {"difference", "mixture_mean"}
    assert terms["view_mean"].item() == pytest.approx(torch.cat(views).mean().item(), abs=1e-6)
    rates = torch.stack(drawn_rates(0, 2))[..., None, None, None]
    both = torch.stack(views)
    mixtures = (rates * both.roll(-1, 1).exp() + (1 - rates) * both.exp()).log()
    assert terms["mixture_mean"].item() == pytest.approx(mixtures.mean().item(), abs=1e-6)
    assert [name for name, term in terms.items() if term.requires_grad] == ["total"]
    assert torch.equal(terms["representation"], pair.online.represent(views[0]).detach())
    terms = Objective(difference_weight=0.0)(pair, *views, torch_generator(0))
    assert set(terms) == without


def test_rates_are_drawn_for_each_clip_and_direction_and_used_twice(monkeypatch):
    mixed, subtracted = [], []
    mix, subtract = objective_module.mix_with_neighbour, objective_module.subtract_neighbour
    monkeypatch.setattr(
        objective_module,
        "mix_with_neighbour",
        lambda view, rate: (mixed.append(rate), mix(view, rate))[1],
    )
    monkeypatch.setattr(
        objective_module,
        "subtract_neighbour",
        lambda mixture, reference, rate: (
            subtracted.append(rate),
            subtract(mixture, reference, rate),
        )[1],
    )
    views = make_views(n_clips=2000, n_mels=3, n_frames=2)
    Objective()(linear_pair(), *views, torch_generator(0))
    assert len(mixed) == len(subtracted) == 2
    assert all(torch.equal(*pair) for pair in zip(mixed, subtracted, strict=True))
    rates = torch.cat(mixed)
    assert 0.4 <= rates.amin() < 0.401
    assert 0.599 < rates.amax() <= 0.6
    # Five standard errors of the mean of 4000 uniform draws.
    assert rates.mean().item() == pytest.approx(0.5, abs=5 * 0.2 / math.sqrt(12 * 4000))
    assert torch.corrcoef(torch.stack(mixed))[0, 1].abs() < 0.12
    assert len(rates.unique()) > 3900


def test_equal_under_equal_seeds_alone():
    def total(seed):
        views = make_views(n_mels=3, n_frames=7)
        return Objective()(linear_pair(), *views, torch_generator(seed))["total"].item()

    assert total(0) == total(0)
    assert total(0) != total(1)


def test_detached_reference_keeps_the_value_and_changes_the_gradient():
    pair, views = linear_pair(), make_views(n_mels=3, n_frames=7)
    totals, gradients = [], []
    for detach in (False, True):
        objective = Objective(difference_weight=1.0, detach_reference=detach)
        total = objective(pair, *views, torch_generator(0))["total"]
        weight = pair.online.encoder.linear.weight
        gradients.append(torch.autograd.grad(total, weight)[0])
        totals.append(total.item())
    assert totals[0] == totals[1]

    # The reference's part, by hand: representations as leaves.
    online = [pair.online.represent(view) for view in views]
    leaves = [each.detach().requires_grad_() for each in online]
    targets = [pair.target(view) for view in views]
    loss = 0
    rates = drawn_rates(0, 2)
    for view, leaf, target, rate in zip(views, leaves, targets[::-1], rates, strict=True):
        column = rate[:, None]
        power = rate[:, None, None, None]
        mixture = (power * view.roll(-1, 0).exp() + (1 - power) * view.exp()).log()
        remaining = pair.online.represent(mixture).detach() - column * leaf.roll(-1, 0)
        prediction = pair.difference_predictor(pair.online.projector(remaining))
        loss = loss + (2 - 2 * cosine_similarity(prediction, target)).mean()
    through_leaves = torch.autograd.grad(loss, leaves)
    (reference_part,) = torch.autograd.grad(
        online, pair.online.encoder.linear.weight, through_leaves
    )
    assert reference_part.abs().max() > 1e-3
    torch.testing.assert_close(gradients[0] - gradients[1], reference_part, rtol=0, atol=1e-5)


def reached(pair, loss):
    """Parts of the pair that the loss has a gradient in."""
    pair.zero_grad()
    loss.backward()
    parts = {
        "encoder": pair.online.encoder,
        "projector": pair.online.projector,
        "predictor": pair.predictor,
        "difference_predictor": pair.difference_predictor,
        "target": pair.target,
    }
    return {
        name
        for name, part in parts.items()
        if any(p.grad is not None and p.grad.count_nonzero() for p in part.parameters())
    }


def test_where_each_term_sends_its_gradient():
    pair, views = small_pair(), make_views()
    difference = Objective(difference_weight=1.0)(pair, *views, torch_generator(0))["total"]
    assert reached(pair, difference) == {"encoder", "projector", "difference_predictor"}
    byol = Objective(difference_weight=0.0)(pair, *views, torch_generator(0))["total"]
    assert reached(pair, byol) == {"encoder", "projector", "predictor"}
    both = Objective(difference_weight=0.5)(pair, *views, torch_generator(0))["total"]
    assert reached(pair, both) == {"encoder", "projector", "predictor", "difference_predictor"}


@pytest.mark.parametrize("detach", [False, True])
def test_nothing_reaches_the_target_even_if_it_could_take_gradients(detach):
    pair, views = small_pair(), make_views()
    pair.target.requires_grad_(True)
    terms = Objective(detach_reference=detach)(pair, *views, torch_generator(0))
    assert "target" not in reached(pair, terms["total"])
    assert all(p.grad is None for p in pair.target.parameters())


def record_passes(pair):
    """What the two encoders are given, in order."""
    passes = []
    for name, branch in (("online", pair.online), ("target", pair.target)):
        branch.encoder.register_forward_pre_hook(
            lambda module, inputs, name=name: passes.append((name, inputs[0]))
        )
    return passes


@pytest.mark.parametrize(
    ("settings", "n_mixtures"),
    [
        ({"difference_weight": 0.0}, 0),
        ({"difference_weight": 0.5}, 2),
        ({"difference_weight": 1.0}, 2),
        ({"difference_weight": 0.5, "symmetric": False}, 1),
    ],
)
def test_passes_and_their_order(settings, n_mixtures):
    pair, views = small_pair(), make_views()
    passes = record_passes(pair)
    Objective(**settings)(pair, *views, torch_generator(0))
    assert [name for name, _ in passes] == ["online"] * (n_mixtures + 2) + ["target"] * 2
    inputs = [view for _, view in passes]
    # Mixtures, then the views, each alone and in the order of the published code.
    assert all(each is view for each, view in zip(inputs[-4:], [*views, *views], strict=True))
    rates = drawn_rates(0, 2)
    for mixture, view, rate in zip(inputs[:n_mixtures], views, rates, strict=False):
        power = rate[:, None, None, None]
        expected = (power * view.roll(-1, 0).exp() + (1 - power) * view.exp()).log()
        torch.testing.assert_close(mixture, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "n_counted"),
    [
        ({}, 2),
        ({"symmetric": False}, 2),
        ({"difference_weight": 0.0}, 2),
        ({"running_statistics": "all"}, 4),
        ({"running_statistics": "all", "symmetric": False}, 3),
        ({"running_statistics": "all", "difference_weight": 0.0}, 2),
    ],
)
@pytest.mark.parametrize("fused", [True, False])
def test_running_statistics_by_hand(settings, n_counted, fused, monkeypatch):
    if not fused:  # as on a GPU and in bfloat16, by the modules of torch
        monkeypatch.setattr(cnn, "norm_relu_pool", lambda x, norm: max_pool2d(norm(x).relu(), 2))
    pair, views = small_pair(), make_views()
    passes = record_passes(pair)
    Objective(**settings)(pair, *views, torch_generator(0))
    for name, branch in (("online", pair.online), ("target", pair.target)):
        convolution, norm = (
            next(module for module in branch.modules() if isinstance(module, kind))
            for kind in (nn.Conv2d, nn.BatchNorm2d)
        )
        maps = [convolution(batch) for branch_name, batch in passes if branch_name == name]
        # The views are the last two passes, the mixtures those before.
        maps = maps[-n_counted:] if name == "online" else maps
        assert norm.num_batches_tracked == len(maps) == (n_counted if name == "online" else 2)
        assert norm.track_running_stats
        # Each pass by its own batch, a tenth of it into the statistics: the last view weighs most.
        shares = [0.1 * 0.9**passes_after for passes_after in reversed(range(len(maps)))]
        mean = sum(share * each.mean((0, 2, 3)) for share, each in zip(shares, maps, strict=True))
        var = sum(share * each.var((0, 2, 3)) for share, each in zip(shares, maps, strict=True))
        torch.testing.assert_close(norm.running_mean, mean, rtol=0, atol=1e-5)
        start = 0.9 ** len(maps)  # what is left of the variance of 1 at the start
        torch.testing.assert_close(norm.running_var, start + var, rtol=0, atol=1e-5)


def test_what_statistics_are_of_changes_no_loss_and_no_gradient():
    gradients = []
    for running_statistics in ("views", "all"):
        pair, views = small_pair(), make_views()
        objective = Objective(running_statistics=running_statistics)
        terms = objective(pair, *views, torch_generator(0))
        trained = [weight for weight in pair.parameters() if weight.requires_grad]
        gradients.append([terms["total"], *torch.autograd.grad(terms["total"], trained)])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_weight_0_draws_no_rates():
    generator = torch_generator(0)
    state = generator.get_state()
    Objective(difference_weight=0.0)(small_pair(), *make_views(), generator)
    assert torch.equal(generator.get_state(), state)


def test_mixture_is_renormalised_on_demand():
    views = [view * 2 + 3 for view in make_views()]
    for renormalize in (False, True):
        pair = small_pair()
        passes = record_passes(pair)
        Objective(renormalize_mixture=renormalize)(pair, *views, torch_generator(0))
        for _, mixture in passes[:2]:
            is_normal = abs(mixture.mean()) < 1e-5 and abs(mixture.std() - 1) < 1e-5
            assert is_normal == renormalize


def test_renormalised_silence_is_finite():
    # All values are equal, and mixed by halves they stay so.
    views = [torch.zeros(N_CLIPS, 1, N_MELS, N_FRAMES)] * 2
    objective = Objective(renormalize_mixture=True, rate_range=(0.5, 0.5))
    terms = objective(small_pair(), *views, torch_generator(0))
    assert all(term.isfinite().all() for term in terms.values())


def test_refuses_a_batch_of_one_unless_it_is_plain():
    views = make_views(n_clips=1, n_mels=3, n_frames=7)
    with pytest.raises(ValueError, match="at least 2 clips"):
        Objective()(linear_pair(), *views, torch_generator(0))
    terms = Objective(difference_weight=0.0)(linear_pair(), *views, torch_generator(0))
    assert terms["total"].isfinite()


def test_a_pair_for_weight_0_is_refused_above():
    pair = small_pair(predicts_differences=False)
    with pytest.raises(ValueError, match="built without predicts_differences"):
        Objective()(pair, *make_views(), torch_generator(0))


def train(pair, loss_of, n_steps=4, lr=1e-2):
    """Adam steps, each on its own views and dropout draws, followed by the target's."""
    optimizer = torch.optim.Adam([p for p in pair.parameters() if p.requires_grad], lr=lr)
    losses = []
    for step in range(n_steps):
        torch.manual_seed(step)
        loss = loss_of(pair, *make_views(seed=step), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for new, old in zip(pair.online.parameters(), pair.target.parameters(), strict=True):
                old.lerp_(new, 1 - 0.99)
        losses.append(loss.item())
    return losses


def plain_byol(pair, first, second, step):
    """BYOL-A as published: both views through the online network, then through the target."""

    def project(branch, view):
        frames = branch.encoder(view)
        return frames.mean(dim=1) + frames.max(dim=1).values

    def distance(prediction, target):
        return (2 - 2 * cosine_similarity(prediction, target, dim=-1)).mean()

    online = [project(pair.online, view) for view in (first, second)]
    predictions = [pair.predictor(pair.online.projector(each)) for each in online]
    with torch.no_grad():
        targets = [pair.target.projector(project(pair.target, view)) for view in (first, second)]
    return distance(predictions[0], targets[1]) + distance(predictions[1], targets[0])


@pytest.mark.parametrize("predicts_differences", [True, False])
def test_weight_0_is_plain_byol_to_the_bit(predicts_differences, monkeypatch):
    monkeypatch.setattr(
        Kernels, "of", lambda values: None
    )  # PyTorch's operations, as in plain BYOL
    objective = Objective(difference_weight=0.0)

    def ours(pair, first, second, step):
        return objective(pair, first, second, torch_generator("rates", step))["total"]

    pair = small_pair(predicts_differences=predicts_differences)
    plain = small_pair(predicts_differences=False)
    assert train(pair, ours) == train(plain, plain_byol)
    state = pair.state_dict()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    start = small_pair(predicts_differences=False).state_dict()
    assert not torch.equal(state["target.encoder.fc.0.weight"], start["target.encoder.fc.0.weight"])


def test_update_target_is_the_loop_over_weights_to_the_bit():
    pair = small_pair()
    with torch.no_grad():
        for weight in pair.online.parameters():
            weight.normal_()
    expected = copy.deepcopy(pair)
    update_target(pair.online, pair.target, 0.99)
    with torch.no_grad():
        pairs = zip(expected.online.parameters(), expected.target.parameters(), strict=True)
        for new, old in pairs:
            old.lerp_(new, 1 - 0.99)
    for name, weight in pair.target.named_parameters():
        assert torch.equal(weight, expected.target.get_parameter(name))


def test_steps_lower_both_terms():
    pair, views = small_pair(), make_views(n_clips=8)
    optimizer = torch.optim.Adam([p for p in pair.parameters() if p.requires_grad], lr=1e-3)
    history = []
    for _ in range(12):
        torch.manual_seed(0)
        terms = Objective()(pair, *views, torch_generator(0))
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        history.append((terms["byol"].item(), terms["difference"].item()))
    assert all(last < start - 0.5 for start, last in zip(history[0], history[-1], strict=True))


@pytest.mark.parametrize("seed", [0, 1])
def test_bfloat16_changes_terms_and_gradient_by_its_rounding_alone(seed):
    terms, gradients = [], []
    for bfloat16 in (False, True):
        pair, views = small_pair(seed), make_views(n_clips=8, seed=seed)
        torch.manual_seed(seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            terms.append(Objective()(pair, *views, torch_generator(0)))
        terms[-1]["total"].backward()
        weights = [weight.grad.flatten() for weight in pair.parameters() if weight.requires_grad]
        gradients.append(torch.cat(weights))
    # Eight bits of a value: 0.4 %, of losses near 4 through a dozen layers.
    for name in ("byol", "difference", "total"):
        assert terms[1][name].item() == pytest.approx(terms[0][name].item(), abs=0.04)
        assert terms[1][name].dtype == torch.float32
    torch.testing.assert_close(
        terms[1]["representation"], terms[0]["representation"], rtol=0, atol=0.03
    )
    assert cosine_similarity(*gradients, dim=0) > 0.93


# Further terms, and the other kind of mixture


def test_mixtures_of_powers_are_those_of_the_powers_that_views_stand_for():
    views, scale = make_views(n_clips=3, n_mels=2, n_frames=2), 4.0
    [rate, _] = drawn_rates(0, 2, n_clips=3)
    [mixture] = Objective(mixture_domain="power")._mix(views, [rate], scale)
    # A view is (log-power - mean) / scale: any mean gives the same.
    for clip in range(3):
        own, after = views[0][clip].double(), views[0][(clip + 1) % 3].double()
        power = rate[clip] * (scale * after + 7).exp() + (1 - rate[clip]) * (scale * own + 7).exp()
        expected = ((power.log() - 7) / scale).float()
        torch.testing.assert_close(mixture.content[clip], expected, rtol=0, atol=1e-5)
    [published] = Objective()._mix(views, [rate], scale)
    assert (published.content - mixture.content).abs().max() > 0.1


def test_at_scale_1_powers_are_the_published_mixtures():
    views = make_views(n_mels=3, n_frames=7)
    powers = Objective(mixture_domain="power")(linear_pair(), *views, torch_generator(0), 1.0)
    published = Objective()(linear_pair(), *views, torch_generator(0))
    assert powers["total"].item() == pytest.approx(published["total"].item(), abs=1e-6)


def mixture_of(view, rate):
    after = view.roll(-1, 0)
    rate = rate[:, None, None, None]
    return (rate * after.exp() + (1 - rate) * view.exp()).log()


def test_sum_term_in_representations_is_that_written_out():
    pair, views = linear_pair(), make_views(n_mels=3, n_frames=7)
    objective = Objective(difference_weight=0.0, sum_weight=0.7, sum_space="representation")
    terms = objective(pair, *views, torch_generator(0))
    expected = 0
    for view, rate in zip(views, drawn_rates(0, 2), strict=True):
        found = pair.online.represent(mixture_of(view, rate))
        part = pair.target.represent(view)  # of the same view: what was mixed
        wanted = rate[:, None] * part.roll(-1, 0) + (1 - rate[:, None]) * part
        for dim in range(found.shape[1]):
            both = torch.stack([found[:, dim], wanted[:, dim]])
            expected = expected + (2 - 2 * torch.corrcoef(both)[0, 1]) / found.shape[1]
    assert terms["sum"].item() == pytest.approx(expected.item(), abs=1e-4)
    total = terms["byol"] + 0.7 * expected
    assert terms["total"].item() == pytest.approx(total.item(), abs=1e-4)
    assert "difference" not in terms


def test_sum_term_in_projections_is_that_written_out():
    pair, views = linear_pair(), make_views(n_mels=3, n_frames=7)
    pair.sum_predictor = nn.Linear(4, 4)
    terms = Objective(sum_weight=2.0)(pair, *views, torch_generator(0))
    expected = 0
    for view, rate in zip(views, drawn_rates(0, 2), strict=True):
        mixed = pair.online.represent(mixture_of(view, rate))
        prediction = pair.sum_predictor(pair.online.projector(mixed))
        part = pair.target.represent(view)
        wanted = rate[:, None] * part.roll(-1, 0) + (1 - rate[:, None]) * part
        cosine = cosine_similarity(prediction, pair.target.projector(wanted), dim=1)
        expected = expected + (2 - 2 * cosine).mean()
    assert terms["sum"].item() == pytest.approx(expected.item(), abs=1e-5)
    total = (terms["byol"] + terms["difference"]) / 2 + 2 * expected
    assert terms["total"].item() == pytest.approx(total.item(), abs=1e-5)


def test_sum_term_needs_its_predictor_in_projections_alone():
    views = make_views(n_mels=3, n_frames=7)
    pair = linear_pair()
    pair.sum_predictor = None
    with pytest.raises(ValueError, match="predicts_sums"):
        Objective(sum_weight=1.0)(pair, *views, torch_generator(0))
    Objective(sum_weight=1.0, sum_space="representation")(pair, *views, torch_generator(0))


@pytest.mark.parametrize("space", ["projection", "representation"])
def test_the_sum_term_moves_the_online_network_alone(space):
    pair, views = small_pair(predicts_sums=True), make_views()
    objective = Objective(difference_weight=0.0, sum_weight=1.0, sum_space=space)
    terms = objective(pair, *views, torch_generator(0))
    terms["total"].backward()
    assert all(weight.grad is None for weight in pair.target.parameters())
    assert all(weight.grad is not None for weight in pair.online.encoder.parameters())
    is_used = space == "projection"
    assert all((weight.grad is not None) == is_used for weight in pair.sum_predictor.parameters())


def test_variance_term_is_added_for_both_projections():
    pair, views = linear_pair(), make_views(n_mels=3, n_frames=7)
    objective = Objective(difference_weight=0.0, variance_weight=0.5)
    terms = objective(pair, *views, torch_generator(0))
    both = [pair.online.projector(pair.online.represent(view)) for view in views]
    expected = terms["byol"] + 0.5 * sum(map(variance_covariance_loss, both))
    assert terms["total"].item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("name", ["sum_weight", "variance_weight"])
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_weights_that_cannot_be_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"objective\.{name} must be 0 or more"):
        Objective(**{name: value})


def test_short_views_predict_the_mean_direction_of_both_targets():
    pair, views = linear_pair(), make_views(n_mels=3, n_frames=7)
    short = make_views(n_mels=3, n_frames=4, seed=5)
    objective = Objective(difference_weight=0.0)
    terms = objective(pair, *views, torch_generator(0), 1.0, short)
    both = [normalize(pair.target(view), dim=1) for view in views]
    wanted = (both[0] + both[1]) / 2
    expected = objective(pair, *views, torch_generator(0))["byol"]
    for view in short:
        prediction = pair.predictor(pair.online.projector(pair.online.represent(view)))
        # Of two short views each counts as one of the two directions.
        expected = expected + (2 - 2 * cosine_similarity(prediction, wanted, dim=1)).mean()
    assert terms["byol"].item() == pytest.approx(expected.item(), abs=1e-5)
