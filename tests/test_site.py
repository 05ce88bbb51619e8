"""The site of the documentation: it builds, its tutorials and notebooks run."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.helpers import REPOSITORY
from tests.test_readme import commands, run

TUTORIALS = ("pretrain", "adapt", "compare", "bgknown", "report")
NOTEBOOKS = sorted((REPOSITORY / "docs/notebooks").glob("*.ipynb"))

# What makes the commands of the tutorials small enough, after their own options.
QUICK = {
    "make_sounds.py": "--clips 150 --test-share 0.4 --duration-s 1",
    "make_bgknown_esc50.py": "--clips-per-label 5 --limit 70 --sample-rate 16000 --workers 1",
    "bgknown": "--seeds 0",
    "additivity": "--events 10 --seeds 0 --snr-db 0 10 --polyphony-clips 0 --duration-s 1",
}
ADAPT = shlex.split(
    "--training.minutes 0.05 --training.accelerator cpu --training.projection_hidden 16 "
    "--data.batch_size 4 --data.statistics_clips 8 --views.mixup_memory 8"
)


def quick(words):
    """The words of a tutorial's command, and what makes it quick."""
    if words[1] == "train.py":  # `run` appends the settings of SMALL to other runs itself
        return words
    verb = words[2] if words[1] == "evaluate.py" else words[1].rpartition("/")[2]
    return [*words, *shlex.split(QUICK.get(verb, ""))]


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_commands_of_tutorials_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    found = commands((REPOSITORY / f"docs/tutorials/{name}.md").read_text())
    assert len(found) >= 3
    if name == "adapt":
        monkeypatch.setattr("tests.test_readme.SMALL", ADAPT)
    for words in found:
        run(quick(words), monkeypatch)
    made = {
        "pretrain": "runs/mine/bundle/model.safetensors",
        "adapt": "runs/adapted/bundle/model.safetensors",
        "compare": "runs/scores",
        "bgknown": "data/bgknown/bgknown.json",
        "report": "report.html",
    }
    assert (tmp_path / made[name]).exists()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path):
    for needed in ("nbclient", "ipykernel"):
        pytest.importorskip(needed)
    code = (
        "import nbclient, nbformat\n"
        f"nbclient.NotebookClient(nbformat.read({str(path)!r}, 4)).execute()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_notebooks_hold_no_outputs():
    nbformat = pytest.importorskip("nbformat")
    assert len(NOTEBOOKS) == 2
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        assert not any(
            cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", out]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site):
    loads = r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^\s>]*"
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    assert [found for page in pages for found in re.findall(loads, page.read_text())] == []


@pytest.mark.slow
def test_equations_stand_beside_their_code(site):
    page = (site / "docs/method/index.html").read_text()
    assert "arithmatex" not in page
    assert page.count('display="block"') == 12
    code = re.sub(r"<[^>]+>", "", page)
    assert "def mix_with_neighbour(" in code
    assert "torch.lerp(start[:, None]" in code
    assert "../byola_diff" not in page.split("<article")[1]


@pytest.mark.slow
def test_reference_has_what_rooms_call_public(site):
    for page, name in [
        ("byola_diff", "byola_diff.models.bundle.load_encoder"),
        ("losses", "byola_diff.losses.difference.subtract_neighbour"),
        ("encoders", "byola_diff.encoders.open.check_spec"),
        ("sounds", "byola_diff.sounds.render.render"),
    ]:
        assert f'id="{name}"' in (site / f"reference/{page}/index.html").read_text()
