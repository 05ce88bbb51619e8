from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from byola_diff.tables.validation import describe


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: str
    fold: int = 1
    split: Literal["train", "test"] = "train"


def description(kind, content, path="tasks.csv", **options):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(content)
    return describe(caught.value, path, **options).splitlines()


def test_rows_are_counted_as_in_a_spreadsheet():
    rows = [{"file": "a.wav", "fold": "2"}, {"file": "b.wav", "fold": "x"}]
    [line] = description(list[Row], rows)
    assert line.startswith("tasks.csv: row 3, column 'fold': must be a valid integer")
    assert line.endswith(", not 'x'")
    [line] = description(list[Row], rows, first_row=1)
    assert line.startswith("tasks.csv: row 2, column 'fold'")


def test_every_problem_has_a_line_with_the_file():
    rows = [{"fold": 1}, {"file": "a.wav", "split": "dev", "colour": "red"}]
    assert description(list[Row], rows) == [
        "tasks.csv: row 2, column 'file': is missing",
        "tasks.csv: row 3, column 'split': must be 'train' or 'test', not 'dev'",
        "tasks.csv: row 3, column 'colour': is unknown",
    ]


def test_keys_and_items_of_an_object_are_named():
    kind = dict[str, dict[str, list[Annotated[float, Field(gt=0)]]]]
    assert description(kind, {"grid": {"lr": [0.1, -1]}}, "task.json") == [
        "task.json: 'grid', 'lr', item 2: must be greater than 0, not -1"
    ]
    assert description(kind, {"grid": [1]}, "task.json") == [
        "task.json: 'grid': must be a valid object, not [1]"
    ]


def test_long_values_and_long_lists_are_cut():
    [line] = description(list[Row], ["x" * 5000])
    assert len(line) < 250
    lines = description(list[int], ["x"] * 50)
    assert len(lines) == 21
    assert lines[-1] == "tasks.csv: and 30 more"
