"""Bundles for tests."""

from byola_diff.models.bundle import fill_bundle, whole_folder


def write_bundle(folder, encoder, **facts):
    with whole_folder(folder) as temporary:
        fill_bundle(temporary, encoder, name=folder.name, **{"training": {}, **facts})
