import ast
import importlib.util
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mutate():
    spec = importlib.util.spec_from_file_location("mutate", REPOSITORY / "benchmarks/mutate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a < b", ["a <= b"]),
        ("a == b", ["a != b"]),
        ("a - b", ["a + b"]),
        ("a and b", ["a or b"]),
        ("not a", ["a"]),
        ("True", ["False"]),
        ("2", ["3"]),
        ("2.0", ["3.0", "2.02"]),
        ("x.detach()", ["x"]),
        ("abs(x)", ["x"]),
        ("torch.rand(2)", ["2"]),
        ("b if a else c", ["b if not a else c"]),
        ("'text'", []),
    ],
)
def test_what_an_expression_may_become(mutate, code, expected):
    node = ast.parse(code, mode="eval").body
    found = [*mutate.changes(node)]
    assert [ast.unparse(ast.fix_missing_locations(each)) for each in found] == expected


@pytest.mark.slow
def test_every_mutant_is_one_change_and_none_of_annotations(mutate):
    for file, tests in mutate.TESTS.items():
        assert all((REPOSITORY / "tests" / test).is_file() for test in tests)
        whole = ast.unparse(ast.parse((REPOSITORY / "byola_diff" / file).read_text()))
        found = mutate.mutants(file)
        assert len({mutant.source for mutant in found} - {whole}) > 5
        signatures = [line for line in whole.splitlines() if "->" in line]
        assert all(one.partition("->")[2] in found[0].source for one in signatures)
