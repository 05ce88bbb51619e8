import json
import unicodedata

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from byola_diff.evaluation.retrieval.text_encoders import (
    BagOfWords,
    DistilBert,
    TextEncoder,
    open_text_encoder,
)
from byola_diff.storage import BrokenFileError

FIXED = [1.666842, 0.336846, 0.304341]
"""The first three values of "add a dog"."""
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "add", "remove", "a", "the", "dog", "rain"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As published, but tiny and with random weights."""
    folder = tmp_path_factory.mktemp("distilbert")
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=len(WORDS), dim=16, n_heads=2, n_layers=2, hidden_dim=32)
    network = DistilBertModel(config)
    config.save_pretrained(folder)
    weights = {f"distilbert.{name}": value for name, value in network.state_dict().items()}
    weights["vocab_transform.weight"] = torch.zeros(16, 16)  # the head of the published file
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    """The same, to be spoiled."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def cosine(first, second):
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


def embed(*texts):
    return BagOfWords().embed(texts)


def test_words_change_places_and_the_text_is_another_one():
    first, second = embed("add a dog and remove the rain", "remove a dog and add the rain")
    assert cosine(first, second) < 0.8
    swapped = embed("dog a add")[0]
    assert cosine(swapped, embed("add a dog")[0]) < 0.9


def test_clauses_may_come_in_any_order():
    texts = (
        "add a dog and remove the rain",
        "remove the rain and add a dog",
        "Add a dog, remove the rain.",
        "remove the rain;  ADD A DOG!",
    )
    first, *others = embed(*texts)
    assert all(first.equal(other) for other in others)


def test_and_inside_a_word_ends_no_clause():
    assert not embed("add a band aid")[0].equal(embed("add a b aid")[0])


def test_more_in_common_is_more_alike():
    text, near, far = embed("make the dog louder", "make the dog quieter", "remove birds")
    assert cosine(text, near) > 0.3 > cosine(text, far)


def test_embeddings_are_fixed():
    # Systems that were trained and saved depend on them.
    (embedding,) = embed("add a dog")
    assert embedding.shape == (256,)
    assert embedding.dtype == torch.float32
    torch.testing.assert_close(embedding.square().mean(), torch.tensor(1.0))
    torch.testing.assert_close(embedding[:3], torch.tensor(FIXED), atol=1e-5, rtol=0)


def test_a_text_is_the_same_alone_and_among_others():
    texts = ["add a dog", "rain", "remove the birds and the rain"]
    together = embed(*texts)
    assert all(together[row].equal(embed(text)[0]) for row, text in enumerate(texts))


@pytest.mark.parametrize("text", ["", "  ", "?!", "and"])
def test_no_words(text):
    with pytest.raises(ValueError, match="has no words"):
        embed("add a dog", text)


def test_text_encoders_by_their_words(folder):
    for word, dim in (("bag-of-words", 256), (f"distilbert:{folder}", 16)):
        encoder = open_text_encoder(word)
        assert isinstance(encoder, TextEncoder)
        assert encoder.dim == dim
        assert encoder.embed(["a dog", "the rain"]).shape == (2, dim)
        assert len(encoder.content_hash) == 64


def test_only_the_bag_of_words_has_a_closed_vocabulary(folder):
    texts = ["add a dog, remove the RAIN", "a band aid and x-ray"]
    words = {"add", "a", "dog", "remove", "the", "rain", "band", "aid", "x-ray"}
    assert BagOfWords().vocabulary(texts) == words
    assert DistilBert(folder).vocabulary(texts) is None


@pytest.mark.parametrize("word", ["bert", "bag-of-words:x", "distilbert:", "", "distilberts"])
def test_words_that_name_none(word):
    with pytest.raises(ValueError, match=r"no text encoder: it is bag-of-words, distilbert:FOLDER"):
        open_text_encoder(word)


def test_mean_of_the_last_layer_without_padding(folder):
    encoder = DistilBert(folder)
    tokens = torch.tensor([[2, 5, 7, 9, 3]])  # [CLS] add a dog [SEP]
    network = DistilBertModel.from_pretrained(folder)
    with torch.no_grad():
        expected = network.eval()(tokens).last_hidden_state[0].mean(0)
    alone = encoder.embed(["add a dog"])[0]
    torch.testing.assert_close(alone, expected, atol=1e-6, rtol=0)
    long = "remove the rain " * 10
    torch.testing.assert_close(encoder.embed([long, "add a dog"])[1], alone, atol=1e-6, rtol=0)
    assert not alone.requires_grad


def test_many_and_endless_texts_keep_their_order(folder):
    encoder = DistilBert(folder)
    texts = [" ".join(["dog"] * (1 + 7 * n % 11)) for n in range(70)] + ["rain " * 2000]
    together = encoder.embed(texts)
    assert together.isfinite().all()
    for row in (0, 5, 69):
        torch.testing.assert_close(together[row], encoder.embed([texts[row]])[0], atol=1e-6, rtol=0)


def test_hash_is_of_weights_and_vocabulary(copy):
    before = DistilBert(copy).content_hash
    assert DistilBert(copy).content_hash == before
    (copy / "vocab.txt").write_text("\n".join([*WORDS[:-1], "snow"]) + "\n")
    other_words = DistilBert(copy).content_hash
    weights = load_file(copy / "model.safetensors")
    weights["distilbert.embeddings.word_embeddings.weight"] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert len({before, other_words, DistilBert(copy).content_hash}) == 3


@pytest.mark.parametrize("weights", ["nowhere/at/all", "distilbert-base-uncased"])
def test_weights_that_are_not_there(weights, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt, from https://huggingface\.co/dist"):
        open_text_encoder(f"distilbert:{weights}")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "vocab.txt"])
def test_files_that_are_not_there(copy, missing):
    (copy / missing).unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json, model\.safetensors or pytorch"):
        DistilBert(copy)


def test_another_architecture(tmp_path):
    config = BertConfig(
        vocab_size=11, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16,
    )  # fmt: skip
    BertModel(config).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    with pytest.raises(BrokenFileError, match="type 'bert', not 'distilbert'"):
        DistilBert(tmp_path)


def test_missing_weights_are_not_drawn_by_chance(copy):
    weights = load_file(copy / "model.safetensors")
    del weights["distilbert.transformer.layer.1.ffn.lin1.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BrokenFileError, match="lacks weights"):
        DistilBert(copy)


def test_broken_tokenizer(copy):
    (copy / "tokenizer.json").write_text(json.dumps({"model": 1}))
    with pytest.raises(BrokenFileError, match="tokenizer can't be read"):
        DistilBert(copy)


def test_empty_text(folder):
    with pytest.raises(ValueError, match="a text is empty"):
        DistilBert(folder).embed(["a dog", " "])


def test_unlike_vectors_of_unlike_words():
    vectors = embed("dog", "rain", "birds").numpy()
    assert np.abs(np.corrcoef(vectors) - np.eye(3)).max() < 0.25


def test_accents_are_one_sign_however_typed():
    composed, apart = (unicodedata.normalize(form, "ajoute le bébé") for form in ("NFC", "NFD"))
    assert composed != apart
    first, second = BagOfWords().embed([composed, apart])
    assert torch.equal(first, second)
