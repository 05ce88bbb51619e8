import pytest

from byola_diff.demo.stages import CommandError, Measured, Stages, run_command
from byola_diff.encoders.log_mel_statistics import load_log_mel_statistics
from byola_diff.encoders.open import NamedEncoder


@pytest.fixture
def stages(tmp_path):
    return Stages(tmp_path)


def named(content="ab", name="encoder"):
    return NamedEncoder(name, load_log_mel_statistics(), content * 32)


def measured_as(value, calls):
    def measure(encoder):
        calls.append(value)
        return Measured({"accuracy": {"draw 0": value, "draw 1": value}}, {"found": [1, 2]})

    return measure


def test_a_stage_is_timed_and_one_done_before_is_passed_over(stages, capsys):
    with stages.stage("first") as to_do:
        assert to_do
    with stages.stage("second", done=True) as to_do:
        assert not to_do
    assert list(stages.times) == ["first"]
    assert "[demo] second: done before" in capsys.readouterr().out


def test_a_record_is_kept_for_the_same_weights_alone(stages):
    calls = []
    first = stages.recorded("naming", named(), measured_as(0.5, calls))
    again = stages.recorded("naming", named(), measured_as(0.6, calls))
    assert first.scores["accuracy"].mean == again.scores["accuracy"].mean == 0.5
    assert again.probe["found"] == [1, 2]
    other = stages.recorded("naming", named("cd"), measured_as(0.7, calls))
    assert other.scores["accuracy"].mean == 0.7
    stages.recorded("additivity", named("cd"), measured_as(0.8, calls))
    stages.recorded("naming", named("cd", "twin"), measured_as(0.9, calls))
    assert calls == [0.5, 0.7, 0.8, 0.9]


def test_a_command_that_fails():
    with pytest.raises(CommandError, match="byola-diff make sounds failed with status 2"):
        run_command("make sounds", "--no-such-option")
