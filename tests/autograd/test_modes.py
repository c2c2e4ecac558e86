"""Recording or not, and the hunt for NaN."""

from __future__ import annotations

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
