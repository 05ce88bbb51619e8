"""The page's own arithmetic, run by Node where there is one."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import byola_diff.explore

SCRIPT = Path(byola_diff.explore.__file__).parent / "templates/search.js"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node")


def run(expression, **given):
    """The value of an expression in which `search` is the script and `given` are names."""
    names = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in given.items())
    code = (
        f"const search = require({json.dumps(str(SCRIPT))});\n{names}"
        "const plain = (_, v) => ArrayBuffer.isView(v) ? [...v] : v === Infinity ? 'inf' : v;\n"
        f"console.log(JSON.stringify({expression}, plain));"
    )
    done = subprocess.run([NODE, "-e", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packed(rows):
    return base64.b64encode(np.asarray(rows, "<i2").tobytes()).decode()


def test_rows_as_they_were_packed():
    found = run("search.vectorsOf(text, 2)", text=packed([[3, -4], [-32767, 0], [0, 0]]))
    assert found == {"values": [3, -4, -32767, 0, 0, 0], "lengths": [5, 32767, 0], "dim": 2}


def test_sums_and_differences_by_hand():
    text = packed([[1, 2], [10, 20], [100, -200]])
    for terms, start, expected in (
        ([(0, 1)], None, [1, 2]),
        ([(1, 1), (0, -1)], None, [9, 18]),
        ([(0, 1), (1, 1), (2, -1)], None, [-89, 222]),
        ([(0, 1)], [0.5, 1], [1.5, 3]),
        ([], None, [0, 0]),
    ):
        given = [{"row": row, "sign": sign} for row, sign in terms]
        query = "search.combined(search.vectorsOf(text, 2), terms, start)"
        assert run(query, text=text, terms=given, start=start) == expected


def test_cosines_as_numpy_has_them():
    rows = np.random.default_rng(0).integers(-32767, 32768, (50, 7))
    rows[3] = 0
    query = "search.combined(v, [{row: 4, sign: 1}, {row: 9, sign: -1}])"
    found = run(f"(v => search.cosines(v, {query}))(search.vectorsOf(text, 7))", text=packed(rows))
    wanted = (rows[4] - rows[9]).astype(float)
    lengths = np.maximum(np.linalg.norm(rows, axis=1), 1) * np.linalg.norm(wanted)
    np.testing.assert_allclose(found, rows @ wanted / lengths, atol=1e-12)
    assert found[3] == 0


def test_what_cancels_itself_finds_nothing():
    assert run("search.cosines(search.vectorsOf(text, 2), [0, 0])", text=packed([[1, 2]])) is None


def test_the_highest_come_first_and_equal_ones_in_order():
    values = [0.5, 0.9, 0.5, -1, 0.9]
    assert run("search.highest(values, 3)", values=values) == [1, 4, 0]
    assert run("search.highest(values, 9, (row) => row !== 1)", values=values) == [4, 0, 2, 3]


def test_the_nearest_point_within_reach():
    x, y = [0, 10, 20], [0, 0, 0]
    call = "search.nearest(x, y, {x: 12, y: 3}, (row) => allowed.includes(row)"
    assert run(f"{call})", x=x, y=y, allowed=[0, 1, 2]) == 1
    assert run(f"{call})", x=x, y=y, allowed=[0, 2]) == 2
    assert run(f"{call}, 3.7)", x=x, y=y, allowed=[0, 1, 2]) == 1
    assert run(f"{call}, 3.5)", x=x, y=y, allowed=[0, 1, 2]) is None


@pytest.mark.parametrize(
    ("towards", "expected"),
    [((1, 0), 1), ((-1, 0), 2), ((0, 1), 3), ((0, -1), None)],
)
def test_neighbours_in_each_direction(towards, expected):
    # One right, a nearer one that lies rather up than right, one left, none below.
    x, y = [0, 10, -7, 2], [0, 1, 6, 5]
    way = dict(zip("xy", towards, strict=True))
    call = "search.neighbourTowards(x, y, 0, way, () => true)"
    assert run(call, x=x, y=y, way=way) == expected


def test_points_in_one_place_are_no_trap():
    call = "search.neighbourTowards([5, 5, 6], [5, 5, 5], 0, {x: 1, y: 0}, () => true)"
    assert run(call) == 2
