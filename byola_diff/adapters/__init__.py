"""Encoders behind the interfaces of evaluation suites of others, a file for each suite.

Public: `mteb.model_meta`, `xares.encoder_class`, `s3prl.UpstreamExpert`, `evar.EvarRepresentation`,
and `paste.SUITES`, what a user pastes where. None needs its suite installed but `mteb.model_meta`.
The interface of HEAR is `byola_diff.hear`.
"""
