"""Records in, words out.

`reasons`, `clues` and `sentences` hold the words of codes; `terminal`, `tree` and `registry` print
records, `html` draws them, the other modules write the formats of other tools.
"""
