import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from byola_diff import load_encoder
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.commands.push import main
from byola_diff.encoders.open import check_spec, names_hub, open_encoder
from byola_diff.models.bundle import push_to_hub
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.hub import fetch_bundle
from byola_diff.storage import BrokenFileError, sha256
from byola_diff.training.start import read_start, weights_file
from tests.bundles import write_bundle
from tests.helpers import uniform_noise
from tests.models.hub_server import Handler, Hub, Refused, serving

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
utils = pytest.importorskip("huggingface_hub.utils")

# huggingface_hub's own, as it sends a large file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

FILES = ["config.json", "model.safetensors"]


def make_encoder(mean=-9.0):
    torch.manual_seed(0)
    return AudioEncoder(LogMel(), Normalize(mean, 4.5), AudioNTT2020(dim=32))


@pytest.fixture
def bundle(tmp_path):
    write_bundle(tmp_path / "mine", make_encoder(), licence="CC-BY-4.0")
    return tmp_path / "mine"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with nobody logged in and an empty cache."""
    with serving() as started:
        monkeypatch.setattr(constants, "ENDPOINT", started.url)
        template = started.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        utils.disable_progress_bars()
        utils.close_session()
        yield started
        utils.close_session()
        utils.enable_progress_bars()


@pytest.fixture
def logged_in(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", Hub.TOKEN)


def mean_of(word):
    return load_encoder(word).normalize.mean.item()


# Loading.


def test_a_word_loads_the_bundle_and_fetches_nothing_else_of_the_repository(hub, bundle):
    for name in ("pytorch_model.bin", "modeling.py"):
        (bundle / name).write_bytes(b"not wanted")
    hub.add("someone/encoder", bundle)
    noise = uniform_noise(2, 8000)
    scene = load_encoder("hf:someone/encoder").scene(noise)
    torch.testing.assert_close(scene, load_encoder(bundle).scene(noise), rtol=0, atol=0)
    assert [Path(path).name for path in hub.paths("GET")] == FILES
    assert all("/resolve/" in path for path in hub.paths("HEAD"))
    folder = fetch_bundle("hf:someone/encoder")
    assert sorted(path.name for path in folder.iterdir()) == FILES


def test_what_the_cache_has_is_not_fetched_again(hub, bundle):
    sha = hub.add("someone/encoder", bundle).branches["main"]
    load_encoder("hf:someone/encoder")
    hub.asked.clear()
    load_encoder("hf:someone/encoder")
    assert hub.paths("GET") == []
    hub.asked.clear()
    load_encoder(f"hf:someone/encoder@{sha}")  # a commit does not change: nothing to ask
    assert hub.asked == []


def test_revisions(hub, bundle, tmp_path):
    repository = hub.add("someone/encoder", bundle)
    first = repository.branches["main"]
    write_bundle(tmp_path / "newer", make_encoder(mean=-8.0))
    newer = {path.name: path.read_bytes() for path in (tmp_path / "newer").iterdir()}
    repository.branches["tried"] = first
    repository.commit(newer, "tried")
    assert mean_of("hf:someone/encoder") == -9.0
    assert mean_of("hf:someone/encoder@tried") == -8.0
    repository.commit(newer)
    assert mean_of("hf:someone/encoder") == -8.0
    assert mean_of(f"hf:someone/encoder@{first}") == -9.0


def test_both_files_are_of_one_commit(hub, bundle, tmp_path):
    repository = hub.add("someone/encoder", bundle)
    other = make_encoder(mean=-8.0)
    other.network.fc[0].bias.fill_(1.0)
    write_bundle(tmp_path / "newer", other)

    def push_meanwhile(method, path):
        if (method, Path(path).name) == ("GET", "config.json"):
            files = (tmp_path / "newer").iterdir()
            repository.commit({file.name: file.read_bytes() for file in files})

    hub.after = push_meanwhile
    encoder = load_encoder("hf:someone/encoder")
    assert encoder.normalize.mean.item() == -9.0
    assert not torch.equal(encoder.network.fc[0].bias, other.network.fc[0].bias)


def test_an_altered_file_is_refused(hub, bundle):
    repository = hub.add("someone/encoder", bundle)
    weights = bytearray((bundle / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    repository.commit({"model.safetensors": bytes(weights)})
    with pytest.raises(BrokenFileError, match="does not match its SHA-256"):
        load_encoder("hf:someone/encoder")


def test_who_is_logged_in_may_read_what_is_private(hub, bundle, monkeypatch):
    hub.add("someone/encoder", bundle, private=True)
    with pytest.raises(FileNotFoundError, match=r"no repository hf:someone/encoder.*log in by"):
        load_encoder("hf:someone/encoder")
    assert {token for *_, token in hub.asked} == {None}
    monkeypatch.setenv("HF_TOKEN", Hub.TOKEN)
    assert mean_of("hf:someone/encoder") == -9.0


@pytest.mark.parametrize(
    ("word", "error", "reason"),
    [
        ("hf:someone/other", FileNotFoundError, "no repository hf:someone/other: check the name"),
        ("hf:someone/encoder@v9", FileNotFoundError, "no revision as in hf:someone/encoder@v9"),
        ("hf:someone/empty", FileNotFoundError, "is no bundle.*byola-diff push BUNDLE"),
        ("hf:someone/half", FileNotFoundError, "is no bundle, which has config.json and model"),
        ("hf:someone/gated", PermissionError, "is gated: accept its terms.*hf auth login"),
        ("hf:someone--x/a..b", ValueError, "names no repository of the hub"),
        *((f"hf:{word}", ValueError, "not of the form hf:OWNER/NAME or") for word in (
            *("", "encoder", "a/b/c", "a/b@", "a /b", "https://x/y", "/b", "a/"),
        )),
    ],
)  # fmt: skip
def test_what_can_not_be_had_is_told_in_a_sentence(hub, bundle, word, error, reason):
    hub.add("someone/encoder", bundle)
    hub.add("someone/gated", bundle, gated=True)
    hub.add("someone/empty", bundle).commits.update({hub_sha(hub, "someone/empty"): {}})
    half = hub.add("someone/half", bundle)
    del half.commits[half.branches["main"]]["model.safetensors"]
    with pytest.raises(error, match=reason) as told:
        load_encoder(word)
    assert "\n" not in str(told.value)


def hub_sha(hub, name):
    return hub.repositories[name].branches["main"]


def test_weights_of_another_model_are_not_fetched(hub, bundle):
    repository = hub.add("someone/encoder", bundle)
    repository.commit({"config.json": b'{"model_type": "wav2vec2"}'})
    with pytest.raises(FileNotFoundError, match=r"its config\.json is of another model"):
        load_encoder("hf:someone/encoder")
    assert [Path(path).name for path in hub.paths("GET")] == ["config.json"]


def test_without_a_network_the_cache_stands_in(hub, bundle, monkeypatch):
    hub.add("someone/encoder", bundle)
    load_encoder("hf:someone/encoder")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    utils.close_session()
    hub.asked.clear()
    assert mean_of("hf:someone/encoder") == -9.0
    with pytest.raises(ConnectionError, match=r"other is not in the cache.*unset HF_HUB_OFFLINE"):
        load_encoder("hf:someone/other")
    assert hub.asked == []


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r"hf:a/b needs .*'byola-diff\[hub\]'"):
        load_encoder("hf:a/b")


def test_no_other_word_asks_the_hub(hub, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_encoder("byola-diff-small").sample_rate == 16_000
    assert load_encoder("mine").sample_rate == 16_000
    for word in (Path("hf:someone/encoder"), "someone/encoder", "./hf:someone/encoder"):
        with pytest.raises(FileNotFoundError, match="nothing at"):
            load_encoder(word)
    assert hub.asked == []


# Wherever a word names an encoder.


def test_as_an_encoder_of_the_evaluation(hub, bundle, tmp_path):
    sha = hub.add("someone/encoder", bundle).branches["main"]
    check_spec("hf:someone/encoder[conv1]")
    assert hub.asked == []
    local = open_encoder(str(bundle))
    assert open_encoder("hf:someone/encoder").content_hash == local.content_hash
    (tmp_path / "spec.yaml").write_text(f"encoder: hf\nweights: someone/encoder@{sha}\n")
    assert open_encoder(str(tmp_path / "spec.yaml")).content_hash == local.content_hash
    for word, same in (
        ("hf:someone/encoder[conv1,output]", f"{bundle}[conv1,output]"),
        (f"hf:someone/encoder@{sha}[fc1]", f"{bundle}[fc1]"),
        ("untrained:hf:someone/encoder:3", f"untrained:{bundle}:3"),
    ):
        assert open_encoder(word).content_hash == open_encoder(same).content_hash
    with pytest.raises(FileNotFoundError, match="no repository"):
        open_encoder("untrained:hf:someone/other")


def test_what_names_the_hub(tmp_path):
    (tmp_path / "both.yaml").write_text(
        "ensemble:\n  combine: concat\n  members:\n    - {encoder: mean-power}\n"
        "    - {encoder: 'hf:a/b'}\n"
    )
    named = ["hf:a/b", "hf:a/b[conv1]", "untrained:hf:a/b:1", str(tmp_path / "both.yaml")]
    assert all(names_hub(word) for word in named)
    assert not any(names_hub(word) for word in ("mean-power", "untrained:vggish", "hear:hf"))


def test_as_what_a_run_starts_from(hub, bundle, small_config, tmp_path):
    hub.add("someone/encoder", bundle)
    config = replace(small_config(tmp_path), init_from="hf:someone/encoder")
    start = read_start(config)
    assert start.statistics == (-9.0, 4.5)
    weights = load_encoder(bundle).network.fc[0].weight
    assert torch.equal(start.network.fc[0].weight, weights)
    assert sha256(weights_file("hf:someone/encoder")) == sha256(bundle / "model.safetensors")


# Uploading.


def test_what_is_pushed_comes_back(hub, logged_in, bundle):
    (bundle / "encoder.pth").write_bytes(b"not part of it")
    word = push_to_hub(bundle, "someone/encoder")
    repository = hub.repositories["someone/encoder"]
    sha, files = repository.found("main")
    assert word == f"hf:someone/encoder@{sha}"
    assert not repository.private
    assert repository.messages == ["Upload a bundle of byola-diff"]
    assert sorted(files) == ["README.md", *FILES]
    for name in FILES:
        assert files[name] == (bundle / name).read_bytes()
    noise = uniform_noise(1, 8000)
    scene = load_encoder(word).scene(noise)
    torch.testing.assert_close(scene, load_encoder(bundle).scene(noise), rtol=0, atol=0)


def test_the_card_of_an_upload_has_metadata_and_loads_from_there(hub, logged_in, bundle):
    card = (bundle / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    (bundle / "README.md").write_text(body.lstrip())  # as older bundles have it
    push_to_hub(bundle, "someone/encoder")
    files = hub.repositories["someone/encoder"].found("main")[1]
    pushed = huggingface_hub.ModelCard(files["README.md"].decode())
    assert pushed.data.to_dict() == yaml.safe_load(front)
    assert pushed.data.license == "cc-by-4.0"
    assert 'byola_diff.load_encoder("hf:someone/encoder")\n' in pushed.text
    assert "# this folder" not in pushed.text
    assert (bundle / "README.md").read_text() == body.lstrip()
    push_to_hub(bundle, "someone/encoder")  # nothing new but a commit


def test_a_shipped_encoder_is_pushed_by_its_name(hub, logged_in):
    word = push_to_hub("byola-diff-small", "someone/small")
    assert mean_of(word) == mean_of("byola-diff-small")


def test_private_is_private(hub, logged_in, bundle, monkeypatch):
    push_to_hub(bundle, "someone/encoder", private=True)
    assert hub.repositories["someone/encoder"].private
    push_to_hub(bundle, "someone/encoder", private=True)
    hub.add("someone/public", bundle)
    before = hub_sha(hub, "someone/public")
    with pytest.raises(PermissionError, match="is public, so nothing was uploaded"):
        push_to_hub(bundle, "someone/public", private=True)
    assert hub_sha(hub, "someone/public") == before


def test_nothing_broken_is_uploaded(hub, logged_in, bundle, tmp_path):
    card = (bundle / "README.md").read_text()
    (bundle / "README.md").unlink()
    with pytest.raises(BrokenFileError, match=r"its model card, README\.md, is missing"):
        push_to_hub(bundle, "someone/encoder")
    (bundle / "README.md").write_text(card)
    weights = (bundle / "model.safetensors").read_bytes()
    (bundle / "model.safetensors").write_bytes(weights[:-1] + b"x")
    with pytest.raises(BrokenFileError, match="SHA-256"):
        push_to_hub(bundle, "someone/encoder")
    for missing in (tmp_path / "none", "hf:someone/encoder"):
        with pytest.raises(FileNotFoundError, match="no bundle folder at"):
            push_to_hub(missing, "someone/encoder")
    assert hub.asked == []


@pytest.mark.parametrize("name", ["encoder", "hf:someone/encoder", "someone/encoder@main", "a/b/c"])
def test_where_to_is_owner_and_name(hub, logged_in, bundle, name):
    with pytest.raises(ValueError, match="is not of the form OWNER/NAME"):
        push_to_hub(bundle, name)
    assert hub.asked == []


def test_who_is_not_logged_in_may_not_upload(hub, bundle):
    with pytest.raises(PermissionError, match=r"refuses someone/encoder to you \(401\): log in"):
        push_to_hub(bundle, "someone/encoder")
    assert hub.repositories == {}


def test_a_hub_that_fails_is_told(hub, logged_in, bundle, monkeypatch):
    def create(handler, asked):
        raise Refused(501)

    monkeypatch.setattr(Handler, "create", create)
    with pytest.raises(ConnectionError, match="someone/encoder: the hub could not be used"):
        push_to_hub(bundle, "someone/encoder")


def test_the_command(hub, logged_in, bundle, capsys):
    assert main([str(bundle), "someone/encoder", "--private"], prog="byola-diff push") == 0
    printed = capsys.readouterr().out
    sha = hub_sha(hub, "someone/encoder")
    assert 'byola_diff.load_encoder("hf:someone/encoder")' in printed
    assert f"hf:someone/encoder@{sha}" in printed
    assert hub.repositories["someone/encoder"].private
    assert main([str(bundle / "none"), "someone/encoder"], prog="byola-diff push") == 2
    assert capsys.readouterr().err == f"byola-diff push: no bundle folder at {bundle}/none\n"
