import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from byola_diff.probing.protocols import ProbeSettings, TrainingRules
from byola_diff.probing.stacks import LinearStack, MlpStack
from byola_diff.probing.trainer import train_probes
from byola_diff.randomness import derive_seed, torch_generator

RATES = (1e-4, 1e-3, 1e-2, 1e-1)


@pytest.fixture
def clips():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(450, 24, generator=generator)
    targets = torch.randint(0, 5, (450,), generator=generator)
    features[torch.arange(450), targets] += 1.5
    return features[:330], targets[:330], features[330:], targets[330:]


def accuracy_of(true):
    return lambda logits: float((logits.argmax(1) == true).float().mean())


def rules(**changes):
    return TrainingRules(**{"batch_size": 100, "max_epochs": 60, "patience": 8} | changes)


def plain_loop(clips, settings, rules, judge, n_classes=5):
    """One probe, written with stock modules: nn.Linear, Adam, cross_entropy."""
    train, targets, valid, _ = clips
    model = nn.Linear(train.shape[1], n_classes)
    bound = train.shape[1] ** -0.5
    generator = torch_generator("probe weights", settings.seed)
    for parameter in (model.weight, model.bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=rules.weight_decay
    )
    best, best_epoch, best_weights, waited = -math.inf, 0, None, 0
    for epoch in range(1, rules.max_epochs + 1):
        order = torch.arange(len(train))
        if rules.shuffle:
            generator = torch_generator("probe order", settings.seed, epoch)
            order = torch.randperm(len(train), generator=generator)
        for batch in order.split(rules.batch_size):
            optimizer.zero_grad()
            logits = model(train[batch])
            if targets.ndim == 2:
                loss = functional.binary_cross_entropy_with_logits(logits, targets[batch])
            else:
                one_hot = functional.one_hot(targets[batch], n_classes)
                # Mean over batch and classes, as EVAR has it.
                loss = -(one_hot * logits.log_softmax(1)).mean()
                loss = loss if rules.divide_by_classes else loss * n_classes
            loss.backward()
            optimizer.step()
        if epoch % rules.check_every:
            continue
        with torch.no_grad():
            score = judge(model(valid))
        if score > best or (rules.later_wins and score == best):
            best, best_epoch, waited = score, epoch, 0
            best_weights = model.weight.detach().clone(), model.bias.detach().clone()
        else:
            waited += 1
            if waited >= rules.patience:
                break
    return best, best_epoch, epoch, best_weights


