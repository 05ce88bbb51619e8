import pytest
from pydantic import BaseModel

from byola_diff.evaluation.json_file import read_json


class Facts(BaseModel):
    count: int
    names: list[str] = []


def test_content_is_checked(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text('{"count": 3, "names": ["a"], "more": 1}')
    assert read_json(path, Facts) == Facts(count=3, names=["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "^Invalid JSON: EOF"),
        ("[]", "^must be an object"),
        ('{"names": ["a", 1]}', r"^'count': is missing; 'names', item 2: must be a valid str"),
    ],
)
def test_faults_are_named_by_their_keys(tmp_path, content, message):
    path = tmp_path / "facts.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_json(path, Facts)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "facts.json", Facts)
