"""Bundles on the Hugging Face hub: fetched for the word `hf:OWNER/NAME`, and uploaded.

All that touches the network is huggingface_hub's: the token of whoever is logged in (`hf auth
login`, or HF_TOKEN), the endpoint (HF_ENDPOINT), and the cache, which also stands in for a hub that
can't be reached.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from byola_diff.optional import require
from byola_diff.storage import read_json

HUB = "hf:"
"""What a word starts with that names a repository of the hub."""
_WORD = re.compile(r"([^/@:\s]+/[^/@:\s]+)(?:@(\S+))?")
_LOG_IN = "log in by `hf auth login`, or set HF_TOKEN"


def fetch_bundle(word: str) -> Path:
    """Folder in the cache with the bundle of `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`.

    A revision is a branch, a tag or a commit; without one it is the newest commit of the main
    branch. Of the repository config.json and model.safetensors are fetched, of one commit, and
    nothing else; what the cache has is not fetched again, and is taken as it is where the hub can't
    be reached. Its content is not checked here.

    Raises:
        ValueError: If the word is of another form.
        ModuleNotFoundError: If huggingface_hub is not installed.
        FileNotFoundError: If there is no such repository or revision, or it holds no bundle.
        PermissionError: If whoever is logged in may not read it.
        ConnectionError: If the hub can't be reached, and the cache has no copy.
        BrokenFileError: If config.json can't be read.
    """
    found = _WORD.fullmatch(word.removeprefix(HUB))
    if not found:
        raise ValueError(f"{word!r} is not of the form hf:OWNER/NAME or hf:OWNER/NAME@REVISION")
    repository, revision = found.groups()
    hub = require("huggingface_hub", "hub", word)
    with _told(word):
        config = Path(hub.hf_hub_download(repository, "config.json", revision=revision))
    if "weights_sha256" not in read_json(config):  # before gigabytes are fetched, to be refused
        raise FileNotFoundError(f"{word} is no bundle: its config.json is of another model")
    with _told(word):
        # The folder is named by the commit: the branch may have moved since.
        hub.hf_hub_download(repository, "model.safetensors", revision=config.parent.name)
    return config.parent


def upload(repository: str, files: Mapping[str, Path | bytes], private: bool) -> str:
    """Write files to a repository of the hub, as one commit; returns the hash of the commit.

    Args:
        repository: OWNER/NAME; made if it is not there.
        files: By name there; content, or where it is read.
        private: Whether only its owner may see the repository.

    Raises:
        ValueError: If the name is of another form, or the hub finds fault with the model card.
        ModuleNotFoundError: If huggingface_hub is not installed.
        FileNotFoundError: If the hub shows no such repository to whoever is logged in.
        PermissionError: If whoever is logged in may not write there, or the repository is to be
            private and is public: then nothing is uploaded.
        ConnectionError: If the hub can't be reached, or gives an error.
    """
    found = _WORD.fullmatch(repository)
    if not found or found[2]:
        raise ValueError(f"{repository!r} is not of the form OWNER/NAME")
    hub = require("huggingface_hub", "hub", f"uploading to {repository}")
    api = hub.HfApi()
    with _told(repository):
        # None is what the owner has as the default.
        api.create_repo(repository, private=True if private else None, exist_ok=True)
        if private and not api.model_info(repository).private:
            raise PermissionError(
                f"{repository} is there already and is public, so nothing was uploaded: make it "
                "private in its settings, or choose another name"
            )
        additions = [
            hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
            for name, content in files.items()
        ]
        message = "Upload a bundle of byola-diff"
        return api.create_commit(repository, additions, commit_message=message).oid


@contextmanager
def _told(word: str) -> Iterator[None]:
    """Turn errors of huggingface_hub into a sentence that says what to do."""
    errors = require("huggingface_hub.errors", "hub")
    try:
        yield
    except errors.HFValidationError as error:
        raise ValueError(f"{word} names no repository of the hub: {error}") from error
    except errors.GatedRepoError as error:
        raise PermissionError(
            f"{word} is gated: accept its terms on its page of the hub, then {_LOG_IN}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"the hub shows no repository {word}: check the name; if it is private, {_LOG_IN}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(
            f"the repository has no revision as in {word}: name a branch, a tag or a whole commit "
            "hash that is there"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ConnectionError(
            f"{word} is not in the cache and the hub can't be reached: connect, and unset "
            "HF_HUB_OFFLINE if it is set, or name the folder of a bundle"
        ) from error
    except errors.EntryNotFoundError as error:
        raise FileNotFoundError(
            f"{word} is no bundle, which has config.json and model.safetensors: "
            "`byola-diff push BUNDLE OWNER/NAME` uploads one"
        ) from error
    except (errors.HTTPError, RuntimeError) as error:  # the latter wraps failed uploads
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise PermissionError(
                f"the hub refuses {word} to you ({status}): {_LOG_IN} to a token that has the right"
            ) from error
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConnectionError(f"{word}: the hub could not be used, try again: {reason}") from error
