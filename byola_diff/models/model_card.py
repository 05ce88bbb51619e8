"""The model card of a bundle: what a person asks, below what the Hugging Face hub reads.

Source:
    https://huggingface.co/docs/hub/model-cards, and its list of licences.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from byola_diff.models.hub import HUB

LICENCES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc", "zlib"),
    *("bsl-1.0", "ncsa", "afl-3.0", "ms-pl", "postgresql", "wtfpl", "unlicense", "artistic-2.0"),
    *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nd-4.0"),
    *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
    *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
    *("agpl-3.0", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "mpl-2.0", "osl-3.0"),
    *("epl-1.0", "epl-2.0", "eupl-1.1", "eupl-1.2", "ecl-2.0", "lppl-1.3c", "gfdl", "ofl-1.1"),
    *("cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "odc-by", "odbl", "pddl"),
    *("etalab-2.0", "openrail"),
}
"""Names that the hub has for licences; any other is told to it as "other", with its name."""
_TAGS = ("audio", "audio-embeddings", "representation-learning", "self-supervised", "byol-a")
_THIS_FOLDER = re.compile(r'load_encoder\("[^"\n]*"\)  # this folder')


def model_card(name: str, config: Mapping[str, Any]) -> str:
    """Text of the card of a bundle that has this name and this content of config.json."""
    weight = config["training"].get("objective", {}).get("difference_weight")
    facts = {
        **config["front_end"],
        **config["statistics"],
        "encoder": config["encoder"]["name"],
        "dim": config["encoder"]["dim"],
        "spacing_ms": config["frame_spacing_ms"],
        "method": "BYOL-A with the difference loss" if weight else "BYOL-A",
        "weight": "not stated" if weight is None else weight,
        "steps": "not stated" if config["steps"] is None else config["steps"],
        "data": config["data"],
        "licence": config["licence"],
        "commit": config["commit"] or "not recorded",
        "training": json.dumps(config["training"], indent=2),
    }
    template = Path(__file__).with_name("model_card.template").read_text(encoding="utf-8")
    return _front_matter(config) + template.format(name=name, **facts)


def card_on_hub(card: str, config: Mapping[str, Any], repository: str) -> str:
    """The card as it is uploaded: with metadata, as older ones have none, and loaded from there."""
    if not card.startswith("---\n"):
        card = _front_matter(config) + card
    return _THIS_FOLDER.sub(lambda _: f'load_encoder("{HUB}{repository}")', card)


def metadata(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the hub is told of a bundle, under its names; of what is not known nothing."""
    training = config.get("training", {})
    has_difference = bool(training.get("objective", {}).get("difference_weight"))
    values: dict[str, Any] = {
        **_licence(config.get("licence", "not stated")),
        "library_name": "byola-diff",
        "pipeline_tag": "feature-extraction",
        "tags": [*_TAGS, *(["difference-loss"] if has_difference else [])],
    }
    if datasets := config.get("datasets"):
        values["datasets"] = list(datasets)
    started_from = training.get("init_from") or ""
    if started_from.startswith(HUB):
        values["base_model"] = started_from.removeprefix(HUB).partition("@")[0]
        values["base_model_relation"] = "finetune"
    return values


def _licence(stated: str) -> dict[str, str]:
    name = stated.lower()
    if name in LICENCES:
        return {"license": name}
    if name == "not stated":
        return {"license": "unknown"}
    return {"license": "other", "license_name": stated}


def _front_matter(config: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(metadata(config), sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{text}---\n\n"
