"""What SECURITY.md says of the code, read from the code."""

import ast
from pathlib import Path

import pytest

import byola_diff

ROOT = Path(byola_diff.__file__).parent
SOURCES = sorted([*ROOT.rglob("*.py"), *ROOT.parent.glob("datasets/*.py")])
TREES = {path.relative_to(ROOT.parent).as_posix(): ast.parse(path.read_text()) for path in SOURCES}

NETWORK = {"socket", "urllib", "http", "ftplib", "requests", "httpx", "aiohttp", "smtplib"}
UNSAFE = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "marshal", "shelve", "runpy"}
REACHES_OUT = {
    "byola_diff/clips/tar_files.py": "fsspec",
    "byola_diff/cluster.py": "ray",
    "byola_diff/models/hub.py": "huggingface_hub",
}
"""Where the URL of a corpus, the address of a cluster or a repository of the Hugging Face hub is
opened, which a user names, and by what."""
SENDS = {"WandbLogger", "MLFlowLogger"}
"""What sends the log of a run, where a user chooses it; in one file."""
SERVES = {"byola_diff/explore/serve.py"}
"""What listens, to this machine alone."""
PROGRAMS = {
    "byola_diff/commit.py",
    "byola_diff/compiled.py",
    "byola_diff/demo/stages.py",
    "byola_diff/free_corpus/fetch.py",
}


def calls(tree):
    """Name and keywords of each call, such as torch.load."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield (
                ast.unparse(node.func),
                {word.arg: ast.unparse(word.value) for word in node.keywords},
            )


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def faults(file, tree):
    found = {*imported(tree)} & (NETWORK | UNSAFE)
    if file == "byola_diff/cluster.py":
        found -= {"socket"}  # knocks at the address
    if file in SERVES:
        found -= {"http"}
    text = ast.unparse(tree)
    for package in REACHES_OUT.values():
        if f"require('{package}'" in text and REACHES_OUT.get(file) != package:
            found.add(package)
    if file != "byola_diff/training/loggers.py":
        found |= {name for name in SENDS if name in text}
    if "subprocess" in imported(tree) and file not in PROGRAMS:
        found.add("subprocess")
    for name, words in calls(tree):
        short = name.rpartition(".")[2]
        safe = {
            "eval": name != "eval",
            "exec": False,
            "compile": name != "compile",
            "__import__": False,
            "system": name != "os.system",
            "load": name not in ("yaml.load", "yaml.unsafe_load", "torch.load", "np.load")
            or (name == "torch.load" and words.get("weights_only") == "True")
            or (name == "np.load" and words.get("allow_pickle") == "False"),
            "load_all": not name.startswith("yaml"),
            "full_load": False,
            "unsafe_load": False,
            "snapshot_download": words.get("local_files_only") == "True",
            "hf_hub_download": words.get("local_files_only") == "True"
            or REACHES_OUT.get(file) == "huggingface_hub",
            "from_pretrained": words.get("local_files_only") == "True"
            and ("AutoConfig" not in name or words.get("trust_remote_code") == "False"),
            "extractall": False,
            "extract": words.get("filter") == "'data'",
        }
        if not safe.get(short, True) or words.get("shell", "False") != "False":
            found.add(name)
    return found


@pytest.mark.parametrize("file", TREES)
def test_nothing_is_unpickled_fetched_or_run(file):
    assert not faults(file, TREES[file])


@pytest.mark.parametrize(
    "code",
    [
        *("import pickle", "from urllib.request import urlopen", "import subprocess"),
        *("torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)"),
        *("yaml.load(text)", "eval(text)", "os.system(text)", "tar.extract(member, folder)"),
        *("x.from_pretrained(name)", "AutoConfig.from_pretrained(name, local_files_only=True)"),
        *("run(words, shell=True)", "require('fsspec', 'shards').open(url)"),
        *("hub.hf_hub_download(name, file)", "require('huggingface_hub', 'hub').HfApi()"),
        "from pytorch_lightning.loggers import WandbLogger",
    ],
)
def test_what_the_reader_finds(code):
    assert faults("byola_diff/x.py", ast.parse(code))
