"""The same commands on the same inputs give the same results as version 0.3.0.

`freeze.py` tells how the frozen results are made, and when they may change.
"""

import json

import numpy as np
import pytest

from tests.frozen.frozen_cases import EMBEDDINGS_FILE, SCORES, SCORES_FILE, TOLERANCE, Workshop

FROZEN = json.loads(SCORES_FILE.read_bytes())

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("frozen").resolve())


def test_every_command_is_frozen():
    assert FROZEN.keys() == SCORES.keys()


@pytest.mark.parametrize("name", SCORES)
def test_scores(workshop, name):
    found = {key_of(result): result["values"] for result in workshop.scores(name)}
    frozen = {key_of(result): result["values"] for result in FROZEN[name]}
    assert found.keys() == frozen.keys()
    differences = [
        f"{key}: {number}: {found[key].get(number)}, not {frozen[key].get(number)}"
        for key in frozen
        for number in sorted(frozen[key].keys() | found[key].keys())
        if not same(found[key].get(number), frozen[key].get(number))
    ]
    assert not differences, "\n".join(differences)


def test_embeddings(workshop):
    found, frozen = workshop.embeddings(), json.loads(EMBEDDINGS_FILE.read_bytes())
    assert found.keys() == frozen.keys()
    for name, rows in frozen.items():
        np.testing.assert_allclose(found[name], rows, rtol=0, atol=TOLERANCE, err_msg=name)


def key_of(result):
    return tuple(result[name] for name in result if name != "values")


def same(value, other):
    return None not in (value, other) and abs(value - other) <= TOLERANCE