@pytest.mark.parametrize(
    ("later_wins", "divide_by_classes", "check_every", "shuffle"),
    [(True, True, 1, True), (False, False, 1, False), (True, False, 3, True)],
)
def test_each_probe_is_as_if_trained_alone_by_a_plain_loop(
    clips, later_wins, divide_by_classes, check_every, shuffle
):
    train, targets, valid, valid_targets = clips
    judge = accuracy_of(valid_targets)
    how = rules(
        later_wins=later_wins,
        divide_by_classes=divide_by_classes,
        check_every=check_every,
        weight_decay=1e-3,
        patience=4,
        shuffle=shuffle,
    )
    settings = [ProbeSettings(rate, seed) for seed in (1, 2) for rate in RATES]
    probes = train_probes(train, targets, valid, judge, settings, how, 5)
    assert len({probe.n_epochs for probe in probes}) > 2, "early stopping is not put to the test"
    for probe, one in zip(probes, settings, strict=True):
        best, best_epoch, n_epochs, (weight, bias) = plain_loop(clips, one, how, judge)
        assert (probe.best_score, probe.best_epoch, probe.n_epochs) == (best, best_epoch, n_epochs)
        torch.testing.assert_close(probe.network.keywords["weight"], weight, rtol=0, atol=2e-5)
        torch.testing.assert_close(probe.network.keywords["bias"], bias, rtol=0, atol=2e-5)
        expected = functional.linear(valid, weight, bias)
        torch.testing.assert_close(probe.logits(valid), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("hidden_layers", [0, 1])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_the_same_in_each_epoch_unless_shuffled(
    clips, monkeypatch, hidden_layers, shuffle
):
    train, targets, valid, _ = clips
    stack, seen = (MlpStack if hidden_layers else LinearStack), []
    step = stack.step

    def recorded(self, features, classes):
        seen.append((features, classes))
        return step(self, features, classes)

    monkeypatch.setattr(stack, "step", recorded)
    settings = [ProbeSettings(1e-3, 1, hidden_layers, hidden_dim=8)]
    train_probes(
        train, targets, valid, lambda _: 0.0, settings, rules(max_epochs=2, shuffle=shuffle), 5
    )
    epochs = [torch.cat([features for features, _ in part]) for part in (seen[:4], seen[4:])]
    assert [len(features) for features, _ in seen] == [100, 100, 100, 30] * 2
    assert torch.equal(*epochs) is not shuffle
    assert torch.equal(epochs[0], train) is not shuffle
    for features, classes in seen:  # each clip with its own class
        rows = [(train == row).all(dim=1).nonzero().item() for row in features]
        assert torch.equal(classes, targets[rows])


def test_several_labels_are_trained_by_binary_cross_entropy(clips):
    train, targets, valid, _ = clips
    many = functional.one_hot(targets, 5).float()
    many[::3, 0] = 1
    how = rules(max_epochs=5)
    settings = [ProbeSettings(rate, 3) for rate in RATES]

    def judge(logits):
        return -float(logits.square().mean())

    probes = train_probes(train, many, valid, judge, settings, how, 5)
    for probe, one in zip(probes, settings, strict=True):
        expected = plain_loop((train, many, valid, None), one, how, judge)[3][0]
        torch.testing.assert_close(probe.network.keywords["weight"], expected, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_converged_probe_is_the_regression_of_scikit_learn(clips):
    from sklearn.linear_model import LogisticRegression

    train, targets, valid, _ = clips
    decay = 1e-2
    how = rules(max_epochs=800, patience=800, weight_decay=decay, batch_size=len(train))
    [probe] = train_probes(
        train, targets, valid, lambda _: 0.0, [ProbeSettings(2e-2, 0)], how, n_classes=5
    )
    # The bias is penalised as well: a feature of ones.
    ones = np.ones((len(train), 1))
    regression = LogisticRegression(C=1 / (decay * len(train)), fit_intercept=False, tol=1e-8)
    regression.fit(np.hstack([train.numpy(), ones]), targets.numpy())
    found = torch.cat(
        [probe.network.keywords["weight"], probe.network.keywords["bias"][:, None]], dim=1
    ).numpy()
    np.testing.assert_allclose(found, regression.coef_, rtol=0, atol=2e-3)


def test_a_tie_goes_to_the_later_epoch_only_where_the_rules_say_so(clips):
    train, targets, valid, _ = clips
    one = [ProbeSettings(1e-3, 0)]
    for later_wins, best_epoch, n_epochs in [(True, 20, 20), (False, 1, 6)]:
        how = rules(max_epochs=20, patience=5, later_wins=later_wins)
        [probe] = train_probes(train, targets, valid, lambda _: 0.5, one, how, 5)
        assert (probe.best_epoch, probe.n_epochs) == (best_epoch, n_epochs)


def test_a_probe_that_diverges_never_wins_and_leaves_the_others_alone(clips):
    train, targets, valid, valid_targets = clips

    def judge(logits):
        return accuracy_of(valid_targets)(logits) if logits.isfinite().all() else math.nan

    settings = [ProbeSettings(1e38, 0), ProbeSettings(1e-2, 0)]
    broken, sound = train_probes(train, targets, valid, judge, settings, rules(), 5)
    [alone] = train_probes(train, targets, valid, judge, settings[1:], rules(), 5)
    assert broken.best_score == -math.inf
    assert broken.best_epoch == 0
    assert sound.best_score == alone.best_score > 0.4


def mlps(**changes):
    base = {"learning_rate": 1e-2, "seed": 4, "hidden_dim": 16, "dropout": 0.1}
    return [
        ProbeSettings(**base | {"hidden_layers": hidden, "initialisation": name} | changes)
        for hidden, name in [(1, "xavier_uniform"), (2, "xavier_normal")]
    ]


def test_probe_with_hidden_layers_is_the_same_alone_and_among_others(clips):
    train, targets, valid, valid_targets = clips
    judge = accuracy_of(valid_targets)
    settings, how = mlps(), rules(later_wins=False, patience=4)
    together = train_probes(train, targets, valid, judge, settings, how, 5)
    for probe, one in zip(together, settings, strict=True):
        [alone] = train_probes(train, targets, valid, judge, [one], how, 5)
        assert probe.best_epoch == alone.best_epoch
        torch.testing.assert_close(probe.logits(valid), alone.logits(valid), rtol=0, atol=1e-5)
        assert probe.best_score > 0.45


def test_order_and_gains_of_hidden_layers(clips):
    train, targets, valid, _ = clips
    settings = mlps(hidden_dim=1000, hidden_layers=2)
    probes = train_probes(
        train, targets, valid, lambda _: math.nan, settings, rules(max_epochs=1), 5
    )
    for probe, name in zip(probes, ("uniform", "normal"), strict=True):
        assert [type(layer).__name__ for layer in probe.network] == (
            ["Linear", "BatchNorm1d", "Dropout", "ReLU"] * 2 + ["Linear"]
        )
        first, second, last = (layer for layer in probe.network if isinstance(layer, nn.Linear))
        for layer, gain in [(first, 1.0), (second, 2**0.5), (last, 2**0.5)]:
            expected = gain * (2 / sum(layer.weight.shape)) ** 0.5
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.05), name
    largest = probes[0].network[4].weight.abs().max().item()
    assert largest <= 2**0.5 * (6 / 2000) ** 0.5


def test_dropout_is_drawn_anew_each_step_and_leaves_the_global_generator(clips):
    train, targets, valid, _ = clips
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    train_probes(train, targets, valid, lambda _: 0.0, mlps(), rules(max_epochs=2), 5)
    assert torch.equal(torch.rand(1), expected)
    assert derive_seed("probe dropout", 4, 0) != derive_seed("probe dropout", 4, 1)


def test_last_batch_of_a_single_clip_joins_the_one_before(clips):
    train, targets, valid, _ = clips
    [probe] = train_probes(
        train[:201], targets[:201], valid, lambda _: 0.0, mlps()[:1], rules(max_epochs=1), 5
    )
    assert probe.logits(valid).isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": "nan"}, r"1 embeddings of the training part .* number 7"),
        ({"valid": "nan"}, "of the validation part"),
        ({"valid": "empty"}, "validation part is empty"),
    ],
)
def test_bad_input_is_refused(clips, change, message):
    train, targets, valid, _ = (part.clone() for part in clips)
    [(what, how)] = change.items()
    if how == "nan":
        {"train": train, "valid": valid}[what][7, 3] = math.nan
    else:
        valid = valid[:0]
    with pytest.raises(ValueError, match=message):
        train_probes(train, targets, valid, lambda _: 0.0, [ProbeSettings(1e-3, 0)], rules(), 5)


@pytest.mark.parametrize("changes", [{"patience": 0}, {"batch_size": 0}, {"check_every": 0}])
def test_rules_are_checked(changes):
    with pytest.raises(ValueError, match="must be at least 1"):
        rules(**changes)
