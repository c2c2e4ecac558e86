"""Recording or not, and the hunt for NaN."""

from __future__ import annotations

from typing import Any

import pytest

import minidl
from minidl.errors import GradError


def test_no_grad_and_enable_grad_nest() -> None:
    x = minidl.ones(2, requires_grad=True)
    with minidl.no_grad():
        assert not (x * 2).requires_grad
        with minidl.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), minidl.no_grad():
        raise KeyError
    assert minidl.is_grad_enabled()


def test_no_grad_decorates() -> None:
    @minidl.no_grad()
    def double(x: minidl.Tensor) -> minidl.Tensor:
        """Twice."""
        return x * 2

    assert not double(minidl.ones(2, requires_grad=True)).requires_grad
    assert minidl.is_grad_enabled()
    assert double.__doc__ == "Twice."


def test_no_grad_decorates_without_parentheses() -> None:
    @minidl.no_grad
    def look(value: int) -> tuple[int, bool]:
        """Say so."""
        return value, minidl.is_grad_enabled()

    assert look(3) == (3, False)
    assert look.__doc__ == "Say so."
    assert minidl.is_grad_enabled()


@pytest.mark.parametrize("mode", [minidl.no_grad, lambda: minidl.set_grad_enabled(False)])
def test_a_decorated_generator_has_the_mode_in_its_body_only(mode: Any) -> None:
    closed = []

    @mode()
    def batches() -> Any:
        try:
            assert not minidl.is_grad_enabled()
            answer = yield 1
            assert not minidl.is_grad_enabled()
            yield answer
            return "end"
        finally:
            closed.append(minidl.is_grad_enabled())

    generator = batches()
    assert next(generator) == 1
    assert minidl.is_grad_enabled()
    assert generator.send(7) == 7
    with pytest.raises(StopIteration, match="end"):
        next(generator)
    assert list(batches()) == [1, None]
    next(batches())  # and never again
    assert closed == [False] * 3
    assert minidl.is_grad_enabled()


def test_set_grad_enabled_acts_at_once() -> None:
    minidl.set_grad_enabled(False)
    assert not minidl.is_grad_enabled()
    minidl.set_grad_enabled(True)
    assert minidl.is_grad_enabled()
    with minidl.set_grad_enabled(False):
        assert not minidl.is_grad_enabled()
    assert minidl.is_grad_enabled()


def test_set_grad_enabled_decorates() -> None:
    @minidl.set_grad_enabled(False)
    def double(x: minidl.Tensor) -> minidl.Tensor:
        return x * 2

    assert minidl.is_grad_enabled()
    assert not double(minidl.ones(2, requires_grad=True)).requires_grad
    assert minidl.is_grad_enabled()


def test_an_inference_tensor_cannot_enter_a_graph() -> None:
    x = minidl.ones(2, requires_grad=True)
    with minidl.inference_mode():
        y = minidl.ones(2) * 2
    assert y.is_inference()
    assert not y.requires_grad
    with pytest.raises(GradError, match=r"made in inference mode cannot be saved.*clone\(\)"):
        x * y
    (x * y.clone()).sum().backward()
    assert x.grad.tolist() == [2, 2]
    with pytest.raises(GradError, match="inference mode"):
        y.requires_grad = True


def test_detect_anomaly_names_the_forward_line() -> None:
    x = minidl.tensor([-1.0], requires_grad=True)
    with (
        minidl.detect_anomaly(),
        pytest.raises(
            GradError, match=r"(?s)log: the first NaN appears in its result.*test_modes\.py.*minidl\.log\(x\)"
        ),
    ):
        minidl.log(x)


def test_detect_anomaly_names_the_operation_whose_gradient_is_nan() -> None:
    x = minidl.tensor([0.0], requires_grad=True)
    with minidl.detect_anomaly():
        y = minidl.sqrt(x) * 0.0  # the gradient is 0 * inf
        with pytest.raises(GradError, match=r"(?s)sqrt: the first NaN appears in the gradient.*minidl\.sqrt\(x\)"):
            y.sum().backward()


def test_detect_anomaly_lets_old_nans_pass() -> None:
    x = minidl.tensor([float("nan"), 1.0])
    with minidl.detect_anomaly():
        assert (x * 2)[1].item() == 2


def test_detect_anomaly_names_the_line_of_a_stale_save() -> None:
    x = minidl.tensor([1.0], requires_grad=True)
    with minidl.detect_anomaly():
        y = x * 1
        z = y * y
        with minidl.no_grad():
            y += 1
        with pytest.raises(GradError, match=r"(?s)modified in place.*z = y \* y"):
            z.sum().backward()
