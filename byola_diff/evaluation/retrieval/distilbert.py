"""DistilBERT as a frozen text encoder, from a folder or the download cache, never the network.

Source:
    Sanh et al., 2019, "DistilBERT, a distilled version of BERT". That the retrieval system uses it,
    frozen: the difference-aware paper, section 5.3. The pooling is unknown there: ours is the mean
    of the last layer over all tokens of a text, the marks at its two ends among them.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from byola_diff.encoders.pretrained_folder import (
    find_folder,
    read_network,
    read_settings,
    transformers,
)
from byola_diff.models.weights import WeightsSource
from byola_diff.storage import BrokenFileError, sha256

DISTILBERT = WeightsSource(
    "DistilBERT",
    "a folder with config.json, model.safetensors or pytorch_model.bin, and tokenizer.json or "
    "vocab.txt",
    "https://huggingface.co/distilbert/distilbert-base-uncased",
)
PUBLISHED_NAME = "distilbert-base-uncased"

_TOKENIZER = ("tokenizer.json", "vocab.txt")
_CONTENT = (
    "config.json",
    "model.safetensors",
    "pytorch_model.bin",
    *_TOKENIZER,
    "tokenizer_config.json",
)
_BATCH_SIZE = 64
_MAX_TOKENS = 512


class DistilBert:
    """A frozen network with its tokenizer; texts beyond 512 tokens are cut."""

    def __init__(
        self,
        network: nn.Module,
        tokenizer: Any,
        content_hash: str,
        device: torch.device | str = "cpu",
    ) -> None:
        """Take a loaded network.

        Args:
            network: A `DistilBertModel` of transformers.
            tokenizer: The one that it was trained with.
            content_hash: Hash of the folder that both are from.
            device: Where texts are embedded.
        """
        self.network = network.eval().requires_grad_(False).to(device)
        self.tokenizer, self.content_hash, self.device = tokenizer, content_hash, device
        config: Any = network.config
        self.dim: int = config.dim

    def vocabulary(self, texts: Sequence[str]) -> None:
        """No closed one: a language model knows words that these texts lack."""

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "text dim"]:
        """Embeddings on the CPU.

        Raises:
            ValueError: If a text is empty.
        """
        if not all(text.strip() for text in texts):
            raise ValueError("a text is empty")
        embeddings = torch.empty(len(texts), self.dim)
        # Texts of about one length share a batch, so that little is padded.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), _BATCH_SIZE):
            places = order[start : start + _BATCH_SIZE]
            tokens = self.tokenizer(
                [texts[place] for place in places],
                padding=True,
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
            ).to(self.device)
            mask = tokens["attention_mask"]
            state = self.network(tokens["input_ids"], attention_mask=mask).last_hidden_state
            mean = (state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            embeddings[places] = mean.float().cpu()
        return embeddings


def load_distilbert(weights: Path | str, device: torch.device | str = "cpu") -> DistilBert:
    """The DistilBERT network of a folder, or of a name in the download cache.

    Raises:
        FileNotFoundError: If there is no such folder or it lacks files; says where to get them.
        BrokenFileError: If it is of another architecture, or weights are missing.
        ModuleNotFoundError: If transformers is not installed.
    """
    folder = find_folder(weights, DISTILBERT)
    if not any((folder / name).is_file() for name in _TOKENIZER):
        raise FileNotFoundError(
            f"{folder} has neither {' nor '.join(_TOKENIZER)}: {DISTILBERT.model} needs "
            f"{DISTILBERT.file}, from {DISTILBERT.source}"
        )
    read_settings(folder, "distilbert")
    network = read_network(folder, "DistilBertModel", "DistilBertConfig", {})
    try:
        tokenizer = transformers().DistilBertTokenizerFast.from_pretrained(
            folder, local_files_only=True
        )
    except Exception as error:  # what it raises depends on the file that is wrong
        raise BrokenFileError(folder, f"its tokenizer can't be read ({error})") from error
    return DistilBert(network, tokenizer, _content_hash(folder), device)


def _content_hash(folder: Path) -> str:
    """Hash of the files that are read; the tokenizer decides as much as the weights do."""
    paths = [folder / name for name in _CONTENT] + sorted(folder.glob("*.index.json"))
    digests = [f"{path.name} {sha256(path)}" for path in paths if path.is_file()]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
