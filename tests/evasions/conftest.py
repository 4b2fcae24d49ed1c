"""One random model of each family, built once, with its anatomy and its output."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.evasions.real import anatomy_of, build, output


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Return a function from a family to its arrays, config, anatomy and output."""
    made = {}

    def get(family, seed=0):
        if (family, seed) not in made:
            folder = tmp_path_factory.mktemp(family)
            arrays, config = build(family, folder, seed)
            made[family, seed] = SimpleNamespace(
                arrays=arrays,
                config=config,
                anatomy=anatomy_of(arrays, config),
                output=output(folder / "again", arrays, config),
            )
        return made[family, seed]

    return get
