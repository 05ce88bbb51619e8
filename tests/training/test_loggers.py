"""Each logger gets the numbers of `metrics.csv` and the configuration; none is needed unasked."""

import csv
import json
import struct
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import yaml

from byola_diff import build
from byola_diff.config import to_plain
from byola_diff.training import loggers
from byola_diff.training.loggers import LoggerError, log_numbers
from tests.helpers import REPOSITORY


def losses_of(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): float(row["loss/total"]) for row in csv.DictReader(file)}


class Recorder(loggers.TensorBoardLogger):
    """Keeps what it is given, in place of writing it."""

    def __init__(self, run=None, fails=()):
        self.run, self.fails, self.given, self.settings = run, fails, {}, []

    name = root_dir = save_dir = log_dir = ""

    @property
    def version(self):
        return self.run or "new"

    def log_hyperparams(self, params):
        if "start" in self.fails:
            raise ValueError("no key")
        self.settings.append(params)

    def log_metrics(self, metrics, step):
        if step in self.fails:
            raise TimeoutError("no answer")
        self.given[step] = metrics["loss/total"]

    def log_graph(self, *_):
        pass

    def save(self):
        pass

    def finalize(self, status):
        pass


@pytest.fixture
def recorders(monkeypatch):
    """What stands in for wandb: loggers as they are opened, and steps at which they fail."""
    opened, fails = [], set()

    def open_recorder(config, run):
        opened.append(Recorder(run, fails))
        return opened[-1]

    monkeypatch.setitem(loggers._KNOWN, "wandb", (open_recorder, "wandb"))
    monkeypatch.setitem(sys.modules, "wandb", sys)
    return opened, fails


def test_numbers_and_configuration(recorders, small_config, pretrain, tmp_path):
    config = small_config(tmp_path, training={"steps": 3, "logger": ("wandb", "csv")})
    pretrain(config)
    [[recorder], _] = recorders
    assert recorder.given == losses_of(tmp_path)
    assert recorder.given.keys() == {1, 2, 3}
    assert recorder.settings == [to_plain(config)]
    assert json.loads((tmp_path / "loggers.json").read_text()) == {"wandb": "new"}


def test_a_resumed_run_goes_on_in_the_run_that_it_began(
    recorders, small_config, pretrain, tmp_path
):
    config = small_config(tmp_path, training={"steps": 3, "logger": "wandb"})
    pretrain(config)
    (tmp_path / "loggers.json").write_text('{"wandb": "first"}')
    pretrain(replace(config, training=replace(config.training, steps=5)), "auto")
    [_, second], _ = recorders
    assert second.run == "first"
    assert second.given.keys() == {4, 5}
    assert second.settings == []  # as MLflow would refuse that other number of steps
    assert json.loads((tmp_path / "loggers.json").read_text()) == {"wandb": "first"}


def test_a_run_that_begins_anew_is_a_new_one(recorders, small_config, pretrain, tmp_path):
    (tmp_path / "loggers.json").write_text('{"wandb": "of a run that left no checkpoint"}')
    pretrain(small_config(tmp_path, training={"steps": 1, "logger": "wandb"}), "auto")
    [[recorder], _] = recorders
    assert recorder.run is None
    assert json.loads((tmp_path / "loggers.json").read_text()) == {"wandb": "new"}


def test_a_logger_that_fails_on_the_way_is_told_of(
    recorders, small_config, pretrain, tmp_path, capsys
):
    opened, fails = recorders
    fails.add(2)
    pretrain(small_config(tmp_path, training={"steps": 3, "logger": "wandb"}))
    assert opened[0].given.keys() == {1, 3}
    assert losses_of(tmp_path).keys() == {1, 2, 3}
    assert "Recorder has not taken step 2: no answer" in capsys.readouterr().err


def test_a_logger_that_can_not_begin_stops_the_run_before_its_first_step(
    recorders, small_config, pretrain, tmp_path
):
    recorders[1].add("start")
    with pytest.raises(LoggerError, match=r"training\.logger wandb: no key"):
        pretrain(small_config(tmp_path, training={"logger": "wandb"}))
    assert not (tmp_path / "metrics.csv").exists()


def test_other_loggers_are_given_the_numbers_too(capsys):
    first, second = Recorder(fails=[1]), Recorder()
    log_numbers([first, second], {"loss/total": 2.0}, 1)
    assert (first.given, second.given) == ({}, {1: 2.0})


