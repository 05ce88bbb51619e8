"""A published task is added by a function and an entry, as CONTRIBUTING.md says."""

import pytest

from byola_diff.corpora.layout import read_columns
from byola_diff.corpora.prepare import Choices, TaskDataError, prepare_task
from byola_diff.corpora.registry import TASKS, TaskSpec
from byola_diff.corpora.task import read_task
from byola_diff.tables.manifest import Clip
from tests.corpora.layouts import audio, put


def doors_clips(root):
    """Clips of Doors: `doors.csv` names file, kind and part."""
    rows = read_columns(root / "doors.csv", ("file", "kind", "part"))
    return [Clip(row["file"], (row["kind"],), split=row["part"]) for row in rows]


@pytest.fixture
def doors(tmp_path, monkeypatch):
    """The task in the registry, and its data in a folder."""
    spec = TaskSpec(
        name="doors",
        title="Doors (nobody, 2026)",
        unit_s=1.0,
        metric="accuracy",
        counts={"train": 4, "valid": 2, "test": 2, "classes": 2},
        clips=doors_clips,
        layout="doors.csv and the files it names",
        where="nowhere",
        licence="CC0",
    )
    monkeypatch.setitem(TASKS, "doors", spec)
    rows = ["file,kind,part"]
    for number, part in enumerate(["train"] * 4 + ["valid"] * 2 + ["test"] * 2):
        put(tmp_path, audio(f"{number}.wav"))
        rows.append(f"{number}.wav,{('creak', 'slam')[number % 2]},{part}")
    (tmp_path / "doors.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_is_prepared_counted_and_read(doors, tmp_path):
    out = tmp_path / "manifest.csv"
    prepare_task(TASKS["doors"], doors, out, Choices())
    task = read_task(out)
    assert (task.name, task.unit_s, task.metric, task.deviations) == ("doors", 1.0, "accuracy", ())
    assert task.manifest.classes == ("creak", "slam")


def test_a_lost_row_is_noticed(doors):
    table = doors / "doors.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(TaskDataError, match="test: 1, not 2"):
        prepare_task(TASKS["doors"], doors, doors / "doors_task.csv", Choices())
