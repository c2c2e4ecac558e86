"""What is compiled ahead of a class: the steps of optimizers too, which a short training leaves to NumPy."""

from __future__ import annotations

import pytest

pytest.importorskip("numba")

import minidl
from minidl.examples import warm_up
from minidl.kernels.cpu import losses, normalization, optimizers


def test_every_rule_of_an_optimizer_is_compiled() -> None:
    with minidl.device("cpu"):
        warm_up.step_optimizers()
    rules = [rule for name, rule in vars(optimizers).items() if name.endswith("_share")]
    assert len(rules) >= 4
    assert all(rule.signatures for rule in rules)


def test_normalisation_is_compiled_for_both_layouts() -> None:
    with minidl.device("cpu"):
        warm_up.normalize()
    shares = [x for file in (normalization, losses) for x in vars(file).values() if hasattr(x, "signatures")]
    names = {share.__name__ for share in shares if share.signatures}
    assert names >= {"norm_planes", "grad_planes", "sum_rows", "norm_rows", "sum_grad_rows", "grad_rows"}
    assert names >= {"norm_lines", "grad_lines", "rows_share"}
