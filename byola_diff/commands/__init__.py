"""The commands of `byola-diff`, one file each, which the scripts of the repository call too."""
