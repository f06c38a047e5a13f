"""Effects along made-up sequences."""

import numpy as np

from rnalm.scoring.lines import Line


def line(text: str, effects, name: str = "s", symbols: str = "acg", explained: str = "", breaks=()) -> Line:
    """Make a line of letters; those that are no symbols are not known."""
    places = np.arange(len(text))
    numbers = np.array([symbols.find(letter) for letter in text], dtype=np.int64)
    runs = np.cumsum([place in breaks for place in places]).astype(np.int64)
    thirds = np.minimum(3 * places // max(1, len(text)), 2)
    return Line(name, None, explained, numbers, places, places + 1, np.array(effects, float), runs, thirds, places % 3)
