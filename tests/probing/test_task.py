import math
from dataclasses import replace

import numpy as np
import pytest

from byola_diff.probing import task as probing
from byola_diff.probing.parts import manifest_targets, probe_parts
from byola_diff.probing.protocols import DIFF24, EVAR, TrainingRules
from byola_diff.probing.task import probe_task
from tests.probing.manifests import manifest_of

QUICK = replace(
    EVAR,
    learning_rates=(1e-5, 1e-2),
    seeds=(1, 2),
    rules=TrainingRules(batch_size=50, max_epochs=40, patience=40),
)


def probe(embeddings, manifest, targets_of=None, parts=None, protocol=QUICK):
    """What `probe_task` finds, with other targets or parts than those of the manifest."""
    with pytest.MonkeyPatch.context() as patch:
        if targets_of:
            patch.setattr(probing, "manifest_targets", lambda *_: targets_of)
        if parts:
            patch.setattr(probing, "probe_parts", lambda *_: parts)
        return probe_task(embeddings, manifest, "accuracy", protocol)


@pytest.fixture
def task():
    """Three classes that a linear layer can tell apart, in three folds."""
    rng = np.random.default_rng(0)
    number = rng.integers(0, 3, 240)
    embeddings = rng.normal(size=(240, 12)).astype(np.float32)
    embeddings[np.arange(240), number] += 4
    # A large offset and scale, which standardisation must take out; and a constant feature.
    embeddings = embeddings * 50 + 1000
    embeddings[:, 11] = 7
    manifest = manifest_of([f"class {n}" for n in number], fold=[n % 3 + 1 for n in range(240)])
    return embeddings, manifest


def test_scores_of_each_fold_and_seed(task):
    embeddings, manifest = task
    result = probe(embeddings, manifest)
    assert list(result.scores) == ["seed 1", "seed 2"]
    assert set(result.learning_rates.values()) == {1e-2}
    for of_part in result.scores.values():
        assert list(of_part) == ["fold 1", "fold 2", "fold 3"]
        assert min(of_part.values()) > 0.9
    for means in result.validation.values():
        assert means[1e-2] > means[1e-5]


def test_labels_of_test_clips_are_read_once_and_last(task):
    embeddings, manifest = task
    parts = probe_parts(manifest, "accuracy")
    targets_of = manifest_targets(manifest, "accuracy")
    asked = []

    def recording(places):
        asked.append(set(places.tolist()))
        return targets_of(places)

    # One part: in cross-validation each clip is a training clip of the other folds.
    part = parts[0]
    probe(embeddings, manifest, recording, [part])
    test = set(part.test.tolist())
    assert asked[-1] == test
    assert not any(places & test for places in asked[:-1])
    # In cross-validation all training comes before all tests.
    asked.clear()
    probe(embeddings, manifest, recording, parts)
    assert asked[-3:] == [set(part.test.tolist()) for part in parts]


def test_test_labels_change_the_score_and_nothing_else(task):
    embeddings, manifest = task
    parts = probe_parts(manifest, "accuracy")[:1]
    targets_of = manifest_targets(manifest, "accuracy")

    def shifted(places):
        is_test = set(places.tolist()) == set(parts[0].test.tolist())
        return (targets_of(places) + 1) % 3 if is_test else targets_of(places)

    right, wrong = (probe(embeddings, manifest, which, parts) for which in (targets_of, shifted))
    assert right.learning_rates == wrong.learning_rates
    assert right.validation == wrong.validation
    assert right.scores["seed 1"]["fold 1"] > 0.9
    assert wrong.scores["seed 1"]["fold 1"] < 0.1


def test_the_best_validation_loss_chooses_where_the_protocol_says_so(task):
    embeddings, manifest = task
    quick = {"learning_rates": QUICK.learning_rates, "seeds": (1,), "rules": QUICK.rules}
    by_score, by_loss = (
        probe(embeddings, manifest, protocol=replace(protocol, **quick)).validation["fold 1"]
        for protocol in (EVAR, DIFF24)
    )
    assert all(0 <= value <= 1 for value in by_score.values())
    assert all(value < 0 for value in by_loss.values())  # minus the cross-entropy


def test_validation_split_judges_and_is_not_trained_on(task):
    embeddings, manifest = task
    split = ["train"] * 120 + ["valid"] * 60 + ["test"] * 60
    split_manifest = manifest_of([clip.labels[0] for clip in manifest.clips], split=split)
    [part] = probe_parts(split_manifest, "accuracy")
    assert part.name == "test"
    assert [len(side) for side in (part.train, part.valid, part.test)] == [120, 60, 60]
    asked = []
    targets_of = manifest_targets(split_manifest, "accuracy")

    def recording(places):
        asked.append(len(places))
        return targets_of(places)

    probe(embeddings, split_manifest, recording, [part])
    assert asked == [120, 60] * 2 + [60]


def test_a_tenth_is_carved_out_with_every_class_on_both_sides(task):
    embeddings, manifest = task
    part = probe_parts(manifest, "accuracy")[0]
    targets_of = manifest_targets(manifest, "accuracy")
    asked = []

    def recording(places):
        asked.append(places)
        return targets_of(places)

    probe(embeddings, manifest, recording, [part])
    seen = [asked[1:3], asked[4:6]]  # each seed first asks for all training clips
    for train, valid in seen:
        assert len(valid) == 16
        assert sorted([*train, *valid]) == sorted(part.train)
        assert len(targets_of(valid).unique()) == len(targets_of(train).unique()) == 3
    assert set(seen[0][1].tolist()) != set(seen[1][1].tolist()), "the seeds share a validation part"


def test_standardisation_is_fitted_to_training_clips_alone(task):
    embeddings, manifest = task
    parts = probe_parts(manifest, "accuracy")[:1]
    moved = embeddings.copy()
    # Were test clips part of the statistics, these would drown all else.
    moved[parts[0].test[:5]] = 1e6
    plain, other = (probe(which, manifest, parts=parts) for which in (embeddings, moved))
    assert plain.validation == other.validation


def test_several_labels_are_scored_by_mean_average_precision():
    rng = np.random.default_rng(1)
    has = rng.random((200, 3)) < 0.4
    has[~has.any(axis=1), 0] = True
    embeddings = (rng.normal(size=(200, 6)) + np.hstack([4 * has, has])).astype(np.float32)
    labels = [tuple(f"label {n}" for n in np.flatnonzero(row)) for row in has]
    manifest = manifest_of(labels, split=["train"] * 120 + ["valid"] * 40 + ["test"] * 40)
    result = probe_task(embeddings, manifest, "mAP", QUICK)
    assert min(of_part["test"] for of_part in result.scores.values()) > 0.9
    with pytest.raises(ValueError, match=r"one label per clip, .*wav has several"):
        probe_parts(manifest, "accuracy")


def test_nan_embeddings_are_refused(task):
    embeddings, manifest = task
    embeddings[3, 2] = math.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        probe(embeddings, manifest)
