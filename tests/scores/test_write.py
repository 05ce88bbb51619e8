import json
import math
from types import SimpleNamespace

import pytest

from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.open import NamedEncoder
from byola_diff.scores import (
    Curve,
    ScoreRecord,
    failure_record,
    read_records,
    score_record,
    write_record,
)


@pytest.fixture
def named():
    # A record reads the name and the hash only.
    encoder = SimpleNamespace(**dict.fromkeys(contract_names(), 1))
    return lambda name="vggish", digest="ab" * 32: NamedEncoder(name, encoder, digest)


def contract_names():
    return {*Encoder.__annotations__, *(name for name in vars(Encoder) if name[0] != "_")}


def record_of(named, value=0.8, task="esc50", finished=None, settings=None, **extra):
    scores = {"accuracy": {"seed 42": value}}
    record = score_record("evar", task, named, scores, settings or {}, 1.0, **extra)
    return altered(record, finished=finished) if finished else record


def altered(record, **changes):
    return ScoreRecord.model_validate(record.model_dump() | changes)


def test_interval_of_three_seeds_by_hand(named):
    values = {"seed 42": 0.80, "seed 43": 0.82, "seed 44": 0.84}
    record = score_record("evar", "esc50", named(), {"accuracy": values}, {"batch": 200}, 1.234)
    plain = record.model_dump(mode="json")
    score = plain["scores"]["accuracy"]
    assert score["values"] == values
    assert score["mean"] == pytest.approx(0.82, abs=1e-12)
    # t of 2 degrees of freedom 4.303; sample deviation 0.02.
    assert score["ci95"] == pytest.approx(4.303 * 0.02 / math.sqrt(3), abs=1e-5)
    assert "per_fold" not in score
    assert (plain["format"], plain["status"], plain["error"]) == (3, "ok", None)
    assert (plain["layer"], plain["fusion"], plain["base"]) == (None, None, None)
    assert plain["wall_s"] == 1.23


def test_what_is_written_is_read(named, tmp_path):
    folds = {"seed 42": {"fold 1": 0.5, "fold 2": 0.7}}
    curves = {"cosine": Curve("SNR (dB)", {"-10": {"seed 0": 0.1}}, {"-10": 0.005})}
    about = {"settings": {"rates": [1e-3, 1e-5], "name": "音"}, "probe": {"chosen": {"a": 1e-5}}}
    written = score_record(
        *("evar", "us8k", named("vggish[1,2]"), {"accuracy": folds, "mAP": {"a": 1 / 3}}),
        **about,
        wall_s=1.0,
        fusion=("vggish", ["1", "2"]),
        curves=curves,
    )
    path = write_record(tmp_path, written)
    [read] = read_records(tmp_path).scored
    assert read == written.model_copy(update={"path": path.resolve()})
    assert list(json.loads(path.read_text())) == [
        *("format", "protocol", "task", "encoder", "base", "layer", "fusion", "status", "error"),
        *("scores", "settings", "probe", "curves", "versions", "commit", "finished", "wall_s"),
        "file_sha256",
    ]
    assert ScoreRecord.model_validate_json(path.read_bytes()) == written


