"""Claim: the figures of the source count what they say, in a tree made by hand."""

import pytest
from benchmarks.lib import claim

habits = claim("habits")
FILES = {
    "__init__": "from weightkin.high import up\n",
    "low/__init__": "",
    "low/one": """
        from weightkin.low import two
        from weightkin.high import up


        class Same:
            pass


        def flagged(x: int, y: int, is_odd: bool, deep=False, *, named: bool = True) -> int:
            \"\"\"Add, without sections.\"\"\"
            try:
                return x + y
            except (OSError, Exception):
                raise ValueError


        def wide(a, b, c, d, e, f, g):
            return a
        """,
    "low/two": """
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from weightkin.low.one import Same as Other


        class Same:
            pass


        def documented(x: int, y: int, z: int) -> int:
            \"\"\"Add.

            Parameters
            ----------
            x, y, z : int
                Numbers.

            Returns
            -------
            int
                Their sum.
            \"\"\"
            return x + y + z
        """,
    "high": "def up() -> None:\n" + "    print(1)\n" * 55,
    "cli": "def command(a, b, c, d, e, f, g: bool) -> None:\n    print(a)\n",
}
EXPECTED = {
    "functions over 50 lines": ["high:1 up"],
    "functions over 6 parameters, commands apart": ["low.one:18 wide"],
    "public functions of 3 or more parameters without full docstring": [
        "low.one:10 flagged",
        "low.one:18 wide",
    ],
    "positional flags": ["low.one:10 flagged: is_odd", "low.one:10 flagged: deep"],
    "import circles": ["low.one, low.two"],
    "imports from a higher room": ["low.one: high.up"],
    "class names used twice": ["Same"],
    "broad excepts": ["low.one:14"],
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    from inspect import cleandoc

    root = tmp_path_factory.mktemp("tree")
    for name, text in FILES.items():
        path = root / "src" / "weightkin" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n" + cleandoc(text) + "\n" if "\n        " in text else text)
    (root / "tests").mkdir()
    (root / "tests" / "test_levels.py").write_text('LEVELS = {"low": 0, "high": 1, "cli": 2}\n')
    return habits.measure(root)


@pytest.mark.parametrize("what", EXPECTED)
def test_each_figure_counts_its_places(found, what):
    assert list(found[what].places) == EXPECTED[what]


def test_repeated_lines_are_one_place_for_each_stretch(found):
    (stretch,) = found["places that repeat 6 lines or more"].places
    assert stretch.startswith("high")


def test_files_and_all_figures_have_one_of_0_1_0(found):
    assert found["files of Python"].value == str(len(FILES))
    assert len(habits.table(found)) == len(found) + 2
