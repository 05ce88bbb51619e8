"""The weights of AST as its authors published them, in the network of the transformers library.

The names are those of a distilled vision transformer of timm 0.4.5, under "v." and often "module.".
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from byola_diff.encoders.ast_front_end import N_MELS
from byola_diff.encoders.pretrained_folder import build_network, transformers
from byola_diff.models.weights import WeightsSource, read_tensors
from byola_diff.storage import BrokenFileError

_HEAD_DIM = 64
"""Width of an attention head, the same at every size of this vision transformer."""
_LAYER_NORM_EPS = 1e-6
"""That of timm; the converted files use 1e-12."""
_INPUTS = {
    "cls_token": "embeddings.cls_token",
    "dist_token": "embeddings.distillation_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def read_original(path: Path, source: WeightsSource) -> nn.Module:
    """`ASTModel` of transformers with the weights of an original file.

    Raises:
        FileNotFoundError: If there is no such file; says where to get it.
        BrokenFileError: If it holds another architecture, or weights are missing.
    """
    tensors = read_tensors(path, source)
    own = {
        name.removeprefix("module.").removeprefix("v."): tensor
        for name, tensor in tensors.items()
        if name.removeprefix("module.").startswith("v.")
    }
    if "pos_embed" not in own or "dist_token" not in own:
        raise BrokenFileError(path, "lacks v.pos_embed or v.dist_token: not the weights of an AST")
    dim = own["pos_embed"].shape[-1]
    n_bands = (N_MELS - 16) // 10 + 1
    n_columns = (own["pos_embed"].shape[1] - 2) // n_bands
    config = transformers().ASTConfig(
        hidden_size=dim,
        num_hidden_layers=len([name for name in own if name.endswith(".norm1.weight")]),
        num_attention_heads=dim // _HEAD_DIM,
        intermediate_size=4 * dim,
        layer_norm_eps=_LAYER_NORM_EPS,
        max_length=(n_columns - 1) * 10 + 16,
    )
    return build_network("ASTModel", config, path, _renamed(own))


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under the names of the published transformers files; names not known stay as they are."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        parts = name.split(".")
        if name in _INPUTS:
            renamed[_INPUTS[name]] = tensor
        elif stem in _INPUTS:
            renamed[f"{_INPUTS[stem]}.{kind}"] = tensor
        elif parts[0] == "blocks":
            block, inner = f"encoder.layer.{parts[1]}", ".".join(parts[2:-1])
            if inner == "attn.qkv":
                for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                    renamed[f"{block}.attention.attention.{part}.{kind}"] = third.contiguous()
            else:
                renamed[f"{block}.{_BLOCK.get(inner, inner)}.{kind}"] = tensor
        elif parts[0] not in {"head", "head_dist"}:
            renamed[f"embeddings.{name}"] = tensor
    return renamed
