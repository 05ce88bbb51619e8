"""Files of encoders, run by onnxruntime and by torch alone, against the encoders."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from jaxtyping import config as jaxtyping_config

from byola_diff import deploy as deploy_module
from byola_diff.deploy import METADATA, deploy, main
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.models import bundle
from byola_diff.models.bundle import load_encoder
from byola_diff.storage import sha256
from tests.bundles import write_bundle
from tests.helpers import REPOSITORY, uniform_noise
from tests.models.test_encoder import make_encoder

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

FRONT_END = {"window_samples": 400, "n_fft": 400}
SECOND = 16_000
MINUTE = 60 * SECOND
SHAPES = [(1, 1), (3, 1), (2, 2), (1, 479), (5, 1121), (1, SECOND), (2, SECOND + 81), (17, 4000)]
BLOCKED = """
import sys
for name in ({names}):
    sys.modules[name] = None
"""


def encoder_of(kind):
    return make_encoder(kind, **FRONT_END)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The file of a kind of network, written when it is first asked for."""
    folder, known = tmp_path_factory.mktemp("deployed"), {}

    def make(kind, output, suffix, weights="float32"):
        name = f"{kind}-{output}-{weights}{suffix}"
        if name not in known:
            facts = {"name": "tiny", "licence": "MIT", "weights_sha256": "ab"}
            deploy(encoder_of(kind), folder / name, output, weights, facts)
            known[name] = folder / name
        return known[name]

    return make


def blocks(language):
    text = (REPOSITORY / "docs" / "deploy.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def waveforms():
    """Noise of many shapes, then a minute, silence and full scale."""
    for batch, n_samples in SHAPES:
        yield uniform_noise(batch, n_samples, seed=n_samples)
    yield uniform_noise(1, MINUTE)
    yield torch.zeros(2, SECOND)
    yield uniform_noise(2, SECOND).sign()


def assert_relative(found, expected, most=1e-4):
    found = torch.as_tensor(found)
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= most * expected.abs().max()


def assert_scenes_equal(embed, encoder):
    for waveform in waveforms():
        assert_relative(embed(waveform), encoder.scene(waveform))


def in_onnxruntime(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda waveform: session.run(None, {"waveform": waveform.numpy()})


def test_onnx_scene_of_any_batch_and_length(made):
    run = in_onnxruntime(made("2020", "scene", ".onnx"))
    assert_scenes_equal(lambda waveform: run(waveform)[0], encoder_of("2020"))


@pytest.mark.slow
def test_onnx_scene_of_the_wider_network(made):
    run = in_onnxruntime(made("2022", "scene", ".onnx"))
    assert_scenes_equal(lambda waveform: run(waveform)[0], encoder_of("2022"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["2020", "2022"])
def test_onnx_timestamps_of_any_batch_and_length(made, kind):
    run, encoder = in_onnxruntime(made(kind, "timestamps", ".onnx")), encoder_of(kind)
    for waveform in waveforms():
        embeddings, centers_ms = run(waveform)
        expected, expected_ms = encoder.timestamps(waveform)
        assert_relative(embeddings, expected)
        np.testing.assert_array_equal(centers_ms, expected_ms)


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "share"), [("float16", 0.6), ("int8", 0.4)])
def test_onnx_with_small_weights(made, weights, share):
    whole, small = made("2022", "scene", ".onnx"), made("2022", "scene", ".onnx", weights)
    assert small.stat().st_size < share * whole.stat().st_size
    waveform = uniform_noise(3, SECOND)
    [embedding] = in_onnxruntime(small)(waveform)
    assert_relative(embedding, encoder_of("2022").scene(waveform), 1e-3 if share > 0.5 else 2e-2)
    # Whatever else is in the batch: no scale is taken from it.
    [alone] = in_onnxruntime(small)(waveform[:1])
    assert_relative(alone, torch.from_numpy(embedding[:1]), 1e-5)


def test_onnx_says_what_it_is(made):
    path = made("2020", "scene", ".onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 21)]
    assert model.producer_name == "byola_diff"
    assert not {node.domain for node in model.graph.node} - {""}
    session = onnxruntime.InferenceSession(path)
    assert [
        (each.name, each.shape) for each in (*session.get_inputs(), *session.get_outputs())
    ] == [
        ("waveform", ["batch", "sample"]),
        ("scene_embedding", ["batch", 48]),
    ]
    facts = session.get_modelmeta().custom_metadata_map
    assert {name: facts[name] for name in ("name", "licence", "weights_sha256", "weights")} == {
        "name": "tiny",
        "licence": "MIT",
        "weights_sha256": "ab",
        "weights": "float32",
    }
    assert (facts["sample_rate"], facts["embedding_size"]) == ("16000", "48")
    assert (facts["frame_spacing_ms"], facts["shortest_samples"]) == ("80.0", "1120")
    assert (facts["log_mel_mean"], facts["log_mel_std"]) == ("-9.0", "4.5")
    assert "zeros on the right" in facts["length"]


RUN_PROGRAM = """
import json
run = program.module()
inputs, expected = torch.load("cases.pt", weights_only=True)
for waveform, wanted in zip(inputs, expected, strict=True):
    found = run(waveform)
    for one, other in zip([found] if torch.is_tensor(found) else found, wanted, strict=True):
        assert one.shape == other.shape, (one.shape, other.shape)
        assert (one - other).abs().max() <= 1e-4 * other.abs().max()
print(json.dumps(json.loads(extra["metadata.json"])))
"""


def run_in_new_process(source, folder, blocked):
    """Output of a program in a process of its own, which can't import what is blocked."""
    names = " ".join(f"{name!r}," for name in blocked)
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(names=names) + source],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_program(path, folder, expected_of):
    """Run a `.pt2` where there is little but torch, as the document does; returns its metadata."""
    [example] = [block for block in blocks("python") if "torch.export" in block]
    (folder / "encoder.pt2").write_bytes(path.read_bytes())
    inputs = list(waveforms())
    cases = (inputs, [expected_of(waveform) for waveform in inputs])
    torch.save(cases, folder / "cases.pt")
    blocked = ("byola_diff", "einops", "jaxtyping", "beartype", "onnx", "pytorch_lightning")
    return json.loads(run_in_new_process(f"{example}\n{RUN_PROGRAM}", folder, blocked))


def test_program_runs_with_torch_alone(made, tmp_path):
    encoder = encoder_of("2020")
    path = made("2020", "scene", ".pt2")
    facts = run_program(path, tmp_path, lambda waveform: [encoder.scene(waveform)])
    assert (facts["licence"], facts["sample_rate"]) == ("MIT", "16000")
    assert METADATA == "metadata.json"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["2020", "2022"])
