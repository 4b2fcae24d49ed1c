"""Each byte of a file by what the reader says it is: an account that must come out even."""

from collections import Counter
from pathlib import Path

import numpy as np

from weightkin.formats.byte_pieces import touched
from weightkin.formats.folder import Chosen, read_chosen
from weightkin.sources.local import folder_around


def account(path: Path) -> Counter[str]:
    """How many bytes of a file are elements of tensors, and how many are claimed as what."""
    contents, files = read_chosen(Chosen(str(path), "m", folder_around(path, ()), path.name))
    (file,) = [x for x in files if x.path == path]
    state = np.zeros(file.size, dtype=object)
    state[:] = "nothing"
    places = [x for x in contents.places.values() if x.file.path == path]
    for start, stop in touched(places).tolist():
        state[start:stop] = "payload"
    for claim in contents.claims:
        if claim.file.path == path:
            for start, stop in claim.spans:
                assert "payload" not in state[start:stop]
                state[start:stop] = claim.code or claim.state
    return Counter(state.tolist())
