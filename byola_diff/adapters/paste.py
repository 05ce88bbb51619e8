"""What a user of an evaluation suite pastes, and into which file."""

import json
from collections.abc import Mapping

from byola_diff.encoders.open import open_encoder

_MTEB = """\
# run_mteb.py
import mteb

from byola_diff.adapters.mteb import model_meta

model = model_meta({encoder}).load_model()
print(mteb.mock_run(model).to_markdown())  # a check on made clips, without downloads
results = mteb.evaluate(model, mteb.get_benchmark("MAEB(v1, audio-only)"))
"""

_XARES = """\
# byola_diff_encoder.py
from byola_diff.adapters.xares import encoder_class

ByolaDiffEncoder = encoder_class({encoder})
"""

_S3PRL = """\
# before S3PRL is used, which then knows the upstream "byola_diff"
import sys
from functools import partial
from types import ModuleType

import torchaudio

# S3PRL 0.4.18 imports these names, which torchaudio 2.9 dropped; this upstream calls neither.
torchaudio.set_audio_backend = lambda name: None
sys.modules["torchaudio.sox_effects"] = ModuleType("torchaudio.sox_effects")
sys.modules["torchaudio.sox_effects"].apply_effects_tensor = None

from s3prl import hub
from s3prl.nn import Featurizer, S3PRLUpstream

from byola_diff.adapters.s3prl import UpstreamExpert

hub.byola_diff = partial(UpstreamExpert, ckpt={encoder})
upstream = S3PRLUpstream("byola_diff").eval()
featurizer = Featurizer(upstream)  # sums hidden states with weights that are learned
"""

_EVAR = """\
# evar/ar_byola_diff.py
from byola_diff.adapters.evar import EvarRepresentation as AR_ByolaDiff

# lineareval.py, beside the other imports
import evar.ar_byola_diff

# config/byola_diff.yaml
audio_repr: ar_byola_diff.AR_ByolaDiff
encoder: {encoder}
content_hash: "{content_hash}"
sample_rate: {sample_rate}
feature_d: {feature_d}
weight_file: ""
batch_size: 64
lr_lineareval: 0.0003
report_per_epochs: 20
early_stop_epochs: 20
"""

SUITES: Mapping[str, str] = {"mteb": _MTEB, "xares": _XARES, "s3prl": _S3PRL, "evar": _EVAR}
"""By suite, the texts, each with its file in a comment above it."""


def pasted(suite: str, encoder_spec: str) -> str:
    """What to paste for an encoder.

    The encoder is opened, so that one that is not there is told here and not by the suite; errors
    are those of `open_encoder`.
    """
    named = open_encoder(encoder_spec)
    return SUITES[suite].format(
        encoder=json.dumps(encoder_spec, ensure_ascii=False),
        content_hash=named.content_hash,
        sample_rate=named.encoder.sample_rate,
        feature_d=named.encoder.scene_embedding_size,
    )
