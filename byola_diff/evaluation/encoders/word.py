"""The words by which users name encoders: `KIND`, `KIND:WHAT`, a bundle folder, each with layers.

What a word means does not depend on the folder that one works in: the name of a kind is that kind,
and a bundle folder of that name is written `./crepe`. Layers stand in brackets, at the end of the
kind or of the whole word. Only a path that exists as it is written keeps its brackets.
"""

import re
from pathlib import Path

_LAYERS = re.compile(r"\[([^][:]*)\](?=:|$)")


def split_layers(word: str) -> tuple[str, tuple[str, ...]]:
    """The word without its layers, and the layers to be fused, perhaps none.

    Raises:
        ValueError: If there are brackets twice, none in them, or a layer twice.
    """
    if Path(word).expanduser().exists():
        return word, ()
    head, colon, path = word.partition(":")
    if not path or not Path(path).expanduser().exists():
        head, colon, path = word, "", ""
    found = _LAYERS.findall(head)
    if not found:
        return word, ()
    if len(found) > 1:
        raise ValueError(f"{word!r} has layers twice: give them once, as in vggish[10,15]:FILE")
    layers = tuple(layer.strip() for layer in found[0].split(","))
    if not all(layers) or len(set(layers)) < len(layers):
        raise ValueError(f"{word!r}: expected different layers, as in [10,15], not [{found[0]}]")
    return f"{_LAYERS.sub('', head)}{colon}{path}", layers
