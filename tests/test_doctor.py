"""`byola-diff doctor` tells what is there, also where nothing else works, and its table is true."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from byola_diff.__main__ import COMMANDS
from byola_diff.__main__ import main as program_main
from byola_diff.commands import doctor, needs
from byola_diff.commands.evaluate import VERBS
from byola_diff.commands.findings import _TOLD, as_text
from byola_diff.commands.needs import NEEDS, Lack, Need, install_commands, problem_of
from tests.helpers import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.fixture(autouse=True)
def nothing_is_known():
    problem_of.cache_clear()
    yield
    problem_of.cache_clear()


@pytest.fixture(scope="module")
def found():
    return doctor.examine()


def program(*words, path, **environment):
    """`python -m byola_diff WORDS`, with modules of the folder `path` before all others."""
    paths = os.pathsep.join([str(path), str(REPOSITORY)])
    return subprocess.run(
        [sys.executable, "-m", "byola_diff", *words],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment},
        cwd=path,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_everything_is_looked_at(found):
    assert not [name for name, part in found.items() if "problem" in part]
    assert found["byola_diff"]["version"] == PROJECT["version"]
    names = {line.partition(">")[0].partition("[")[0] for line in PROJECT["dependencies"]}
    assert found["packages"].keys() == names
    assert not [about for about in found["packages"].values() if about["problem"]]
    assert {"WAV", "FLAC"} <= {*found["audio"]["formats"]}
    assert found["processor"]["usable_cores"] >= 1
    assert found["kernels"]["compiled"] or found["kernels"]["why_not"]


@pytest.mark.slow
def test_findings_are_plain_values_and_lines(found):
    assert json.loads(json.dumps(found)) == found
    lines = as_text(found).splitlines()
    assert max(len(line) for line in lines if "/" not in line and "pip" not in line) <= 100
    for beginning in ("byola-diff 0.", "Python 3.", "audio is decoded by soundfile", "GPU: "):
        assert any(line.startswith(beginning) for line in lines)


def test_gpus(monkeypatch):
    cuda = torch.cuda
    about = SimpleNamespace(name="NVIDIA H200", total_memory=150_000_000_000)
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "device_count", lambda: 2)
    monkeypatch.setattr(cuda, "get_device_properties", lambda number: about)
    monkeypatch.setattr(cuda, "device", lambda number: nullcontext())
    monkeypatch.setattr(cuda, "is_bf16_supported", lambda including_emulation: True)
    found = doctor._gpus()
    gpu = {"name": "NVIDIA H200", "memory_gib": 139.7, "bfloat16": True}
    assert found["usable"] == [gpu, gpu]
    told = as_text(only(gpus=found))
    assert told.splitlines().count("GPU: NVIDIA H200, 139.7 GiB, computes in bfloat16 too") == 2


def only(**parts):
    """Findings of which these alone are known."""
    return {name: {"problem": "-"} for name in _TOLD} | parts


def test_json_alone_is_on_the_standard_output(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda: print("a package says hello") or {"a": 1})
    assert doctor.main(["--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"a": 1}
    assert "hello" in printed.err


def test_why_a_module_can_not_be_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "odd_one.py").write_text("raise ZeroDivisionError('odd\\nand more')")
    (tmp_path / "quitter.py").write_text("raise SystemExit(3)")
    (tmp_path / "needy.py").write_text("import no_such_module")
    assert problem_of("json") is None
    assert problem_of("no_such_module") == "not installed"
    assert problem_of("no_such_module.part") == "not installed"
    assert problem_of("odd_one") == "ZeroDivisionError: odd"
    assert problem_of("quitter") == "SystemExit: 3"
    assert problem_of("needy") == "no_such_module, which it needs, is not installed"


def test_one_command_mends_all_that_is_missing():
    absent, broken = "not installed", "OSError: libX11 is missing"
    lacking = [
        Lack(Need("scipy.special", "evaluate"), absent),
        Lack(Need("sklearn.linear_model", "evaluate"), "joblib, which it needs, is not installed"),
        Lack(Need("scaper", "generate", "--renderer scaper"), absent),
        Lack(Need("PIL.Image", "evaluate"), broken),
    ]
    assert install_commands(lacking) == [
        "pip install 'byola-diff[evaluate,generate]'",
        "pip install --no-deps scaper==1.6.5",
        "pip install --force-reinstall --no-deps pillow",
    ]
    assert install_commands([]) == []


def test_what_commands_lack(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = doctor._commands()
    assert not found["evaluate report"]["works"]
    assert found["evaluate report"]["install"] == ["pip install 'byola-diff[evaluate]'"]
    export = found["export"]
    assert export["works"]  # without --onnx
    lack = {
        "module": "onnx",
        "package": "onnx",
        "of": "--onnx",
        "problem": "not installed",
        "extra": "onnx",
        "install": ["pip install 'byola-diff[onnx]'"],
    }
    assert lack in export["lacks"]
    assert export["install"] == []  # as it works
    assert found["make sounds"] == {"works": True, "lacks": [], "install": []}
    told = as_text(only(commands=found)).splitlines()
    assert "  demo, evaluate search, report need jinja2:" in told
    assert told.count("  onnx  --onnx: export") == 1  # of onnx and of what needs it
    assert sum("--onnx" in line for line in told) == 1


@pytest.fixture
def plain(monkeypatch):
    """What commands lack where no package of an extra is installed."""
    monkeypatch.setattr(needs, "problem_of", lambda module: "not installed")
    return doctor._commands()


def test_only_what_a_command_requires_is_installed_to_make_it_work(plain):
    assert plain["explore"]["install"] == ["pip install 'byola-diff[explore]'"]
    assert plain["evaluate linear"]["install"] == ["pip install 'byola-diff[evaluate]'"]
    assert plain["make apwd"]["install"] == ["pip install 'byola-diff[generate]'"]
    assert plain["evaluate embed"]["works"]
    told = as_text(only(commands=plain))
    packages = "bokeh, jinja2, matplotlib, pillow, scikit-learn, threadpoolctl"
    assert f"  explore needs {packages}:\n      pip install 'byola-diff[explore]'" in told


def test_options_are_told_once_for_all_commands(plain):
    told = as_text(only(commands=plain))
    assert len(told.splitlines()) <= 48  # with what comes before them, a page of 60
    line = "  hub       encoders of hf:OWNER/NAME: pretrain, explore, all of evaluate (but report)"
    assert told.count("encoders of hf:") == told.count(line) == 1
    assert told.count("--cluster: ") == 1
    assert "--protocol logistic" not in told  # comes with what `evaluate linear` requires
    scaper = "  generate  --renderer scaper: make bgknown, make apwd, render apwd\n"
    assert f"{scaper}{' ' * 16}pip install --no-deps scaper==1.6.5" in told
    assert max(map(len, told.splitlines())) <= 100


def test_a_broken_package_is_told_with_its_fault(monkeypatch):
    faults = {"av": "OSError: libavcodec.so is missing", "scipy.special": "ImportError: half"}
    monkeypatch.setattr(needs, "problem_of", faults.get)
    told = as_text(only(commands=doctor._commands())).splitlines()
    begin = next(n for n, line in enumerate(told) if "need scipy (ImportError: half):" in line)
    assert told[begin + 1] == "      pip install --force-reinstall --no-deps scipy"
    assert "(av: OSError: libavcodec.so is missing)" in " ".join(told)
    assert told[-1].strip() == "pip install --force-reinstall --no-deps av"
    assert "EXTRA" not in "".join(told)


def test_what_a_broken_package_does_not_bring_is_told_too(monkeypatch):
    faults = {"sklearn.linear_model": "not installed", "scipy.special": "ImportError: half"}
    monkeypatch.setattr(needs, "problem_of", faults.get)
    told = as_text(only(commands=doctor._commands())).splitlines()
    begin = next(n for n, line in enumerate(told) if "by EXTRA:" in line)
    assert any(
        line.startswith("  evaluate") and "--protocol logistic" in line for line in told[begin:]
    )


def test_commands_with_an_option_for_clusters_need_what_it_needs(capsys):
    for command in NEEDS.keys() - {"doctor"}:
        with pytest.raises(SystemExit):
            program_main([*command.split(), "--help-all"])
        has_it = "--cluster " in capsys.readouterr().out
        assert has_it == (needs._CLUSTER in NEEDS[command]), command


def test_a_core_package_of_another_version(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "0.1")
    packages = doctor._core_packages()
    assert packages["torch"]["problem"] == f"not {packages['torch']['wanted']}"
    told = as_text(only(packages=packages))
    assert "pip install --force-reinstall --no-deps 'torch>=" in told


def test_every_command_has_its_needs():
    commands = {*COMMANDS, *(f"evaluate {verb}" for verb in VERBS)} - {"evaluate"}
    assert commands == NEEDS.keys()


def test_needs_are_those_of_the_code():
    """Every module that is asked for by name is in the table, with the extra that has it."""
    asked = set()
    for path in (REPOSITORY / "byola_diff").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("require", "page_module"):
                extra = [ast.Constant("explore")] if ast.unparse(node.func) == "page_module" else []
                given = [*node.args, *extra][:2]
                words = [word.value for word in given if isinstance(word, ast.Constant)]
                if len(words) == 2:
                    asked.add((words[0].partition(".")[0], words[1]))
    told = {(need.module.partition(".")[0], need.extra) for each in NEEDS.values() for need in each}
    assert asked <= told
    assert len(asked) > 15


def test_each_need_is_installed_by_its_extra():
    for need in {need for each in NEEDS.values() for need in each}:
        top = need.module.partition(".")[0]
        if top not in needs._APART:
            name = needs._NAMES.get(top, top)
            listed = [
                re.split(r"[>\[]", line)[0] for line in PROJECT["optional-dependencies"][need.extra]
            ]
            assert name in listed, need
    for line in needs._APART.values():
        assert line in (REPOSITORY / "pyproject.toml").read_text()


@pytest.mark.slow
def test_it_works_where_nothing_else_does(tmp_path):
    """Core packages that raise something as they are imported, or are not there."""
    (tmp_path / "torch.py").write_text("raise OSError('libtorch.so is missing')")
    (tmp_path / "jsonargparse.py").write_text("raise RuntimeError('half of it is here')")
    (tmp_path / "tqdm.py").write_text("raise ModuleNotFoundError('tqdm', name='tqdm')")
    done = program("doctor", "--json", path=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    problems = {name: about["problem"] for name, about in found["packages"].items()}
    assert problems["torch"] == "OSError: libtorch.so is missing"
    assert problems["jsonargparse"] == "RuntimeError: half of it is here"
    assert problems["tqdm"] == "not installed"
    assert problems["numpy"] is None
    assert found["gpus"] == {"problem": "OSError: libtorch.so is missing"}
    assert not any(about["works"] for about in found["commands"].values())
    assert "none is sure to work before the core packages are mended" in as_text(found)
    done = program("export", "x", "y", path=tmp_path)
    assert done.returncode == 1
    assert "byola-diff doctor tells what is broken" in done.stderr


def test_without_git_or_a_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = doctor._programs()
    assert {about["path"] for about in found.values()} == {None}
    told = as_text(only(programs=found))
    assert "sox is missing, for rendering by Scaper: apt-get install sox" in told