@pytest.mark.parametrize(
    ("logger", "extra"), [("tensorboard", "log"), ("wandb", "wandb"), ("mlflow", "mlflow")]
)
def test_a_package_that_is_missing(logger, extra, small_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, logger, None)
    told = rf"training\.logger {logger} needs {logger}, .*pip install 'byola-diff\[{extra}\]'"
    with pytest.raises(ModuleNotFoundError, match=told):
        build.build_trainer(small_config(tmp_path, training={"logger": ("csv", logger)}))
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_nothing_is_imported_that_was_not_chosen():
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from byola_diff import build, config\n"
        "data = config.DataConfig(source='procedural')\n"
        "training = config.TrainingConfig(steps=1, logger='csv', accelerator='cpu')\n"
        "build.build_trainer(config.PretrainConfig(data=data, training=training))\n"
        "print([name for name in ('tensorboard', 'wandb', 'mlflow') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
    assert done.stdout.decode() == "[]\n", done.stderr.decode()


def test_tensorboard(small_config, pretrain, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = small_config(tmp_path, training={"steps": 2, "logger": "tensorboard"})
    pretrain(config)
    pretrain(replace(config, training=replace(config.training, steps=3)), "auto")
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    found = {event.step: event.value for event in events.Scalars("loss/total")}
    assert found == pytest.approx(losses_of(tmp_path), abs=1e-5)
    assert found.keys() == {1, 2, 3}
    # Of the first part; which is what the run is.
    assert yaml.safe_load((tmp_path / "hparams.yaml").read_text()) == to_plain(config)


def wandb_records(content):
    """Records of a .wandb file: a header of 7 bytes, then LevelDB's log format."""
    place, parts = 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:  # too little is left of a block for a record
            place += 32768 - place % 32768
            continue
        size, kind = struct.unpack_from("<HB", content, place + 4)
        parts += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def wandb_run(folder):
    """Losses by step, and settings, that an offline run of Weights & Biases holds."""
    from wandb.proto.wandb_internal_pb2 import Record

    losses, settings, records = {}, {}, []
    [file] = folder.glob("*.wandb")
    end = time.monotonic() + 60
    while not any(record.HasField("exit") for record in records):  # its program writes on
        assert time.monotonic() < end
        records = [Record.FromString(content) for content in wandb_records(file.read_bytes())]
    for record in records:
        for item in (*record.run.config.update, *record.config.update):
            settings[item.key or item.nested_key[0]] = json.loads(item.value_json)
        found = {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
        if "loss/total" in found:
            losses[int(found["trainer/global_step"])] = float(found["loss/total"])
    return losses, settings


@pytest.mark.slow
def test_wandb_offline(small_config, pretrain, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    config = small_config(tmp_path, training={"steps": 2, "logger": "wandb"})
    for steps, resume in ((2, "no"), (3, "auto")):
        pretrain(replace(config, training=replace(config.training, steps=steps)), resume)
        wandb.finish()  # as at the end of a program
    run = json.loads((tmp_path / "loggers.json").read_text())["wandb"]
    # Two folders of one run, which `wandb sync` joins.
    first, second = sorted((tmp_path / "wandb").glob(f"offline-run-*-{run}"))
    losses, settings = wandb_run(first)
    plain = to_plain(config)
    assert {name: settings[name] for name in plain} == plain
    losses |= wandb_run(second)[0]
    assert losses == pytest.approx(losses_of(tmp_path), abs=1e-6)
    assert losses.keys() == {1, 2, 3}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own code
def test_mlflow_in_the_folder_of_the_run(small_config, pretrain, tmp_path, monkeypatch):
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    config = small_config(tmp_path, training={"steps": 2, "logger": ("mlflow", "csv")})
    for steps, resume in ((2, "no"), (3, "auto")):
        pretrain(replace(config, training=replace(config.training, steps=steps)), resume)
    client = tracking.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("byola-diff")
    [run] = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "loss/total")
    losses = {metric.step: metric.value for metric in history}
    assert losses == pytest.approx(losses_of(tmp_path), abs=1e-6)
    assert losses.keys() == {1, 2, 3}
    assert run.info.run_name == tmp_path.name
    assert run.info.status == "FINISHED"
    assert run.data.params["training/steps"] == "2"  # as it began
    assert run.data.params["objective/difference_weight"] == "0.5"
