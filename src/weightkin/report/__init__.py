"""Records in, words out.

`reasons`, `clues` and `sentences` hold the words of codes; `terminal`, `tree`, `registry` and
`lists` print records, `html` and the templates draw them, the other modules write the formats of
other tools.
"""
