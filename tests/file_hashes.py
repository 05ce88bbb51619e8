"""What a folder holds, to compare two of them."""

import hashlib


def file_hashes(folder):
    """SHA-256 of every file by its path below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
