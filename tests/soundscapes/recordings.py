"""Small data sets of noise in the layouts of ESC-50 and FSD50K."""

import numpy as np

from byola_diff.audio.files import write_wav


def noise(path, seed, duration_s=0.2, rate=8000):
    rng = np.random.default_rng(seed)
    write_wav(path, 0.1 * rng.standard_normal(int(duration_s * rate)), rate)


def write_esc50(root, names=("5-203128-A-0.wav", "1-100032-A-0.wav")):
    rows = [f"{name},{name[0]},0,dog,True,{name.split('-')[1]},A" for name in names]
    (root / "meta").mkdir(parents=True)
    header = "filename,fold,target,category,esc10,src_file,take"
    (root / "meta" / "esc50.csv").write_text("\n".join([header, *rows]) + "\n")
    for seed, name in enumerate(names):
        noise(root / "audio" / name, seed)


def write_fsd50k(root):
    truth = root / "FSD50K.ground_truth"
    truth.mkdir(parents=True)
    dev = 'fname,labels,mids,split\n64760,"Rain,Water",/m,train\n16399,Wind,/m,val\n'
    (truth / "dev.csv").write_text(dev)
    (truth / "eval.csv").write_text("fname,labels,mids\n37199,Rain,/m\n")
    for seed, name in enumerate(("dev_audio/64760", "dev_audio/16399", "eval_audio/37199")):
        noise(root / f"FSD50K.{name}.wav", seed)
    return root
