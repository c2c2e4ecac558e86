"""On how many threads kernels run: what sets it, and into how many parts that cuts work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import minidl
from minidl.errors import ArgumentError
from minidl.kernels.cpu import threads


@pytest.fixture(autouse=True)
def _count() -> Iterator[None]:
    before = minidl.get_num_threads()
    yield
    minidl.set_num_threads(before)


def test_parts_for() -> None:
    minidl.set_num_threads(4)
    assert [threads.parts_for(work, 10) for work in (0, 9, 19, 20, 35, 1e9)] == [1, 1, 1, 2, 3, 4]
    assert [threads.parts_for(work, 10, each=2) for work in (19, 65, 1e9)] == [1, 6, 8]
    minidl.set_num_threads(1)
    assert threads.parts_for(1e9, 10, each=4) == 1


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True, None])
def test_a_wrong_count_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"set_num_threads: expected an integer from 1 up"):
        minidl.set_num_threads(wrong)


@pytest.mark.parametrize(("text", "count"), [("3", 3), (" 2 ", 2), ("", None)])
def test_the_environment_sets_the_count(monkeypatch: pytest.MonkeyPatch, text: str, count: int | None) -> None:
    monkeypatch.setenv("MINIDL_NUM_THREADS", text)
    monkeypatch.setattr(threads, "_count", 0)
    assert minidl.get_num_threads() == (count or threads._default_count())


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5"])
def test_a_wrong_environment_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MINIDL_NUM_THREADS", text)
    monkeypatch.setattr(threads, "_count", 0)
    with pytest.raises(ArgumentError, match=r"MINIDL_NUM_THREADS: expected an integer from 1 up"):
        minidl.get_num_threads()
    monkeypatch.undo()
