"""Small trees in the official layouts."""


def put(root, files):
    """Write files by relative name: text where there is some, else a placeholder for audio."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or "")


def audio(*names):
    return dict.fromkeys(names)


def by_file(clips, *fields):
    """What `fields` say of each file."""
    return {clip.file: tuple(getattr(clip, field) for field in fields) for clip in clips}


ESC50_HEADER = "filename,fold,target,category,esc10,src_file,take\n"


def put_esc50(root, n_folds=5):
    """A dog and a rooster per fold; both dogs of a fold come from one recording."""
    rows, names = [], []
    for fold in range(1, n_folds + 1):
        for take, (target, label) in {
            "A": (0, "dog"),
            "B": (0, "dog"),
            "C": (1, "rooster"),
        }.items():
            source = 100 * fold + target
            names.append(f"{fold}-{source}-{take}-{target}.wav")
            rows.append(f"{names[-1]},{fold},{target},{label},True,{source},{take}\n")
    put(root, {"meta/esc50.csv": ESC50_HEADER + "".join(rows)})
    put(root, audio(*(f"audio/{name}" for name in names)))
    return names
