"""Versions of the packages that an encoder is computed with, for its `settings()`."""

from importlib.metadata import version


def package_versions(*packages: str) -> dict[str, str]:
    """Version by package: another one may compute other embeddings from the same weights.

    Without the build, as in "+cpu", so that settings are the same on every device.
    """
    return {package: version(package).partition("+")[0] for package in packages}
