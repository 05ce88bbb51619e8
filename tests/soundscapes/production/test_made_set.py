import json

import pytest

from byola_diff.soundscapes.production.made_set import read_made_set
from byola_diff.storage import BrokenFileError, sealed_json


def test_what_a_made_set_says_is_known_by_its_own_hash(tmp_path):
    path = tmp_path / "set.json"
    path.write_text(sealed_json({"format": 2, "deviations": []}))
    assert read_made_set(path).deviations == ()
    path.write_text(path.read_text().replace("[]", '["a"]'))
    with pytest.raises(BrokenFileError, match="does not match"):
        read_made_set(path)
    path.write_text(json.dumps({"format": 2, "deviations": []}))
    with pytest.raises(BrokenFileError, match="no file_sha256"):
        read_made_set(path)
    path.write_text(json.dumps({"deviations": ["b"]}))  # of before there were hashes
    assert read_made_set(path).deviations == ("b",)
