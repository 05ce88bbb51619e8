from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from byola_diff.tables.validation import describe


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: str
    fold: int = 1
    split: Literal["train", "test"] = "train"


def description(kind, content, path="tasks.json"):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(content)
    return describe(caught.value, path).splitlines()


def test_every_problem_has_a_line_with_the_file():
    rows = [{"fold": "x"}, {"file": "a.wav", "split": "dev", "colour": "red"}]
    assert description(list[Row], rows) == [
        "tasks.json: item 1, 'file': is missing",
        "tasks.json: item 1, 'fold': must be a valid integer, unable to parse string as an integer"
        ", not 'x'",
        "tasks.json: item 2, 'split': must be 'train' or 'test', not 'dev'",
        "tasks.json: item 2, 'colour': is unknown",
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
    assert lines[-1] == "tasks.json: and 30 more"
