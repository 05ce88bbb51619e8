"""The command of docs/clusters.md trains on two nodes, both of them this machine."""

import os
import re
import shlex
import socket
import subprocess
import sys

import pytest

from byola_diff.storage import load_checked
from tests.conftest import SMALL
from tests.helpers import REPOSITORY


def torchrun_words():
    """The words of the command in the document, without `torchrun`."""
    text = (REPOSITORY / "docs" / "clusters.md").read_text()
    command = re.search(r"^torchrun (.*?)\n```", text, re.MULTILINE | re.DOTALL)[1]
    return shlex.split(command.replace("\\\n", " "))


def with_values(words, **values):
    """The command with other values of options, all of which it has to have."""
    words = list(words)
    for name, value in values.items():
        words[words.index(f"--{name.replace('__', '.')}") + 1] = str(value)
    return words


@pytest.mark.slow
def test_two_nodes_train_one_run(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [
        f"--{group}.{name}={value}"
        for group in ("data", "views", "encoder", "training")
        for name, value in SMALL[group].items()
        if f"{group}.{name}" not in ("data.source", "data.batch_size", "training.accelerator")
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    nodes = []
    for rank in (0, 1):
        words = with_values(
            torchrun_words(),
            **{"nproc-per-node": 1, "node-rank": rank, "master-addr": "127.0.0.1"},
            **{"master-port": port, "data.source": "procedural", "data.batch_size": 4},
            **{"training.accelerator": "cpu", "training.devices": 1},
        )
        where = words.index("--data.root")
        del words[where : where + 2]
        words[words.index("train.py")] = str(REPOSITORY / "train.py")
        command = [sys.executable, "-m", "torch.distributed.run", *words, *options]
        nodes.append(subprocess.Popen([*command, f"--out_dir={tmp_path / 'run'}"], env=environment))
    assert [node.wait(timeout=300) for node in nodes] == [0, 0]
    state = load_checked(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert state["global_step"] == 6
    assert state["identity"]["processes"] == 2
    assert len(state["mixup_memories"]) == 2


def test_the_job_for_slurm_is_the_same_training():
    text = (REPOSITORY / "docs" / "clusters.md").read_text()
    job = shlex.split(re.search(r"^srun python (.*)$", text, re.MULTILINE)[1])
    words = torchrun_words()
    assert job[:-2] == words[words.index("train.py") :]
    assert job[-2:] == ["--resume", "auto"]
