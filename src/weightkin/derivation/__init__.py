"""How a child was made from its parents: what kind of derivation, and which way.

`pairing` lines two sketches up, tensor by tensor; `distances` measures them and `rank` the rank of
a difference; `lattice` finds number formats and levels; `structure` reads shapes and blocks;
`lossy` asks whether one model is the image of the other, `noise` whether white noise was added;
`vectors` and `equality` find equal values under any name, and `unchanged` says what that makes of
two models; `clock` how much decay lies between; `direction` weighs what tells parent from child;
`kinds` puts it all together. `merges`, `shared` and `inheritance` look at more than two models.
"""
