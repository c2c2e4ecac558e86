"""Counted random numbers: known answers, the kernel against the reference, and what dropout does with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidl.backend.devices import cupy
from minidl.kernels import reference
from minidl.kernels.gpu import dropout
from minidl.kernels.gpu.launcher import Kernel
from minidl.kernels.reference.dropout import random_words
from tests.kernels.gpu.harness import Fault, few_blocks

ONES = 2**64 - 1
#: Random123's own test vectors (``kat_vectors``, philox4x32 with 10 rounds): key, lower and upper counter, words.
KNOWN = [
    (0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (ONES, ONES, ONES, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (0x299F31D0A4093822, 0x85A308D3243F6A88, 0x0370734413198A2E, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words_of(xp: Any, counters: int, seed: int, offset: int, stream: int = 0) -> list[int]:
    words = xp.empty(4 * counters, "u4")
    Kernel("dropout.cu", "random_words")(2, 64, words, counters, seed, offset, stream)
    return words.get().tolist()


@pytest.mark.parametrize(("seed", "offset", "stream", "words"), KNOWN)
def test_known_answers(xp: Any, seed: int, offset: int, stream: int, words: str) -> None:
    known = [int(word, 16) for word in words.split()]
    assert words_of(xp, 1, seed, offset, stream) == known
    assert random_words(np, 1, seed, offset, stream).tolist() == known
    assert random_words(xp, 1, seed, offset, stream).get().tolist() == known


@pytest.mark.parametrize("offset", [0, 5, 2**32 - 3, 2**63])
def test_words(xp: Any, offset: int) -> None:
    seed = 0xFEDCBA9876543210
    assert words_of(xp, 300, seed, offset) == random_words(np, 300, seed, offset).tolist()


def test_words_do_not_depend_on_where_one_starts(xp: Any) -> None:
    assert words_of(xp, 5, 1, 10)[8:] == words_of(xp, 3, 1, 12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (5, 7), (300, 5), (0, 3)])
@pytest.mark.parametrize("p", [0.0, 0.25, 0.999])
def test_dropout(xp: Any, shape: Any, dtype: str, p: float) -> None:
    x = np.random.default_rng(0).standard_normal(shape[::-1]).astype(dtype).T
    found = dropout.dropout(xp.asarray(x), p, 3, 17)
    wanted = reference.dropout(np.asarray(x), p, 3, 17)
    np.testing.assert_allclose(found.get(), wanted, rtol=1e-6)
    assert found.dtype == wanted.dtype


def test_nan_and_inf_that_are_dropped(xp: Any) -> None:
    x = np.full(64, np.inf, "f4")
    x[::2] = np.nan
    with np.errstate(invalid="ignore"):
        wanted = reference.dropout(x, 0.5, 0, 0)
    np.testing.assert_array_equal(dropout.dropout(xp.asarray(x), 0.5, 0, 0).get(), wanted)


def check_words() -> None:
    with few_blocks():
        assert words_of(cupy(), 700, 2**33 + 1, 5, 7) == random_words(np, 700, 2**33 + 1, 5, 7).tolist()


def check_dropped() -> None:
    x = np.random.default_rng(0).standard_normal(2051)
    with few_blocks():
        np.testing.assert_allclose(dropout.dropout(cupy().asarray(x), 0.5, 1, 9).get(), reference.dropout(x, 0.5, 1, 9))


FAULTS = [
    Fault(f"dropout.cu:{kernel}", old, new, check)
    for kernel, check, changes in (
        (
            "random_words",
            check_words,
            [
                ("i < counters", "i <= counters"),
                ("offset + i", "offset"),
                ("k < 4", "k < 3"),
                ("stream, seed", "0, seed"),
            ],
        ),
        (
            "dropout",
            check_dropped,
            [
                ("4 * i < size", "4 * i + 3 < size"),
                ("at < size", "at <= size"),
                ("found.of[k] < threshold", "found.of[0] < threshold"),
                ("(REAL)0 : scale", "(REAL)0 : (REAL)1"),
                ("offset + i", "offset"),
            ],
        ),
    )
    for old, new in changes
]