def test_a_setting_that_is_not_finite_is_not_written(named, tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_record(tmp_path, record_of(named(), settings={"level_db": -math.inf}))
    assert not list(tmp_path.iterdir())


def test_folds_are_averaged_with_equal_weight_before_seeds(named):
    folds = {
        "seed 42": {"fold 1": 0.5, "fold 2": 0.7},
        "seed 43": {"fold 1": 0.6, "fold 2": 1.0},
    }
    record = score_record("evar", "us8k", named(), {"accuracy": folds}, {}, 1.0)
    score = record.scores["accuracy"]
    assert score.values == pytest.approx({"seed 42": 0.6, "seed 43": 0.8})
    assert score.per_fold == folds
    assert score.mean == pytest.approx(0.7)
    # One degree of freedom: 12.706 s / sqrt 2, s = 0.1 sqrt 2.
    assert score.ci95 == pytest.approx(12.706 * 0.1, abs=1e-4)


def test_folds_of_some_seeds_only_are_refused(named):
    mixed = {"seed 42": 0.5, "seed 43": {"fold 1": 0.6}}
    with pytest.raises(ValueError, match="all or none"):
        score_record("evar", "us8k", named(), {"accuracy": mixed}, {}, 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_value_that_is_not_finite_is_refused(named, value):
    with pytest.raises(ValueError, match="finite"):
        record_of(named(), value)


def test_record_without_scores_is_refused(named):
    with pytest.raises(ValueError, match="no scores"):
        score_record("evar", "esc50", named(), {}, {}, 1.0)


def test_fusion_and_layer(named):
    fusion = record_of(named("vggish[10,15]"), fusion=("vggish", ["10", "15"]))
    assert (fusion.fusion.of, fusion.fusion.layers) == ("vggish", ("10", "15"))
    assert fusion.base == "vggish"
    layer = record_of(named(), layer=("10", 4, 9))
    assert layer.model_dump()["layer"] == {"name": "10", "index": 4, "of": 9}
    for index in (0, 10):
        with pytest.raises(ValueError, match=f"number {index} of 9"):
            record_of(named(), layer=("x", index, 9))


def test_every_identity_has_its_own_file(named, tmp_path):
    records = [
        record_of(named("a[1,2]")),
        record_of(named("a[12]")),
        record_of(named("a_1_2")),
        record_of(named("a"), layer=("1", 1, 2)),
        record_of(named("a"), layer=("2", 2, 2)),
        record_of(named("a")),
        record_of(named("a"), task="us8k"),
        record_of(named("a", "cd" * 32)),
        record_of(named("音")),
        record_of(named("a"), settings={"seeds": [42, 43], "n_clips": 2000}),
        record_of(named("a"), settings={"seeds": [42, 43], "n_clips": 1988}),
        record_of(named("a"), settings={"seeds": [7], "n_clips": 2000}),
        failure_record("evar", "esc50", "a", "no memory", {}, 1.0),
        record_of(named("x" * 400)),
    ]
    paths = {write_record(tmp_path, record) for record in records}
    assert len(paths) == len(records)
    assert write_record(tmp_path, records[0]) in paths
    turned = record_of(named("a"), settings={"n_clips": 2000, "seeds": (42, 43)})
    assert write_record(tmp_path, turned) in paths
    assert all(path.parent == tmp_path for path in paths)


def test_failure_says_why_and_takes_no_score_away(named, tmp_path):
    good = record_of(named(), finished="2026-01-01T00:00:00Z")
    write_record(tmp_path, good)
    bad = failure_record("evar", "esc50", "vggish", RuntimeError("no\nmemory"), {}, 2.0)
    assert (bad.status, bad.scores) == ("failed", {})
    assert bad.error == "RuntimeError: no\nmemory"
    write_record(tmp_path, bad)
    records = read_records(tmp_path)
    assert [record.scores["accuracy"].mean for record in records.scored] == [0.8]
    assert [record.error for record in records.failed] == ["RuntimeError: no\nmemory"]


def test_failure_before_a_success_is_forgotten(named, tmp_path):
    bad = failure_record("evar", "esc50", "vggish", "no memory", {}, 2.0)
    write_record(tmp_path, altered(bad, finished="2026-01-01T00:00:00Z"))
    write_record(tmp_path, record_of(named(), finished="2026-01-02T00:00:00Z"))
    records = read_records(tmp_path)
    assert (len(records.scored), records.failed) == (1, ())


def test_newest_record_wins_whatever_the_order_and_it_is_said(named, tmp_path):
    for name, value, finished in (("z", 0.5, "2026-01-01"), ("a", 0.9, "2026-01-02")):
        record = record_of(named(digest=name * 64), value, finished=f"{finished}T00:00:00Z")
        write_record(tmp_path / name, record)
    for paths in ([tmp_path / "z", tmp_path / "a"], [tmp_path / "a", tmp_path / "z"]):
        records = read_records(paths)
        assert [record.scores["accuracy"].mean for record in records.scored] == [0.9]
        [problem] = records.problems
        assert "evar, esc50, vggish: the newest is shown" in problem
        assert ", of other weights)" in problem


def test_run_with_other_settings_is_kept_and_the_older_one_told(named, tmp_path):
    old = {"seeds": [42, 43, 44], "n_clips": 2000, "precision": "auto"}
    for settings, day in ((old, 1), (old | {"seeds": [7], "n_clips": 1988}, 2)):
        finished = f"2026-01-0{day}T00:00:00Z"
        write_record(tmp_path, record_of(named(), day / 10, finished=finished, settings=settings))
    assert len(list(tmp_path.glob("*.json"))) == 2
    records = read_records(tmp_path)
    assert [record.scores["accuracy"].mean for record in records.scored] == [0.2]
    [problem] = records.problems
    assert "2026-01-01T00:00:00Z, with other settings: n_clips, seeds)" in problem
    assert "weights" not in problem


def test_deviations_of_the_task_are_read(named, tmp_path):
    settings = {"deviations": ["fold 2: 388, not 400"]}
    write_record(tmp_path, record_of(named(), settings=settings))
    write_record(tmp_path, record_of(named(), task="us8k", settings={"deviations": []}))
    found = {record.task: record.deviations for record in read_records(tmp_path).scored}
    assert found == {"esc50": ("fold 2: 388, not 400",), "us8k": ()}


def test_failure_has_no_deviations():
    settings = {"deviations": ["fold 2: 388, not 400"]}
    assert failure_record("evar", "esc50", "vggish", "no memory", settings, 1.0).deviations == ()


def test_other_task_layer_or_protocol_is_another_key(named, tmp_path):
    for record in (
        record_of(named()),
        record_of(named(), task="us8k"),
        record_of(named(), layer=("1", 1, 2)),
        altered(record_of(named()), protocol="diff24"),
    ):
        write_record(tmp_path, record)
    records = read_records(tmp_path)
    assert (len(records.scored), records.problems) == (4, ())


def test_paths_given_twice_are_read_once(named, tmp_path):
    path = write_record(tmp_path, record_of(named()))
    records = read_records([tmp_path, path, tmp_path])
    assert (len(records.scored), records.problems) == (1, ())


def test_broken_and_foreign_files_are_told_not_fatal(named, tmp_path):
    write_record(tmp_path, record_of(named()))
    good = record_of(named()).model_dump()
    bad = {
        "half": '{"protocol": "ev',
        "nan": json.dumps(good).replace('"mean": 0.8', '"mean": NaN'),
        "future": json.dumps(good | {"format": 4}),
        "no_scores": json.dumps({k: v for k, v in good.items() if k != "scores"}),
        "status": json.dumps(good | {"status": "maybe"}),
        "empty": json.dumps(good | {"scores": {}}),
        "list": json.dumps(good | {"scores": [1]}),
        "layer": json.dumps(good | {"layer": {"name": "x", "index": 3, "of": 2}}),
        "name": json.dumps(good | {"task": 7}),
        "versions": json.dumps(good | {"versions": ["torch"]}),
        "deviations": json.dumps(good | {"settings": {"deviations": "x"}}),
        "deep": "[" * 100_000,
    }
    for name, text in bad.items():
        (tmp_path / f"bad_{name}.json").write_text(text)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "config.json").write_text('{"sample_rate": 16000}')
    (tmp_path / "list.json").write_text("[1, 2]")
    records = read_records(tmp_path)
    assert len(records.scored) == 1
    told = "\n".join(records.problems)
    for name in bad:
        assert f"bad_{name}.json left out" in told
    assert "binary.json left out" in told
    for message in (
        "bad_no_scores.json left out: 'scores': is missing",
        "bad_future.json left out: 'format': format 4 is newer than this program, which reads 3",
        "bad_nan.json left out: 'scores', 'accuracy', 'mean': must be a finite number",
        "bad_name.json left out: 'task': must be a valid string",
        "bad_empty.json left out: status 'ok' with no scores",
        "bad_deviations.json left out: 'settings': deviations of the task are 'x', not a list",
        "layer 'x' can't be number 3 of 2",
    ):
        assert message in told
    [foreign] = [problem for problem in records.problems if problem.startswith("Not score records")]
    assert "config.json" in foreign
    assert "list.json" in foreign


def test_any_altered_byte_of_a_record_is_told_of(named, tmp_path):
    path = write_record(tmp_path, record_of(named()))
    whole = path.read_bytes()
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1 << place % 8
        path.write_bytes(altered)
        records = read_records(path)
        assert (records.scored, records.failed) == ((), ()), altered
        assert path.name in records.problems[0]


def test_record_of_format_1_is_read(named, tmp_path):
    new = {"format", "status", "error", "layer", "fusion", "base", "probe"}
    old = {
        name: value for name, value in record_of(named()).model_dump().items() if name not in new
    }
    (tmp_path / "old.json").write_text(json.dumps(old))
    [record] = read_records(tmp_path).scored
    assert (record.layer, record.error, record.probe) == (None, None, {})


def test_path_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_records(tmp_path / "runs")


def test_curves_are_kept_and_records_without_them_still_read(named, tmp_path):
    curve = Curve("SNR (dB)", {"-10": {"seed 0": 0.1}, "0": {"seed 0": 0.4}}, {"0": 0.005})
    made = record_of(named(), curves={"cosine": curve})
    assert made.model_dump()["curves"] == {
        "cosine": {
            "x": "SNR (dB)",
            "values": {"-10": {"seed 0": 0.1}, "0": {"seed 0": 0.4}},
            "chance": {"0": 0.005},
        }
    }
    write_record(tmp_path, made)
    plain = record_of(named(), task="us8k")
    assert "curves" not in plain.model_dump()
    write_record(tmp_path, plain)
    read = {record.task: record for record in read_records(tmp_path).scored}
    assert read["esc50"].curves == {"cosine": curve}
    assert read["us8k"].curves == {}


def test_curves_that_are_not_finite(named, tmp_path):
    curve = {"x": "x", "values": {"0": {"a": math.nan}}}
    raw = record_of(named()).model_dump() | {"curves": {"cosine": curve}}
    (tmp_path / "bad.json").write_text(json.dumps(raw))
    records = read_records(tmp_path)
    assert not records.scored
    assert "bad.json left out: 'curves', 'cosine', 'values', '0', 'a'" in records.problems[0]


def test_a_failure_over_layers_is_forgotten_once_they_have_scores(named, tmp_path):
    bad = failure_record("layers", "esc50", "vggish", "no memory", {}, 2.0)
    write_record(tmp_path, altered(bad, finished="2024-01-01T00:00:00"))
    scores = {"accuracy": {"seed 42": 0.8}}
    good = score_record("layers", "esc50", named(), scores, {}, 1.0, layer=("conv1", 1, 2))
    write_record(tmp_path, altered(good, finished="2024-01-02T00:00:00"))
    assert read_records(tmp_path).failed == ()
    write_record(tmp_path, altered(bad, finished="2024-01-03T00:00:00"))
    assert len(read_records(tmp_path).failed) == 1
