"""How many examples property tests try: `make nightly` tries more than `make test`, `make quick` fewer."""

import os

from hypothesis import settings

#: So many times as many.
TIMES = float(os.environ.get("RNALM_EXAMPLES", "1"))


def examples(count: int) -> settings:
    """Try so many examples, or several times as many at night."""
    return settings(max_examples=max(1, round(count * TIMES)))
