"""What a run says of its start and its end, where it ends before the first step."""

import pytest
from pytorch_lightning.utilities import rank_zero_only

from byola_diff.commands import run_pretraining
from byola_diff.stopping import TerminatedError
from byola_diff.training.run_identity import OtherRunError


@pytest.fixture(autouse=True)
def process_as_it_is(monkeypatch):
    for name in ("keep_freed_memory", "hide_lightning_noise"):
        monkeypatch.setattr(run_pretraining, name, lambda: None)
    monkeypatch.setattr(rank_zero_only, "rank", 0)


def raising(error):
    def stop(*_):
        raise error

    return stop


@pytest.mark.parametrize(
    ("checkpoints", "advice"),
    [
        ([], "nothing was saved yet: the same command begins again"),
        (["step_00000003.ckpt"], "--resume auto goes on from the newest checkpoint"),
    ],
)
def test_a_stop_at_once_says_how_to_go_on(
    checkpoints, advice, small_config, tmp_path, monkeypatch, capsys
):
    (tmp_path / "checkpoints").mkdir()
    for name in checkpoints:
        (tmp_path / "checkpoints" / name).touch()
    monkeypatch.setattr(run_pretraining, "run", raising(TerminatedError()))
    with pytest.raises(SystemExit) as end:
        run_pretraining.main(small_config(tmp_path), "no", "train.py")
    assert end.value.code == 143
    assert capsys.readouterr().err == f"train.py: stopped at once; {advice}\n"


def test_a_refused_resume_does_not_say_that_it_resumes(small_config, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_pretraining, "find_checkpoint", lambda *_: tmp_path / "a.ckpt")
    monkeypatch.setattr(run_pretraining, "check_resumed", raising(OtherRunError("other clips")))
    with pytest.raises(SystemExit) as end:
        run_pretraining.main(small_config(tmp_path), "auto", "train.py")
    assert str(end.value) == "train.py: other clips"
    assert capsys.readouterr().out == ""
