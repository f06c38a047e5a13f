"""Weights that other programs saved ─► those of a network here."""

import logging
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import scalar
from torch import Tensor, nn

from rnalm.errors import RnalmError
from rnalm.models.pretrained import LISTED, telling

log = logging.getLogger(__name__)

#: Under which files hold a state dict beside other things, as Selene's ``.pth.tar`` do.
INSIDE = ("state_dict", "model_state_dict", "model")
#: Numbers of numpy, such as the least loss that Selene saves beside the weights: these, too, run nothing when they are read.
NUMBERS: list[Any] = [
    *((scalar, f"numpy.{place}.multiarray.scalar") for place in ("core", "_core")),
    *(np.dtype, *{type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"}),
]
#: Name of the number of batches that normalization has seen.
SEEN = "num_batches_tracked"
#: What wrappers put before the names of weights: several GPUs, and Selene's of both strands.
WRAPPED = ("module.", "model.")


def start(network: nn.Module, path: str | Path, by_order: bool = False) -> None:
    """Give a network the weights of a file of ``torch.save``, of which nothing but tensors is read.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    path : path
        A state dict, or what holds one.
    by_order : bool
        Whether to match weights by their order, not by name.

    Raises
    ------
    RnalmError
        If the file holds something else, or weights of other names or shapes.
    """
    saved, own = _read(path), network.state_dict()
    if not any(name.endswith(SEEN) for name in saved):
        # Earlier versions of torch did not save it, and nothing that is trained depends on it.
        own = {name: tensor for name, tensor in own.items() if not name.endswith(SEEN)}
    if by_order:
        if len(saved) != len(own):
            raise RnalmError(f"model.weights: {path} has {len(saved)} weights, expected {len(own)}, in their order")
        saved = dict(zip(own, saved.values(), strict=True))
    else:
        saved = _unwrapped(saved, own)
        for kind, names in (("lacks", sorted(set(own) - set(saved))), ("has also", sorted(set(saved) - set(own)))):
            if names:
                shown = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
                raise RnalmError(f"model.weights: {path} {kind} {shown}; expected the names of the network, or by_order: true")
    for name, tensor in own.items():
        if tensor.shape != saved[name].shape:
            shapes = f"{name} {tuple(saved[name].shape)}, expected {tuple(tensor.shape)}"
            raise RnalmError(f"model.weights: {path}: {shapes}")
    network.load_state_dict(saved, strict=False)
    log.info("%s: %d weights are taken over", path, len(saved))


def _read(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict; what else a pickle may hold is refused."""
    if not Path(path).is_file():
        raise RnalmError(f"model.weights: {path}: no such file")
    with telling(f"model.weights: {path}: no weights can be read"), torch.serialization.safe_globals(NUMBERS):
        try:
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            named = re.search(r"GLOBAL (\S+)", str(error))
            held = f"it holds {named[1]}, beside tensors and numbers" if named else "it is damaged, or no file of torch.save"
            raise RnalmError(f"model.weights: {path}: no weights can be read ({held}); expected a state dict") from None
    for key in INSIDE:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise RnalmError(f"model.weights: {path}: holds no state dict; expected one, or what Selene saves")
    return dict(content)


def _unwrapped(saved: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what wrappers put before all names, where fewer of these are those of the network."""
    for prefix in (*WRAPPED, *WRAPPED):
        if all(name.startswith(prefix) for name in saved):
            bare = {name.removeprefix(prefix): tensor for name, tensor in saved.items()}
            saved = bare if len(own.keys() & bare.keys()) >= len(own.keys() & saved.keys()) else saved
    return saved
