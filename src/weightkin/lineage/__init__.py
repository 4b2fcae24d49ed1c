"""Many models in, their family out: who descends from whom.

`collection` gathers sketches, `relatives` tests pairs, and `family` takes everything in
turn: `lossy_children`, merges (`mixtures`), trained models (`trained`, with `orient`), disguised
copies (`hidden`). `growing` adds one model to a graph; `mother` is the MoTHer recipe.
"""
