"""Model folders ─► alpha of each layer: the exponent of the power law that the spectrum of its weights follows.

The spectrum of a weight matrix W are the eigenvalues of WᵀW, its squared singular values. They are not divided by the number of
rows, on which alpha does not depend; nor does WeightWatcher divide them, by default. A convolution ``(out, in, kernel)`` is
taken as the one matrix ``(out, in · kernel)`` by which it multiplies each window. WeightWatcher pools the spectra of all kernel
positions of an image's convolution instead; but the tail of such a mixture is that of the position with the largest weights.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rnalm.errors import RnalmError
from rnalm.models.folder import INDEX, weight_files, weight_places

log = logging.getLogger(__name__)

#: From how many values on an exponent can be estimated, as a rule of thumb (Clauset, Shalizi & Newman, SIAM Review 2009). A
#: default Saluki's matrices have 64 eigenvalues.
MIN_EIGENVALUES = 50

#: Alphas that WeightWatcher takes for those of well trained layers.
GOOD = (2, 6)

#: How torch names the matrices of GRU, LSTM and RNN.
RECURRENT = re.compile(r"weight_(ih|hh|hr)(_l\d+)?(_reverse)?")
#: How Hugging Face's models name their embeddings.
EMBEDDING = re.compile(r"(\w+_)?embeddings?|embed_(tokens|positions|in)|wte|wpe|shared")

#: Of the table that compare gives, with the types that hold missing values.
COLUMNS = {
    "model": "str",
    "layer": "int64",
    "name": "str",
    "rows": "int64",
    "columns": "int64",
    "eigenvalues": "Int64",
    "alpha": "float64",
    "sigma": "float64",
    "xmin": "float64",
    "ks": "float64",
    "tail": "Int64",
    "largest": "float64",
    "reason": "str",
}


@dataclass(frozen=True)
class Fit:
    """The power law p(λ) ∝ λ^-alpha of all λ from xmin on.

    Attributes
    ----------
    alpha : float
        Maximum-likelihood estimate of the exponent.
    sigma : float
        Its standard error, (alpha - 1) / √tail; what the choice of xmin adds is not in it.
    xmin : float
        Where the tail begins: the value with the least Kolmogorov-Smirnov distance.
    ks : float
        That distance between the tail and the power law.
    tail : int
        Values in the tail.
    """

    alpha: float
    sigma: float
    xmin: float
    ks: float
    tail: int


def spectrum(weight: Tensor | np.ndarray) -> np.ndarray:
    """Give the eigenvalues of WᵀW that are not zero.

    Parameters
    ----------
    weight : torch.Tensor or numpy.ndarray
        ``(rows, columns)`` or, of a convolution, ``(out, in, kernel…)``.

    Returns
    -------
    numpy.ndarray
        In ascending order ``(rank,)``.

    Examples
    --------
    >>> spectrum(np.diag([0.0, 1.0, 2.0])).tolist()
    [1.0, 4.0]
    """
    matrix = torch.as_tensor(weight).double().flatten(1)
    singular = torch.linalg.svdvals(matrix).numpy()[::-1]
    rounding = singular.max(initial=0) * max(matrix.shape) * np.finfo(float).eps
    return singular[singular > rounding] ** 2


def fit(values: np.ndarray) -> Fit | None:
    """Fit a power law to the tail of a distribution, by the method of Clauset, Shalizi & Newman (SIAM Review 2009).

    Parameters
    ----------
    values : numpy.ndarray
        Positive numbers ``(values,)``.

    Returns
    -------
    Fit or None
        None if there is nothing to fit, as fewer than four values differ by more than rounding.
    """
    import powerlaw

    if len(np.unique(values)) < 4 or np.ptp(values) <= 1e-6 * np.max(values):
        return None
    # Near 1 no power of theirs is too large or too small for a float.
    scale = np.median(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a tail of very few values it tells of overflows, and does not choose it
        # By itself the package takes no alpha above 3, and says nothing of it.
        fitted = powerlaw.Fit(values / scale, parameter_ranges={"alpha": (1, None)}, verbose=0)
    if fitted.noise_flag:
        return None
    tail = int(fitted.n_tail)
    alpha = float(fitted.alpha)
    return Fit(alpha, (alpha - 1) / np.sqrt(tail), float(fitted.xmin * scale), float(fitted.D), tail)


def compare(models: Mapping[str, str | Path]) -> pd.DataFrame:
    """Fit a power law to the spectrum of each weight matrix of each model.

    Parameters
    ----------
    models : mapping
        Hugging Face folders by name; the weights are read as they are, whatever the architecture.

    Returns
    -------
    pandas.DataFrame
        One row a tensor, models and tensors in the natural order of their names (files keep no other): ``model``; ``layer``,
        the 0-based number of the module; ``name``; ``rows`` and ``columns`` as a matrix; ``eigenvalues`` that are not zero;
        ``alpha``, ``sigma``, ``xmin``, ``ks`` and ``tail`` of the :class:`Fit`; ``largest`` eigenvalue; and the ``reason`` why
        a tensor is left out, or nothing.

    Raises
    ------
    RnalmError
        If a folder has no weights, or they cannot be read.
    """
    rows = [{"model": name} | row for name in sorted(models, key=_natural) for row in _rows(models[name])]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    for model, group in table.groupby("model", sort=False):
        log.info("%s: %d of %d weight tensors are fitted", model, group["alpha"].notna().sum(), len(group))
    return table


def _natural(name: str) -> list:
    """Sort key by which layer.2 comes before layer.10."""
    return [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", name)]


def _rows(folder: str | Path) -> Iterator[dict[str, Any]]:
    """Describe each tensor of a model."""
    files, folder = weight_files(folder), Path(folder)
    with ExitStack() as stack:
        opened = {path: stack.enter_context(_open(path)) for path in files if path.name != INDEX}
        places = weight_places(folder) if len(files) > 1 else dict.fromkeys(opened[files[0]].keys(), files[0])
        modules: dict[str, int] = {}
        for name in sorted(places, key=_natural):
            module = name.rpartition(".")[0] or name
            layer = modules.setdefault(module, len(modules))
            yield {"layer": layer, "name": name} | _row(opened[places[name]], name, places[name])


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise RnalmError(f"{path}: not a safetensors file, or damaged ({error})") from None


def _row(file: Any, name: str, path: Path) -> dict[str, Any]:
    """Fit one tensor, or say why not."""
    try:
        piece = file.get_slice(name)
    except SafetensorError:
        raise RnalmError(f"{path}: found no tensor {name}, but {INDEX} says it is there") from None
    shape = piece.get_shape()
    row: dict[str, Any] = {"rows": shape[0] if shape else 1, "columns": int(np.prod(shape[1:], dtype=int)), "reason": ""}
    if reason := _no_matrix(name, shape, piece.get_dtype()):
        return row | {"reason": reason}
    weight = file.get_tensor(name).double()
    if not weight.isfinite().all():
        return row | {"reason": "not all weights are finite numbers"}
    values = spectrum(weight)
    row |= {"eigenvalues": len(values), "largest": values.max(initial=0)}
    if len(values) < MIN_EIGENVALUES:
        return row | {"reason": f"{len(values)} eigenvalues that are not 0, fewer than {MIN_EIGENVALUES}"}
    law = fit(values)
    return row | (asdict(law) if law else {"reason": "no power law: the eigenvalues are all the same"})


def _no_matrix(name: str, shape: list[int], kind: str) -> str:
    """Say why a tensor is not looked at, from its name, shape and type."""
    *modules, last = name.split(".")
    if modules == ["wide"]:
        return "of the linear part: no layer of the network"
    if not kind.startswith(("F", "BF")):
        return "whole numbers, no weights"
    if len(shape) < 2:
        return "a vector, which has no spectrum"
    if RECURRENT.fullmatch(last):
        return "recurrent: the matrices of several gates in one"
    if modules and EMBEDDING.fullmatch(modules[-1]):
        return "an embedding: its rows are looked up, it multiplies nothing"
    return ""


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Summarize the layers of each model.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare`.

    Returns
    -------
    pandas.DataFrame
        One row a model: ``model``; numbers of ``fitted`` and ``left_out`` tensors; ``mean``, ``sd``, ``median``, ``least`` and
        ``greatest`` alpha; ``good``, the share of alphas in :data:`GOOD`; and ``weighted``, the mean of alpha · log₁₀ of the
        largest eigenvalue, α̂ of Martin, Peng & Mahoney (Nature Communications 2021). It ranks models of one architecture;
        unlike alpha it depends on the size of the weights.
    """
    rows = []
    for model, group in table.groupby("model", sort=False):
        fitted = group.dropna(subset=["alpha"])
        alphas = fitted["alpha"]
        rows.append(
            {
                "model": model,
                "fitted": len(fitted),
                "left_out": len(group) - len(fitted),
                "mean": alphas.mean(),
                "sd": alphas.std(),
                "median": alphas.median(),
                "least": alphas.min(),
                "greatest": alphas.max(),
                "good": alphas.between(*GOOD).mean(),
                "weighted": (alphas * np.log10(fitted["largest"])).mean(),
            }
        )
    return pd.DataFrame(rows)
