"""The image encoder: what looks alike lies close; what is no picture is masked, with the reason."""

from __future__ import annotations

import io
import struct
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.outside import NO_DATA, larger_data
from headrace.encoders.encoder import Setup
from headrace.encoders.picture import read_picture as read_square
from headrace.encoders.pretrained.image_efficientnet import ImageEfficientNet, load

FASHION = larger_data("fashion")
read_picture = partial(read_square, size=224)
TYPES = ("Watches", "Sunglasses", "Jeans", "Casual Shoes")
SUNGLASSES = {836, 837}  # classes of ImageNet


@pytest.fixture(scope="module")
def encoder() -> ImageEfficientNet:
    return load(Setup())


def drawn(shape: str, colour: str, size: tuple[int, int] = (120, 160)) -> Image.Image:
    """A picture of one shape, somewhat off the middle."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    box = (size[0] // 5, size[1] // 5, 3 * size[0] // 4, 3 * size[1] // 4)
    if shape == "disc":
        draw.ellipse(box, fill=colour)
    else:
        for left in range(box[0], box[2], 12):
            draw.rectangle((left, box[1], left + 5, box[3]), fill=colour)
    return image


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def test_pictures_become_vectors_of_length_one(encoder: ImageEfficientNet) -> None:
    result = encoder.encode([encoded(drawn("disc", "red")), encoded(drawn("bars", "blue"), "JPEG")])
    assert result.vector_ND.shape == (2, encoder.dim) == (2, 1_280)
    assert result.vector_ND.dtype == np.float32 and result.mask_N.all()
    assert np.linalg.norm(result.vector_ND, axis=1) == pytest.approx(np.ones(2), abs=1e-5)


def test_a_picture_has_one_vector_alone_and_in_any_company(encoder: ImageEfficientNet) -> None:
    pictures = [
        encoded(drawn(shape, colour)) for shape in ("disc", "bars") for colour in ("red", "navy")
    ]
    together = encoder.encode(pictures).vector_ND
    assert np.array_equal(together, encoder.encode(pictures).vector_ND)
    alone = np.concatenate([encoder.encode([picture]).vector_ND for picture in pictures])
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_file_is_read_like_its_bytes(encoder: ImageEfficientNet, tmp_path: Path) -> None:
    content = encoded(drawn("disc", "red"))
    (tmp_path / "disc.png").write_bytes(content)
    by_name = encoder.encode([content, tmp_path / "disc.png", str(tmp_path / "disc.png")])
    assert by_name.mask_N.all()
    assert (by_name.vector_ND == by_name.vector_ND[0]).all()


def test_the_same_shape_in_another_size_and_format_is_closer_than_another_shape(
    encoder: ImageEfficientNet,
) -> None:
    disc, large, bars = encoder.encode(
        [
            encoded(drawn("disc", "red")),
            encoded(drawn("disc", "red", (600, 800)), "JPEG"),
            encoded(drawn("bars", "red")),
        ]
    ).vector_ND
    assert disc @ large > 0.9 > disc @ bars + 0.1


def test_what_cannot_be_read_is_masked_with_the_reason(
    encoder: ImageEfficientNet, tmp_path: Path
) -> None:
    whole = encoded(drawn("disc", "red"), "JPEG")
    bomb = encoded(Image.new("1", (8_000, 8_000)))
    values = [None, whole[:700], tmp_path / "none.jpg", b"text", b"", bomb, tmp_path, whole]
    result = encoder.encode(values)
    assert result.mask_N.tolist() == [False] * 7 + [True]
    assert sorted(result.problems) == [1, 2, 3, 4, 5, 6]
    assert "truncated" in result.problems[1]
    assert result.problems[2] == f"there is no file {tmp_path / 'none.jpg'}"
    assert all(problem.count("\n") == 0 for problem in result.problems.values())
    assert not result.vector_ND[:7].any()


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF"])
def test_a_picture_that_would_unfold_too_far_is_not_decoded(form: str) -> None:
    whole = encoded(Image.new("L", (4_200, 4_200)), form)
    with pytest.raises(ValueError, match="4200 x 4200 pixels, of a"):
        read_picture(whole[: len(whole) if form == "WEBP" else 200])  # the header is enough


def test_a_large_photo_is_decoded_at_a_fraction_of_its_size() -> None:
    assert read_picture(encoded(Image.new("RGB", (6_000, 4_000)), "JPEG")).shape == (3, 224, 224)


@pytest.mark.parametrize("form", ["TIFF", "BMP", "ICO", "EPS", "PDF", "PPM", "TGA"])
def test_formats_that_are_not_named_are_not_opened(form: str) -> None:
    with pytest.raises(ValueError, match="not a picture that can be read"):
        read_picture(encoded(drawn("disc", "red"), form))


def middle(picture_3HW: NDArray[np.float32]) -> list[float]:
    return [float(channel[112, 112]) for channel in picture_3HW]


def test_a_picture_is_seen_whole_on_white() -> None:
    wide = Image.new("RGB", (200, 50), "black")
    picture_3HW = read_picture(encoded(wide))
    assert picture_3HW.shape == (3, 224, 224)
    assert middle(picture_3HW) == [-1, -1, -1]
    assert (picture_3HW[:, 0] == 1).all() and (picture_3HW[:, -1] == 1).all()
    assert (picture_3HW[:, 112, [0, -1]] == -1).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), [1, 1, 1]),  # nothing on white
        (Image.new("L", (8, 8), 255), [1, 1, 1]),
        (Image.new("P", (8, 8)), [-1, -1, -1]),
        (Image.new("I;16", (8, 8), 0), [-1, -1, -1]),
        (Image.new("I;16", (8, 8), 65_535), [1, 1, 1]),
        (Image.new("RGB", (1, 1), (255, 0, 0)), [1, -1, -1]),
    ],
)
def test_every_kind_of_picture_becomes_three_colours(
    image: Image.Image, expected: list[float]
) -> None:
    assert middle(read_picture(encoded(image))) == expected


def test_a_picture_is_turned_as_its_camera_was() -> None:
    image = Image.new("RGB", (100, 100), "white")
    image.paste("black", (0, 0, 50, 100))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: what was left is on top
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    picture_3HW = read_picture(file.getvalue())
    assert (picture_3HW[0, 10] == -1).all() and (picture_3HW[0, -10] == 1).all()


def test_65536_shades_of_grey_are_scaled_to_256() -> None:
    shades_HW = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(1, 256).repeat(256, axis=0)
    picture_3HW = read_picture(encoded(Image.fromarray(shades_HW)))
    left_to_right = picture_3HW[0, 112]
    assert left_to_right[[0, -1]] == pytest.approx([-1, 1], abs=0.02)
    assert np.diff(left_to_right).min() >= -0.005 and abs(left_to_right.mean()) < 0.01


BROKEN_EXIF = {
    "a text where a number belongs": (531, 2, 4, b"abc\0"),
    "more than there is": (271, 2, 1_000_000, b"\0\0\0\0"),
    "an unknown type": (532, 77, 1, b"\0\0\0\0"),
}


@pytest.mark.parametrize("field", BROKEN_EXIF.values(), ids=BROKEN_EXIF.keys())
def test_only_the_orientation_is_read_of_what_a_camera_wrote(
    field: tuple[int, int, int, bytes],
) -> None:
    image = Image.new("L", (100, 100), 255)
    image.paste(0, (0, 0, 100, 50))
    tag, kind, count, value = field
    entries = [(0x0112, 3, 1, (3).to_bytes(2, "little") + b"\0\0"), (tag, kind, count, value)]
    directory = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + directory + bytes(4)
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    picture_3HW = read_picture(file.getvalue())
    assert picture_3HW[0, 20, 112] > 0.9 and picture_3HW[0, -20, 112] < -0.9


@pytest.fixture(scope="module")
def photos() -> dict[str, list[bytes]]:
    """A few photos of each of `TYPES`."""
    if not FASHION:
        pytest.skip(NO_DATA)
    found: dict[str, list[bytes]] = defaultdict(list)
    table = pq.read_table(FASHION / "products.parquet", columns=["articleType", "image_jpeg"])
    for row in table.slice(0, 2_000).to_pylist():
        if row["articleType"] in TYPES and len(found[row["articleType"]]) < 5:
            found[row["articleType"]].append(row["image_jpeg"])
    return found


def test_photos_of_one_type_are_closer_than_of_two(
    encoder: ImageEfficientNet, photos: dict[str, list[bytes]]
) -> None:
    names = [name for name in TYPES for _ in photos[name]]
    vector_ND = encoder.encode([photo for name in TYPES for photo in photos[name]]).vector_ND
    cosine_NN = vector_ND @ vector_ND.T
    same_NN = np.equal.outer(names, names)
    other_NN = ~np.eye(len(names), dtype=np.bool_)
    assert cosine_NN[same_NN & other_NN].mean() > cosine_NN[~same_NN].mean() + 0.2
    nearest_N = np.where(other_NN, cosine_NN, -1).argmax(axis=1)
    assert np.mean([names[row] == names[at] for row, at in enumerate(nearest_N)]) > 0.8


def test_the_network_recognises_sunglasses(
    encoder: ImageEfficientNet, photos: dict[str, list[bytes]]
) -> None:
    pictures = torch.from_numpy(np.stack([read_picture(one) for one in photos["Sunglasses"]]))
    classes = encoder.network(pictures).argmax(dim=1).tolist()
    assert sum(one in SUNGLASSES for one in classes) >= 4, classes
