"""The digits: the subset that is bundled, and the full set where it is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minidl.errors import DataError, FormatError
from minidl.keras.datasets import mnist


def test_the_bundled_subset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))  # there, but without MNIST
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    assert x_train.shape == (8000, 28, 28)
    assert x_test.shape == (2000, 28, 28)
    assert y_train.shape == (8000,)
    assert y_test.shape == (2000,)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert x_train.max() == 255
    assert sorted(set(y_test)) == list(range(10))


def small(folder: Path, name: str = "mnist.npz", **change: np.ndarray) -> Path:
    arrays = {f"{a}_{b}": np.full(n, i, "u1") for i, (b, n) in enumerate((("train", 3), ("test", 2))) for a in "y"}
    arrays |= {"x_train": np.ones((3, 28, 28), "u1"), "x_test": np.ones((2, 28, 28), "u1")} | change
    np.savez(folder / name, **arrays)
    return folder / name


def test_keras_s_own_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = small(tmp_path)
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    for path in (file, tmp_path):
        (x_train, _), (_, y_test) = mnist.load_data(path)
        assert x_train.shape == (3, 28, 28)
        assert y_test.tolist() == [1, 1]
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    assert mnist.load_data()[0][0].shape == (3, 28, 28)


def test_files_that_are_damaged_or_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    with pytest.raises(DataError, match=r"there is no mnist.npz and no file of MNIST at nowhere.npz"):
        mnist.load_data("nowhere.npz")
    whole = small(tmp_path).read_bytes()
    for content in (b"", b"x" * 100, whole[: len(whole) // 2]):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(FormatError, match=r"bad\.npz is not Keras's mnist\.npz, or is damaged"):
            mnist.load_data(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(FormatError, match=r"is not Keras's mnist\.npz"):
        mnist.load_data(tmp_path / "other.npz")
    with pytest.raises(FormatError, match=r"holds images \(3, 27, 28\) with labels \(3,\), not \(N, 28, 28\)"):
        mnist.load_data(small(tmp_path, "odd.npz", x_train=np.ones((3, 27, 28), "u1")))
