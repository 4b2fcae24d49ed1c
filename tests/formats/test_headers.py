"""Claim: what wrappers of modules put into names goes, unless two tensors would then be one."""

import pytest

from weightkin.formats.headers import plain_names


@pytest.mark.parametrize(
    ("stored", "plain"),
    [
        (["_orig_mod.a.w", "_orig_mod.b"], ["a.w", "b"]),
        (["module.a.w", "module.b"], ["a.w", "b"]),
        (["_orig_mod.module.a", "_orig_mod.module.b"], ["a", "b"]),
        (["a.0._fsdp_wrapped_module.x", "_fsdp_wrapped_module.b"], ["a.0.x", "b"]),
        (["a._checkpoint_wrapped_module._orig_mod.w", "b"], ["a.w", "b"]),
        (["module.a", "b"], ["module.a", "b"]),
        (["a._orig_mod.w", "a.w"], ["a._orig_mod.w", "a.w"]),
        (["my_orig_mod.a", "_orig_mod"], ["my_orig_mod.a", "_orig_mod"]),
        ([], []),
    ],
)
def test_names_without_wrappers(stored, plain):
    changed = plain_names(stored)
    assert [changed.get(name, name) for name in stored] == plain
