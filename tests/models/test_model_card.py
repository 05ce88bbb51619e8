import json

import pytest
import yaml

from byola_diff.models.model_card import card_on_hub, metadata, model_card
from byola_diff.models.shipped import SHIPPED, shipped_bundle

CONFIG = {
    "front_end": {
        "sample_rate": 16_000,
        "window_samples": 400,
        "hop_samples": 160,
        "n_mels": 64,
        "f_min_hz": 50.0,
        "f_max_hz": 8000.0,
    },
    "statistics": {"mean": -7.25, "std": 4.5},
    "encoder": {"name": "AudioNTT2022", "dim": 3072},
    "frame_spacing_ms": 40.0,
    "steps": 700,
    "data": "tones: {odd}\n---\n",
    "datasets": [],
    "licence": "CC-BY-4.0",
    "commit": "abc",
    "training": {"objective": {"difference_weight": 0.5}, "init_from": None},
}


def front_and_body(card):
    before, front, body = card.split("---\n", 2)
    assert before == ""
    return yaml.safe_load(front), body


def test_what_the_hub_is_told():
    assert metadata(CONFIG) == {
        "license": "cc-by-4.0",
        "library_name": "byola-diff",
        "pipeline_tag": "feature-extraction",
        "tags": [
            *("audio", "audio-embeddings", "representation-learning", "self-supervised"),
            *("byol-a", "difference-loss"),
        ],
    }


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("MIT", {"license": "mit"}),
        ("apache-2.0", {"license": "apache-2.0"}),
        ("EUPL-1.2", {"license": "eupl-1.2"}),
        ("CC-BY-NC-ND-3.0", {"license": "cc-by-nc-nd-3.0"}),
        ("CC-BY-NC-2.0", {"license": "cc-by-nc-2.0"}),
        ("not stated", {"license": "unknown"}),
        ("for friends: yes", {"license": "other", "license_name": "for friends: yes"}),
        ("GPL-2.0-or-later", {"license": "other", "license_name": "GPL-2.0-or-later"}),
    ],
)
def test_licences(stated, told):
    config = CONFIG | {"licence": stated}
    found = metadata(config)
    assert {key: value for key, value in found.items() if key.startswith("license")} == told
    assert front_and_body(model_card("mine", config))[0] == found


def test_what_is_known_of_data_and_start_is_told_too():
    training = {"objective": {"difference_weight": 0.0}, "init_from": "hf:someone/encoder@v1"}
    found = metadata(CONFIG | {"datasets": ["agkphysics/AudioSet"], "training": training})
    assert found["datasets"] == ["agkphysics/AudioSet"]
    assert found["base_model"] == "someone/encoder"
    assert found["base_model_relation"] == "finetune"
    assert "difference-loss" not in found["tags"]
    local = {"init_from": "runs/mine/bundle"}
    assert "base_model" not in metadata(CONFIG | {"training": local})


def test_metadata_come_before_what_a_person_reads():
    front, body = front_and_body(model_card("mine", CONFIG))
    assert front == metadata(CONFIG)
    assert body.startswith("\n# mine\n\nAudioNTT2022, 3072 dimensions")
    assert 'load_encoder("mine")  # this folder' in body


def test_the_hub_reads_it():
    hub = pytest.importorskip("huggingface_hub")
    config = CONFIG | {"datasets": ["a/b"]}
    data = hub.ModelCard(model_card("mine: [odd]", config)).data
    assert data.to_dict() == metadata(config)
    assert (data.license, data.datasets, data.library_name) == ("cc-by-4.0", ["a/b"], "byola-diff")


def test_an_older_card_gets_metadata_for_the_hub():
    old = model_card("mine", CONFIG).split("---\n\n", 1)[1]
    assert old.startswith("# mine")
    card = card_on_hub(old, CONFIG, "someone/encoder")
    assert card == card_on_hub(model_card("mine", CONFIG), CONFIG, "someone/encoder")
    assert front_and_body(card)[0] == metadata(CONFIG)
    assert 'load_encoder("hf:someone/encoder")\n' in card
    # That of a bundle of the first format, which had less to tell.
    assert front_and_body(card_on_hub("# old\n", {}, "a/b"))[0]["license"] == "unknown"


def test_a_card_of_ones_own_stays_as_it_is():
    own = '---\nlicense: mit\nextra: 1\n---\n\n# Mine\n\n`load_encoder("mine")`, see `A\\1`\n'
    assert card_on_hub(own, CONFIG, "someone/encoder") == own


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_of_shipped_encoders(name):
    hub = pytest.importorskip("huggingface_hub")
    folder = shipped_bundle(name)
    front, _ = front_and_body((folder / "README.md").read_text())
    config = json.loads((folder / "config.json").read_text())
    assert metadata(config).items() <= front.items()
    [result] = hub.ModelCard.load(folder / "README.md").data.eval_results
    assert (result.dataset_name, result.metric_type) == ("ESC-10", "accuracy")
    # The same as in its table of scores.
    assert (
        f"| ESC-10, logistic probe (%) | {result.metric_value} ± "
        in (folder / "README.md").read_text()
    )
