"""The frame around the work of a rule: its log, and how a user's mistake is told."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rnalm.errors import RnalmError


@contextmanager
def logged(path: str) -> Iterator[None]:
    """Log to a file; show warnings on the terminal; end in one line on a user's mistake.

    Parameters
    ----------
    path : str
        The log file of the job.
    """
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(logging.Formatter("rnalm: %(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_file, to_terminal])
    logging.captureWarnings(True)
    try:
        yield
    except RnalmError as error:
        logging.error("%s", error)
        sys.exit(1)
    except Exception:
        to_file.stream.write(traceback.format_exc())
        raise
