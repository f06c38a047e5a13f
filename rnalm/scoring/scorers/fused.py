"""Whether several operations on a GPU can be done in one."""

from types import ModuleType

import torch
from torch import Tensor

from rnalm.models import compiled
from rnalm.models.local import Layer, Readout, Recurrent, same


def _module() -> ModuleType:
    """Import our kernels."""
    from rnalm.scoring.scorers import kernels

    return kernels


def kernels(device: torch.device) -> ModuleType | None:
    """Give the module :mod:`rnalm.scoring.scorers.kernels` where its kernels can be used, on a GPU with Triton.

    Parameters
    ----------
    device : torch.device
        That of all tensors.
    """
    return compiled.kernels(_module, device)


def for_reading(readout: Readout, device: torch.device) -> ModuleType | None:
    """Give the kernels where they can read bins as ``readout`` does: a GRU in float32.

    Parameters
    ----------
    readout : Readout
        Reads bins.
    device : torch.device
        That of all tensors.
    """
    plain = isinstance(readout, Recurrent) and readout.weights[0].dtype == torch.float32
    return kernels(device) if plain else None


def project(readout: Readout, bins: Tensor) -> Tensor:
    """Do with bins what does not need the state, with the kernels where they can; see :meth:`Readout.project`.

    Parameters
    ----------
    readout : Readout
        Reads bins.
    bins : Tensor
        ``(…, channels)``
    """
    fast = for_reading(readout, bins.device)
    return fast.project(readout, bins) if fast else readout.project(bins)


def for_layer(layer: Layer, device: torch.device) -> ModuleType | None:
    """Give the kernels where they can compute a layer: in float32, of several taps, with nothing done after its convolution.

    Parameters
    ----------
    layer : Layer
        The layer.
    device : torch.device
        That of all tensors.
    """
    plain = layer.after is same and not layer.mean and layer.kernel_size > 1 and layer.convolution.weight.dtype == torch.float32
    return kernels(device) if plain else None
