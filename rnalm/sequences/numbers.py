"""Numbers as people write them in files."""

import math
import re

#: A number in digits: no separators of thousands or of digits, which ``float`` would pass over in ``1_05``.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def to_number(text: str, decimal: str = ".") -> float | None:
    """Read a number; None where it is none, or not finite.

    Parameters
    ----------
    text : str
        As it stands in a file.
    decimal : {'.', ','}
        What stands before the decimals; the other one is no part of a number.

    Examples
    --------
    >>> to_number("-2.5e3"), to_number("1_000"), to_number("1,05"), to_number("1,05", decimal=",")
    (-2500.0, None, None, 1.05)
    """
    text = text.strip()
    if decimal != ".":
        text = text.replace(".", "?").replace(decimal, ".")
    number = float(text) if NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None