def test_program_of_timestamps_runs_with_torch_alone(made, tmp_path, kind):
    encoder = encoder_of(kind)
    path = made(kind, "timestamps", ".pt2")
    run_program(path, tmp_path, lambda waveform: list(encoder.timestamps(waveform)))


@pytest.mark.slow
def test_program_of_the_wider_network_with_small_weights(made, tmp_path):
    graph = deploy_module.DeployedScene(encoder_of("2022"), "int8")
    path = made("2022", "scene", ".pt2", "int8")
    assert path.stat().st_size < 0.4 * made("2022", "scene", ".pt2").stat().st_size
    run_program(path, tmp_path, lambda waveform: [graph(waveform)])


def test_example_of_the_document_needs_no_torch(made, tmp_path):
    [example] = [block for block in blocks("python") if "onnxruntime" in block]
    assert len(example.splitlines()) <= 10
    (tmp_path / "encoder.onnx").write_bytes(made("2020", "scene", ".onnx").read_bytes())
    stereo = uniform_noise(2, 2 * SECOND).numpy()
    soundfile.write(tmp_path / "clip.wav", stereo.T, SECOND)
    out = run_in_new_process(
        f"{example}\nprint(embedding.tolist())", tmp_path, ("torch", "byola_diff")
    )
    found = torch.tensor(json.loads(out.splitlines()[-1]))
    expected = encoder_of("2020").scene(torch.from_numpy(stereo.mean(0, keepdims=True)))
    assert_relative(found, expected, 1e-3)  # 16 bits of the file


def test_command_writes_a_bundle_with_its_facts(tmp_path, capsys):
    write_bundle(tmp_path / "bundle", encoder_of("2020"), licence="CC0-1.0")
    file = tmp_path / "new" / "encoder.pt2"
    assert main([str(tmp_path / "bundle"), str(file), "--weights", "float16"]) == 0
    told = capsys.readouterr().out
    assert f"{file}  " in told
    assert "licence: CC0-1.0" in told
    assert "scene_embedding [batch, embedding_size]" in told
    extra = {METADATA: ""}
    program = torch.export.load(file, extra_files=extra)
    facts = json.loads(extra[METADATA])
    assert (facts["name"], facts["licence"], facts["weights"]) == ("bundle", "CC0-1.0", "float16")
    assert facts["weights_sha256"] == sha256(tmp_path / "bundle" / "model.safetensors")
    waveform = uniform_noise(2, SECOND)
    expected = load_encoder(tmp_path / "bundle").scene(waveform)
    assert_relative(program.module()(waveform), expected, 1e-3)
    assert [path.name for path in file.parent.iterdir()] == ["encoder.pt2"]


def test_command_fetches_an_encoder_of_the_hub(tmp_path, monkeypatch):
    fetched, words = tmp_path / "0123abc", []
    write_bundle(fetched, encoder_of("2020"))
    monkeypatch.setattr(bundle, "fetch_bundle", lambda word: words.append(word) or fetched)
    assert main(["hf:me/mine", str(tmp_path / "encoder.pt2")]) == 0
    assert words == ["hf:me/mine"]
    extra = {METADATA: ""}
    torch.export.load(tmp_path / "encoder.pt2", extra_files=extra)
    assert json.loads(extra[METADATA])["name"] == "hf:me/mine"


def test_only_plain_encoders_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(jaxtyping_config, "jaxtyping_disable", True)  # else types are refused first
    with pytest.raises(TypeError, match="only an AudioEncoder can be deployed, not FusedEncoder"):
        deploy(FusedEncoder(encoder_of("2020"), ["output"]), tmp_path / "encoder.pt2")
    assert not list(tmp_path.iterdir())


def test_commands_of_the_document_can_be_parsed(monkeypatch):
    seen = []
    monkeypatch.setattr(deploy_module, "run", seen.append)
    lines = [line.split("#")[0].split() for line in "".join(blocks("sh")).splitlines()]
    commands = [words[2:] for words in lines if words[:2] == ["byola-diff", "deploy"]]
    assert len(commands) >= 3
    assert [main(words) for words in commands] == [0] * len(commands)
    assert {options.file.suffix for options in seen} == {".onnx", ".pt2"}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["byola-diff", "encoder.pth"], "must end in .onnx or .pt2"),
        (["no-such", "encoder.onnx"], "nothing at no-such"),
        (["weights.pth", "encoder.onnx"], "nothing at weights.pth"),
        (["byola-diff", "encoder.onnx", "--weights", "int4"], "int4"),
    ],
)
def test_command_refuses_in_a_line(tmp_path, monkeypatch, capsys, words, reason):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(words)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_onnx_without_its_packages_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["byola-diff-small", str(tmp_path / "encoder.onnx")]) == 2
    assert "byola-diff[onnx]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
