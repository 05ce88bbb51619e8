import json

import pytest

from byola_diff.encoders.open import NamedEncoder
from byola_diff.encoders.open import open_encoder as really_open
from byola_diff.evaluation import jobs
from byola_diff.evaluation.jobs import Job, run_jobs
from byola_diff.evaluation.options import ScoreOptions
from byola_diff.tables.manifest import Manifest


@pytest.mark.parametrize(("of_task", "expected"), [(False, 1), (True, 3)])
def test_encoder_is_opened_once_unless_its_statistics_are_of_the_task(
    tmp_path, monkeypatch, capsys, of_task, expected
):
    opened, encoder = [], really_open("log-mel-statistics").encoder

    def open_encoder(encoder_spec, *_):
        opened.append(encoder_spec)
        return NamedEncoder(f"{encoder_spec} {len(opened)}", encoder, "ab" * 32, of_task)

    monkeypatch.setattr(jobs, "open_encoder", open_encoder)
    manifests = [Manifest(tmp_path / str(n), (), ()) for n in (0, 1, 2, 2)]  # two jobs of the last
    about = ("p", "task", {}, lambda _: [], lambda named: [named.name])
    each = [Job(*about, manifest) for manifest in manifests]
    assert run_jobs(ScoreOptions(encoder=["crepe"], out=tmp_path, dry_run=True), each) == 0
    assert len(opened) == expected
    assert capsys.readouterr().out.splitlines()[-1] == f"crepe {expected}"


def test_encoder_that_can_not_be_opened_fails_on_every_task(tmp_path, capsys):
    each = [Job("p", f"task {n}", {}, lambda _: [], lambda _: []) for n in range(2)]
    assert run_jobs(ScoreOptions(encoder=["vggish:none.pt"], out=tmp_path), each) == 2
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert "vggish:none.pt on task 1: " in capsys.readouterr().err


def test_a_mistyped_folder_stops_before_the_encoders_beside_it(tmp_path):
    job = Job("p", "task", {}, lambda _: pytest.fail("worked"), lambda _: [])
    with pytest.raises(FileNotFoundError, match="nothing at runs/typo"):
        run_jobs(ScoreOptions(encoder=["crepe", "runs/typo"], out=tmp_path), [job])
    assert not list(tmp_path.iterdir())


def test_an_encoder_of_a_file_that_fails_has_the_name_it_will_have(tmp_path):
    (tmp_path / "mine.yaml").write_text("encoder: vggish\nweights: none.pt\n")
    job = Job("p", "task", {}, lambda _: [], lambda _: [])
    assert run_jobs(ScoreOptions(encoder=[str(tmp_path / "mine.yaml")], out=tmp_path), [job]) == 2
    [path] = tmp_path.glob("*.json")
    assert json.loads(path.read_text())["encoder"]["name"] == "mine"
