"""The weights of AST as its authors published them, in the network of the transformers library.

The names are those of a distilled vision transformer of timm 0.4.5, under "v." and often "module.".
"""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from byola_diff.encoders.pretrained_folder import build_network, transformers
from byola_diff.models.weights import WeightsSource, read_tensors
from byola_diff.storage import BrokenFileError

N_MELS = 128
PATCH, PATCH_STRIDE = 16, 10
"""Side of a patch, and between patches, in frames as in mel bands."""
N_BANDS = (N_MELS - PATCH) // PATCH_STRIDE + 1
"""Patches along the mel axis: 12."""

_RENAMED = {
    r"^cls_token$": "embeddings.cls_token",
    r"^dist_token$": "embeddings.distillation_token",
    r"^pos_embed$": "embeddings.position_embeddings",
    r"^patch_embed\.proj\.": "embeddings.patch_embeddings.projection.",
    r"^norm\.": "layernorm.",
    r"^blocks\.": "encoder.layer.",
    r"\.norm1\.": ".layernorm_before.",
    r"\.norm2\.": ".layernorm_after.",
    r"\.attn\.proj\.": ".attention.output.dense.",
    r"\.mlp\.fc1\.": ".intermediate.dense.",
    r"\.mlp\.fc2\.": ".output.dense.",
}
"""Patterns of names, and what the published transformers files have in their place."""


def read_original(path: Path, source: WeightsSource) -> nn.Module:
    """`ASTModel` of transformers with the weights of an original file; errors as of `load_ast`."""
    own = {
        name.removeprefix("module.").removeprefix("v."): tensor
        for name, tensor in read_tensors(path, source).items()
        if name.removeprefix("module.").startswith("v.")
    }
    if "pos_embed" not in own or "dist_token" not in own:
        raise BrokenFileError(path, "lacks v.pos_embed or v.dist_token: not the weights of an AST")
    dim = own["pos_embed"].shape[-1]
    n_columns = (own["pos_embed"].shape[1] - 2) // N_BANDS
    config = transformers().ASTConfig(
        hidden_size=dim,
        num_hidden_layers=len([name for name in own if name.endswith(".norm1.weight")]),
        num_attention_heads=dim // 64,  # at every size of this vision transformer
        intermediate_size=4 * dim,
        layer_norm_eps=1e-6,  # that of timm; the converted files use 1e-12
        max_length=(n_columns - 1) * PATCH_STRIDE + PATCH,
    )
    return build_network(config, path, _renamed(own))


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(("head.", "head_dist.")):
            continue
        for pattern, new in _RENAMED.items():
            name = re.sub(pattern, new, name)
        if not name.startswith(("embeddings.", "encoder.", "layernorm.")):
            name = f"embeddings.{name}"  # where unknown names are refused
        block, is_qkv, kind = name.partition(".attn.qkv.")
        if is_qkv:
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[f"{block}.attention.attention.{part}.{kind}"] = third.contiguous()
        else:
            renamed[name] = tensor
    return renamed
