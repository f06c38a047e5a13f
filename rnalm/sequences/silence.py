"""What htslib would print of a file that it cannot read: nothing, as one line of ours says it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pysam


@contextmanager
def silence() -> Iterator[None]:
    """Let htslib print nothing inside the block, and afterwards what it did before."""
    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)
