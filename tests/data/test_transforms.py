"""Transforms of images, held to PyTorch's interpolation and torchvision's conventions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minidl
from minidl.data import DataLoader, Dataset
from minidl.data.transforms import (
    CenterCrop,
    Compose,
    InterpolationMode,
    Lambda,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    Resize,
    ToTensor,
    Transform,
)
from minidl.errors import ArgumentError, DTypeError, ShapeError

GEOMETRIC = [
    Resize((5, 9)),
    Resize((5, 9), "nearest"),
    CenterCrop((4, 6)),
    Pad(2),
    RandomCrop(5, padding=1),
    RandomHorizontalFlip(),
    RandomRotation(30),
    RandomRotation(30, "bilinear"),
]


@pytest.fixture
def image(rng):
    return rng.random((3, 7, 8)).astype(np.float32)


@pytest.mark.parametrize("transform", [*GEOMETRIC, Normalize([0.1, 0.2, 0.3], 0.5)], ids=repr)
def test_arrays_and_tensors_and_batches_alike(transform, image):
    minidl.manual_seed(4)
    array = transform(image)
    minidl.manual_seed(4)
    tensor = transform(minidl.tensor(image))
    assert isinstance(array, np.ndarray)
    assert isinstance(tensor, minidl.Tensor)
    assert array.dtype == tensor.dtype == np.float32
    np.testing.assert_array_equal(array, tensor.numpy(force=True))
    minidl.manual_seed(4)
    batch = transform(np.stack([image, 2 * image]))  # (2, 3, 7, 8): all images alike
    np.testing.assert_array_equal(batch[0], array)
    assert batch.shape == (2, *array.shape)
    minidl.manual_seed(4)
    np.testing.assert_array_equal(transform(np.asfortranarray(image)), array)


@pytest.mark.parametrize("transform", GEOMETRIC, ids=repr)
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float64", "int64"])
def test_dtypes_are_kept_and_the_input_is_not_changed(transform, dtype, rng):
    image = rng.integers(0, 256, (1, 7, 8)).astype(dtype)
    before = image.copy()
    out = transform(image)
    assert out.dtype == dtype
    assert out.min() >= 0
    assert out.max() <= 255
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("transform", [t for t in GEOMETRIC if type(t).__name__.startswith("Random")], ids=repr)
def test_random_transforms_follow_the_seed_and_vary(transform, image):
    def draw():
        return [transform(image).tobytes() for _ in range(20)]

    minidl.manual_seed(1)
    first = draw()
    second = draw()
    minidl.manual_seed(1)
    assert draw() == first
    assert first != second
    assert len(set(first)) > 1


@pytest.mark.parametrize("num_workers", [0, 3])
def test_in_a_loader_they_do_not_depend_on_the_workers(num_workers, image):
    class Images(Dataset):
        transform = Compose([RandomCrop(5, padding=2), RandomHorizontalFlip(), RandomRotation(20)])

        def __len__(self):
            return 8

        def __getitem__(self, index):
            return self.transform(image)

    minidl.manual_seed(2)
    expected = [batch.array for batch in DataLoader(Images(), 2)]
    minidl.manual_seed(2)
    found = [batch.array for batch in DataLoader(Images(), 2, num_workers=num_workers)]
    np.testing.assert_array_equal(found, expected)


# ---------------------------------------------------------------------- ToTensor, Normalize, Compose, Lambda


def test_to_tensor(rng):
    gray = rng.integers(0, 256, (4, 5)).astype(np.uint8)
    out = ToTensor()(gray)
    assert isinstance(out, minidl.Tensor)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out.numpy(force=True), gray[None].astype(np.float32) / np.float32(255))
    color = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
    out = ToTensor()(color)
    assert out.shape == (3, 4, 5)
    assert out.array.flags.c_contiguous
    np.testing.assert_array_equal(out.numpy(force=True)[2], color[:, :, 2].astype(np.float32) / np.float32(255))


def test_to_tensor_scales_only_uint8():
    for dtype in ("float32", "int64", "bool"):
        array = np.array([[0, 1]], dtype)
        out = ToTensor()(array)
        assert out.dtype == dtype
        np.testing.assert_array_equal(out.numpy(force=True), array[None])
        assert not np.shares_memory(out.array, array)


def test_to_tensor_takes_a_tensor_as_channels_first():
    raw = minidl.tensor(np.full((3, 4, 5), 255, np.uint8))
    out = ToTensor()(raw)
    assert out.shape == (3, 4, 5)
    assert (out.numpy() == 1).all()
    assert ToTensor()(out).array is out.array


def test_to_tensor_takes_pictures():
    image_module = pytest.importorskip("PIL.Image")
    picture = image_module.new("RGB", (5, 4), (255, 0, 51))  # PIL's sizes are (W, H)
    out = ToTensor()(picture)
    assert out.shape == (3, 4, 5)
    np.testing.assert_allclose(out.numpy(force=True)[:, 0, 0], [1, 0, 0.2])


def test_to_tensor_errors():
    with pytest.raises(ShapeError, match=r"one picture .* got shape \(1, 2, 3, 4\)"):
        ToTensor()(np.zeros((1, 2, 3, 4)))
    with pytest.raises(DTypeError, match="got list"):
        ToTensor()([[1, 2]])
    with pytest.raises(DTypeError, match="expected numbers, got an array of <U1"):
        ToTensor()(np.array([["a"]]))


def test_normalize(image):
    out = Normalize((0.1, 0.2, 0.3), (1, 2, 4))(image)
    for c, (mean, std) in enumerate([(0.1, 1), (0.2, 2), (0.3, 4)]):
        np.testing.assert_allclose(out[c], (image[c] - mean) / std, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(Normalize(0.5, 0.5)(image), Normalize([0.5] * 3, [0.5] * 3)(image))
    assert repr(Normalize(0.5, 2)) == "Normalize(mean=[0.5], std=[2.0])"


def test_normalize_errors(image):
    with pytest.raises(ShapeError, match="mean has 2 values for an image of 3 channels"):
        Normalize([0, 0], [1, 1])(image)
    with pytest.raises(ShapeError, match="std has 2 values for an image of 3 channels"):
        Normalize(0, [1, 1])(image)
    with pytest.raises(ArgumentError, match="std must not be 0"):
        Normalize([0.5], [0])
    with pytest.raises(DTypeError, match=r"expected floats, got uint8; put ToTensor\(\) before it"):
        Normalize(0.5, 0.5)(np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(ShapeError, match=r"expected an image \(C, H, W\)"):
        Normalize(0.5, 0.5)(np.zeros((2, 2)))


def test_compose_and_lambda():
    pipeline = Compose([Lambda(lambda x: x + 1), Lambda(lambda x: x * 2)])
    assert pipeline(3) == 8
    assert repr(Compose([ToTensor(), Pad(1)])) == (
        "Compose([ToTensor(), Pad(padding=(1, 1, 1, 1), fill=0, padding_mode='constant')])"
    )
    assert repr(Lambda(len)) == "Lambda(len)"
    with pytest.raises(DTypeError, match="Compose: expected transforms, got 3"):
        Compose([ToTensor(), 3])
    with pytest.raises(DTypeError, match="Lambda: expected a function"):
        Lambda(3)


# ---------------------------------------------------------------------- Resize


@pytest.mark.parametrize("size", [(3, 5), (14, 16), (7, 8), (1, 1), (20, 3)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_resize_is_pytorchs(size, mode, image):
    torch = pytest.importorskip("torch")
    expected = torch.nn.functional.interpolate(torch.tensor(image)[None], size, mode=mode)[0].numpy()
    np.testing.assert_allclose(Resize(size, mode)(image), expected, atol=1e-6)


def test_resize_rounds_integers():
    assert Resize((1, 4))(np.array([[[0, 255]]], np.uint8)).tolist() == [[[0, 64, 191, 255]]]


def test_resize_to_the_shorter_side():
    assert Resize(4)(np.zeros((1, 8, 13))).shape == (1, 4, 6)
    assert Resize(4)(np.zeros((1, 13, 8))).shape == (1, 6, 4)
    assert Resize([4])(np.zeros((1, 13, 8))).shape == (1, 6, 4)
    assert Resize(4, InterpolationMode.NEAREST)(np.zeros((13, 8))).shape == (6, 4)


def test_resize_errors():
    with pytest.raises(ArgumentError, match="interpolation must be 'nearest' or 'bilinear', got 'bicubic'"):
        Resize(4, "bicubic")
    with pytest.raises(ArgumentError, match="antialias=True is not available"):
        Resize(4, antialias=True)
    for size in (0, (0, 1), (1, 2, 3), (1.5, 2)):
        with pytest.raises(ArgumentError, match="Resize: size must be"):
            Resize(size)


# ---------------------------------------------------------------------- crops, Pad, flip


def test_center_crop():
    image = np.arange(30).reshape(1, 5, 6)
    np.testing.assert_array_equal(CenterCrop((3, 2))(image), image[:, 1:4, 2:4])
    np.testing.assert_array_equal(CenterCrop((2, 3))(image), image[:, 2:4, 2:5])  # torchvision rounds 1.5 to even
    grown = CenterCrop((4, 9))(image)
    np.testing.assert_array_equal(grown[:, :, 1:7], image[:, 0:4])
    assert grown.shape == (1, 4, 9)
    assert (grown[:, :, [0, 7, 8]] == 0).all()


def test_pad():
    image = np.arange(1, 5).reshape(1, 2, 2)
    assert Pad((1, 2, 3, 4))(image).shape == (1, 8, 6)
    np.testing.assert_array_equal(Pad((1, 2, 3, 4), fill=9)(image)[:, 2:4, 1:3], image)
    assert Pad((1, 2, 3, 4), fill=9)(image).sum() == 9 * (48 - 4) + 10
    np.testing.assert_array_equal(Pad((1, 0))(image), [[[0, 1, 2, 0], [0, 3, 4, 0]]])
    np.testing.assert_array_equal(Pad((1, 0), padding_mode="reflect")(image), [[[2, 1, 2, 1], [4, 3, 4, 3]]])
    np.testing.assert_array_equal(Pad((1, 0), padding_mode="edge")(image), [[[1, 1, 2, 2], [3, 3, 4, 4]]])
    for padding in (-1, (1, 2, 3), (1, 2, 3, -4), (0.5, 1)):
        with pytest.raises(ArgumentError, match="Pad: padding must be"):
            Pad(padding)
    with pytest.raises(ArgumentError, match="padding_mode must be"):
        Pad(1, padding_mode="wrap")


def test_random_crop_reaches_every_place_and_no_other():
    image = np.arange(12).reshape(1, 3, 4)
    crop = RandomCrop((2, 3))
    found = {tuple(crop(image).ravel().tolist()) for _ in range(200)}
    assert found == {tuple(image[:, i : i + 2, j : j + 3].ravel().tolist()) for i in (0, 1) for j in (0, 1)}
    np.testing.assert_array_equal(RandomCrop((3, 4))(image), image)


def test_random_crop_pads():
    image = np.ones((1, 2, 2))
    sums = {RandomCrop(2, padding=1)(image).sum() for _ in range(200)}
    assert sums == {1, 2, 4}
    assert RandomCrop(4, pad_if_needed=True, fill=7)(image).shape == (1, 4, 4)
    with pytest.raises(ShapeError, match=r"a crop of \(3, 3\) does not fit into an image of \(2, 2\)"):
        RandomCrop(3)(image)


def test_random_flip():
    image = np.arange(6).reshape(1, 2, 3)
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(image), image[:, :, ::-1])
    np.testing.assert_array_equal(RandomHorizontalFlip(0)(image), image)
    flips = sum((RandomHorizontalFlip(0.25)(image) != image).any() for _ in range(1000))
    assert abs(flips - 250) < 100  # 7 standard deviations
    with pytest.raises(ArgumentError, match=r"p must be a probability from 0 to 1, got 1\.5"):
        RandomHorizontalFlip(1.5)


# ---------------------------------------------------------------------- RandomRotation


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, -1])
@pytest.mark.parametrize("size", [6, 7])
def test_quarter_turns_are_exact_and_counter_clockwise(mode, turns, size, rng):
    image = rng.random((2, size, size))
    out = RandomRotation((90 * turns, 90 * turns), mode)(image)
    np.testing.assert_allclose(out, np.rot90(image, turns, axes=(1, 2)), atol=1e-12)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("degrees", [13.0, -40.0, 171.0])
@pytest.mark.parametrize("center", [None, (2.0, 5.0)])
def test_rotation_is_pytorchs(mode, degrees, center, image):
    torch = pytest.importorskip("torch")
    height, width = image.shape[1:]
    cx, cy = (width / 2, height / 2) if center is None else center
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    dx, dy = cx - width / 2, cy - height / 2  # affine_grid counts from the middle, in half sizes
    theta = torch.tensor(
        [
            [cos, -sin * height / width, (dx - cos * dx + sin * dy) * 2 / width],
            [sin * width / height, cos, (dy - sin * dx - cos * dy) * 2 / height],
        ],
        dtype=torch.float64,
    )
    grid = torch.nn.functional.affine_grid(theta[None], (1, *image.shape), align_corners=False)
    source = torch.tensor(image, dtype=torch.float64)[None]
    expected = torch.nn.functional.grid_sample(source, grid, mode=mode, align_corners=False)[0].numpy()
    out = RandomRotation((degrees, degrees), mode, center=center)(image)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_rotation_fills_what_comes_from_outside():
    out = RandomRotation((45, 45), fill=5)(np.ones((1, 8, 8)))
    assert (out[0, [0, 0, -1, -1], [0, -1, 0, -1]] == 5).all()
    assert (out[0, 2:6, 2:6] == 1).all()


def test_rotation_angles_stay_in_the_range(monkeypatch):
    angles = []
    monkeypatch.setattr("minidl.data.transforms._rotate", lambda image, degrees, *rest: angles.append(degrees) or image)
    for _ in range(200):
        RandomRotation(10)(np.ones((1, 2, 2)))
    assert -10 <= min(angles) < -5
    assert 5 < max(angles) <= 10


def test_rotation_errors():
    with pytest.raises(ArgumentError, match="must not be negative, got -5"):
        RandomRotation(-5)
    for degrees in ((10, -10), (1, 2, 3)):
        with pytest.raises(ArgumentError, match=r"one number or \(lowest, highest\)"):
            RandomRotation(degrees)
    with pytest.raises(ArgumentError, match="interpolation must be"):
        RandomRotation(5, "cubic")


# ---------------------------------------------------------------------- what is no image


@pytest.mark.parametrize("transform", GEOMETRIC, ids=repr)
def test_what_is_no_image(transform):
    name = type(transform).__name__
    with pytest.raises(DTypeError, match=rf"{name}: expected a NumPy array or a Tensor .* got list"):
        transform([[1]])
    with pytest.raises(ShapeError, match=rf"{name}: expected an image .* got shape \(3,\)"):
        transform(np.zeros(3))
    with pytest.raises(ShapeError, match=r"got shape \(1, 0, 3\)"):
        transform(np.zeros((1, 0, 3)))


def test_an_image_on_a_gpu_comes_back_there(gpus):
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    for transform in (Pad(1), ToTensor(), Compose([ToTensor(), Normalize(0.5, 0.5)])):
        out = transform(minidl.tensor(image, device="gpu:1"))
        assert out.device == "gpu:1"
        np.testing.assert_array_equal(out.numpy(), transform(minidl.from_numpy(image)).numpy())


def test_the_base_says_what_is_missing():
    with pytest.raises(DTypeError, match="must define apply"):
        Transform()(np.zeros((1, 1, 1)))
