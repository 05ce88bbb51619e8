from dataclasses import replace

import numpy as np
import pytest

from byola_diff.probing.protocols import BGKNOWN, DIFF24, EVAR
from byola_diff.probing.task import probe_task
from tests.probing.manifests import manifest_of


def probe(protocol, n_clips=400, scale=1.0, monkeypatch=None):
    """Probe two classes of noise; what the trainer was given by the protocol."""
    rng = np.random.default_rng(0)
    embeddings = scale * rng.normal(size=(n_clips, 4)).astype(np.float32)
    split = ["train"] * (n_clips - 20) + ["test"] * 20
    manifest = manifest_of([f"class {number % 2}" for number in range(n_clips)], split=split)
    calls = []

    def trainer(train, targets, valid, judge, settings, rules, n_classes):
        from byola_diff.probing.trainer import train_probes

        calls.append((len(train), len(valid), settings, rules))
        quick = replace(rules, max_epochs=1)
        return train_probes(train, targets, valid, judge, settings, quick, n_classes)

    monkeypatch.setattr("byola_diff.probing.task.train_probes", trainer)
    probe_task(embeddings, manifest, "accuracy", protocol)
    return calls


@pytest.mark.parametrize("protocol", [EVAR, DIFF24], ids=lambda protocol: protocol.name)
def test_every_seed_trains_thirteen_rates_four_to_a_decade(protocol, monkeypatch):
    calls = probe(protocol, monkeypatch=monkeypatch)
    assert [settings[0].seed for _, _, settings, _ in calls] == [42, 43, 44]
    for n_train, n_valid, settings, rules in calls:
        assert (n_train, n_valid) == (342, 38)  # a tenth validates
        rates = np.array([one.learning_rate for one in settings])
        np.testing.assert_allclose(np.diff(np.log10(rates)), 0.25, atol=1e-4)
        assert (rates[0], rates[-1]) == (1e-5, 1e-2)
        assert {one.hidden_layers for one in settings} == {0}
        # EVAR's: 20 epochs without a better one end the training, 200 in any case.
        assert (rules.batch_size, rules.max_epochs, rules.patience) == (200, 200, 20)
        assert (rules.weight_decay, rules.check_every) == (1e-8, 1)
        assert rules.later_wins
        assert rules.divide_by_classes
        assert rules.shuffle


@pytest.mark.parametrize("twice", [{"seeds": (3, 3)}, {"learning_rates": (1e-3, 1e-3)}])
def test_what_is_given_twice_is_refused(twice):
    with pytest.raises(ValueError, match="a learning rate or seed is given twice"):
        replace(EVAR, **twice)


def test_background_known_has_one_rate_and_shares_by_class(monkeypatch):
    calls = probe(BGKNOWN, monkeypatch=monkeypatch)
    assert [[one.learning_rate for one in settings] for _, _, settings, _ in calls] == [[1e-3]] * 3
    assert BGKNOWN.stratified
