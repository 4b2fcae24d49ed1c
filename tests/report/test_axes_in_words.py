"""Claim: axes are called in words on terminals and pages, hidden units with what they belong to."""

import pytest

from weightkin.anatomy import Axis
from weightkin.report.showing import axis_kinds, axis_lines
from weightkin.report.terminal import axis_words


def axis(name, kind):
    return Axis(name=name, kind=kind, stack="decoder", block=0, n_units=8, group="S_8", labels="",
                places=())  # fmt: skip


def test_axes_of_a_model_are_listed_by_kind_in_words():
    plain = [axis("mlp", "units"), axis("vo", "vo"), axis("residual", "residual")]
    assert axis_kinds(plain) == "hidden units (mlp), V/O dimensions, residual width"
    several = [axis(f"mlp.{k}", "units") for k in range(8)] + [axis("heads", "heads")] * 2
    assert axis_kinds(several) == (
        "hidden units (mlp.0, mlp.1, mlp.2, mlp.3, mlp.4, 3 more), heads"
    )
    assert axis_kinds([axis("units", "units")]) == "hidden units"
    lines = "\n".join(axis_lines(plain))
    assert "hidden units (mlp)" in lines
    assert "V/O dimensions" in lines


@pytest.mark.parametrize(
    ("name", "words"),
    [("mlp.3", "hidden units (mlp.3)"), ("vo", "V/O dimensions"), ("conv", "conv")],
)
def test_an_axis_of_a_test_is_called_in_words(name, words):
    assert axis_words(name) == words
