"""Pictures as a network wants them."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minidl.errors import ArgumentError, DataError, DTypeError, MiniDLError, ShapeError
from minidl.serve import preprocess_image
from minidl.serve.images import fitted, from_base64, open_picture
from tests.serve.live import png


def digit() -> np.ndarray:
    """Return an upright stroke, light on dark."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 12:16] = 255
    return pixels


@pytest.mark.parametrize(
    "kind", ["array", "floats", "flags", "png", "jpeg", "path", "rgb", "rgba", "1HW", "HW1", "sixteen"]
)
def test_a_picture_comes_out_the_same_whatever_it_came_as(kind: str, tmp_path: Path) -> None:
    pixels = digit()
    path = tmp_path / "digit.png"
    path.write_bytes(png(pixels))
    rgba = np.dstack([pixels, pixels, pixels, np.full_like(pixels, 255)])
    given: Any = {
        "array": pixels,
        "floats": pixels / 255,
        "flags": pixels > 0,
        "png": Image.open(io.BytesIO(png(pixels))),
        "jpeg": Image.open(io.BytesIO(png(pixels, "JPEG"))),
        "path": path,
        "rgb": rgba[:, :, :3],
        "rgba": rgba,
        "1HW": pixels[None],
        "HW1": pixels[:, :, None],
        "sixteen": Image.fromarray(pixels.astype(np.uint16) * 257),
    }[kind]
    image = preprocess_image(given)
    assert json.loads(json.dumps(image)) == image  # what a client sends
    np.testing.assert_allclose(image, pixels / 255, atol=0.1 if kind == "jpeg" else 1e-4)


def test_ink_on_paper_becomes_light_on_dark() -> None:
    paper = 255 - digit()
    np.testing.assert_allclose(preprocess_image(paper), digit() / 255, atol=1e-4)
    np.testing.assert_allclose(preprocess_image(paper, invert=False), paper / 255, atol=1e-4)
    np.testing.assert_allclose(preprocess_image(digit(), invert=True), paper / 255, atol=1e-4)


def test_what_is_transparent_is_paper() -> None:
    ink = np.zeros((28, 28, 4), np.uint8)  # black everywhere, seen only where it is opaque
    ink[:, :, 3] = digit()
    np.testing.assert_allclose(preprocess_image(Image.fromarray(ink)), digit() / 255, atol=1e-4)


def test_proportions_are_kept_on_a_field_of_the_background() -> None:
    wide = np.full((20, 80), 200, np.uint8)
    wide[8:12, 36:44] = 0
    image = np.array(preprocess_image(wide, (40, 40)))
    assert image.shape == (40, 40)
    np.testing.assert_allclose(image[:15], 1 - 200 / 255, atol=1e-3)
    rows, columns = np.nonzero(image > 0.6)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (19, 20, 18, 21)


def test_colours_and_sizes() -> None:
    red = np.zeros((60, 60, 3), np.uint8)
    red[..., 0] = 255
    image = np.array(preprocess_image(red, (30, 40), channels=3))
    assert image.shape == (30, 40, 3)
    np.testing.assert_array_equal(image[15, 20], [1, 0, 0])
    grey = np.array(preprocess_image(red, (2, 2)))
    np.testing.assert_allclose(grey, 0.299, atol=0.01)


def test_a_photograph_is_turned_upright() -> None:
    lying = Image.fromarray(np.rot90(digit()).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    buffer = io.BytesIO()
    lying.save(buffer, "PNG", exif=exif)
    upright = np.array(preprocess_image(Image.open(io.BytesIO(buffer.getvalue()))))
    np.testing.assert_allclose(upright, digit() / 255, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "arguments", "error", "message"),
    [
        (np.zeros((2, 28, 28)), {}, ShapeError, r"got \(2, 28, 28\); give one image at a time"),
        (np.zeros(784), {}, ShapeError, r"expected an image \(H, W\)"),
        (np.zeros((0, 5)), {}, ShapeError, r"got \(0, 5\)"),
        (np.full((3, 3), 200.0), {}, ArgumentError, r"floats from 0 to 1, got 200 to 200; divide by 255"),
        (np.full((3, 3), -1), {}, ArgumentError, r"integers from 0 to 255, got -1"),
        (np.full((3, 3), np.nan), {}, ArgumentError, r"floats from 0 to 1, got nan"),
        (np.array([["a", "b"]]), {}, DTypeError, r"expected numbers, got an array of <U1"),
        (np.zeros((3, 3)), {"size": (0, 3)}, ArgumentError, r"size: expected \(height, width\)"),
        (np.zeros((3, 3)), {"channels": 2}, ArgumentError, r"channels: expected 1 or 3, got 2"),
        (np.zeros((3, 3)), {"invert": "yes"}, ArgumentError, r"invert: expected 'auto', True or False"),
    ],
)
def test_what_is_no_picture(given: Any, arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        preprocess_image(given, **arguments)


def header_only(width: int, height: int) -> bytes:
    """Return a PNG that says it is large and has next to nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">II5B", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


@pytest.mark.parametrize("size", [(5000, 5000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match="too large"):
        open_picture(header_only(*size))


@pytest.mark.parametrize("cut", [0, 5, 20, 40, 60])
def test_damaged_files(cut: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    with pytest.raises(DataError):
        fitted(open_picture(png(noise)[:cut]), 28, 28, 1)


def test_files_damaged_anywhere_are_data_errors_and_nothing_else(rng: np.random.Generator) -> None:
    for kind in ("PNG", "JPEG"):
        whole = png(rng.integers(0, 256, (40, 40, 3), np.uint8), kind)
        for _ in range(150):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), 4):
                damaged[place] = rng.integers(256)
            try:
                pixels = fitted(open_picture(bytes(damaged)), 28, 28, 1)
            except MiniDLError:
                continue
            assert pixels.shape == (28, 28, 1)


def test_other_formats_are_not_even_tried() -> None:
    for kind in ("GIF", "BMP", "TIFF"):
        with pytest.raises(DataError, match="neither PNG nor JPEG"):
            open_picture(png(digit(), kind))


def test_base64() -> None:
    data = png(digit())
    text = base64.b64encode(data).decode()
    assert from_base64(text) == from_base64(f"data:image/png;base64,{text}") == data
    for bad in ("not base64!", text[:-1] + "é", "abc"):
        with pytest.raises(DataError, match="not base64"):
            from_base64(bad)
