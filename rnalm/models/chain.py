"""A network of a user's own ─► its parts, where it is a chain of convolutions, so that its scores can be incremental.

A chain is what ``nn.Sequential`` holds: convolutions, batch normalization, what is done number by number, pooling without
overlap; then all positions pooled, or flattened for a linear layer; then layers of features. Where the module
itself is no ``nn.Sequential`` but has some, these are tried one after the other, and taken for its forward pass if they give
the same.
"""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from rnalm.models.local import Flattened, Layer, Local, Pooled, Positionwise, Readout, same
from rnalm.models.padded import bins_inside, marked, padding_of, without_padding

#: What computes each number by itself.
ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Sigmoid, nn.Tanh),
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softsign, nn.LogSigmoid),
)
#: What does nothing in evaluation mode.
NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.AlphaDropout)
#: Differences of outputs that rounding explains.
CLOSE = 1e-5


class NoChain(Exception):
    """The network is another one."""


@dataclass
class _Chain:
    """A chain in the making."""

    layers: list[dict] = field(default_factory=list)
    #: What is done before the next convolution, or at the end.
    waiting: list[Positionwise] = field(default_factory=list)

    def add(self, module: nn.Module) -> None:
        """Take one more module before the readout."""
        if isinstance(module, nn.Conv1d):
            before = _composed(self.waiting)
            pooling = {"pool": 1, "mean": False, "pooled": False}
            self.layers.append({"convolution": module, "before": before, "after": [], **pooling})
            self.waiting = []
        elif isinstance(module, (*ELEMENTWISE, nn.BatchNorm1d)):
            step = _normalizing(module) if isinstance(module, nn.BatchNorm1d) else _plain(module)
            open_layer = self.layers and not self.layers[-1]["pooled"]
            (self.layers[-1]["after"] if open_layer else self.waiting).append(step)
        elif isinstance(module, nn.MaxPool1d | nn.AvgPool1d) and self.layers and not self.layers[-1]["pooled"]:
            self.layers[-1] |= {"pool": _pool(module), "mean": isinstance(module, nn.AvgPool1d), "pooled": True}
        else:
            raise NoChain(f"{type(module).__name__}")

    def finished(self) -> tuple[tuple[Layer, ...], tuple[tuple[int, int], ...]]:
        """Give the layers, which put no zeros around what they get, and of each those that the network puts there, if any."""
        kept = ("convolution", "before", "pool", "mean")
        options: list[dict[str, Any]] = [
            {key: one[key] for key in kept} | {"after": _composed(one["after"])} for one in self.layers
        ]
        try:
            paddings = tuple(padding_of(one["convolution"]) for one in self.layers)
            if not any(map(any, paddings)):
                return tuple(Layer(**own) for own in options), ()
            return tuple(without_padding(**own, first=not number) for number, own in enumerate(options)), paddings
        except ValueError as error:
            raise NoChain(str(error)) from None


def _composed(steps: Sequence[Positionwise]) -> Positionwise:
    """Do one step after the other."""
    if not steps:
        return same
    kept = list(steps)

    def all_steps(x: Tensor) -> Tensor:
        for step in kept:
            x = step(x)
        return x

    return all_steps


def _plain(module: nn.Module) -> Positionwise:
    """Apply a module to a copy, as those that work in place would change what others read."""
    in_place = getattr(module, "inplace", False)
    return (lambda x: module(x.clone())) if in_place else module


def _normalizing(norm: nn.BatchNorm1d) -> Positionwise:
    """Normalize by the statistics of training, on ``(…, channels)``."""
    if norm.running_mean is None or norm.running_var is None:
        raise NoChain("batch normalization without statistics")
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -norm.running_mean * scale
    shift = shift if norm.bias is None else shift + norm.bias
    scale, shift = scale.detach(), shift.detach()
    return lambda x: x * scale + shift


def _pool(module: nn.MaxPool1d | nn.AvgPool1d) -> int:
    """Give the size of a pooling without overlap, padding and gaps."""

    def one(value: int | tuple[int, ...]) -> int:
        return value[0] if isinstance(value, tuple) else value

    size, stride = one(module.kernel_size), one(module.stride if module.stride is not None else module.kernel_size)
    if size != stride or one(module.padding) or module.ceil_mode or one(getattr(module, "dilation", 1)) != 1:
        raise NoChain("pooling with overlap, padding or gaps")
    return size


def modules_of(network: nn.Module) -> list[nn.Module]:
    """List what a network applies one after the other, if it is a chain: the modules that do something.

    Parameters
    ----------
    network : torch.nn.Module
        An ``nn.Sequential``, or a module that has some.
    """

    def spread(module: nn.Module) -> list[nn.Module]:
        if isinstance(module, nn.Sequential):
            return [inner for child in module for inner in spread(child)]
        return [] if isinstance(module, NOTHING) else [module]

    children = [network] if isinstance(network, nn.Sequential) else list(network.children())
    found = [inner for child in children for inner in spread(child)]
    first = next((number for number, module in enumerate(found) if isinstance(module, nn.Linear)), len(found))
    # Between them most people reshape by hand.
    joined = any(isinstance(module, nn.Flatten) for module in found[:first])
    return found if joined or first == len(found) else [*found[:first], nn.Flatten(), *found[first:]]


def parts(network: nn.Module, inputs: Callable[[Tensor, Tensor | None], Tensor], outputs: Callable[[Tensor], Tensor]) -> Local:
    """Take a network apart.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode; it takes ``(batch, 4, length)``.
    inputs : callable
        Ids and modifiers ─► what the network takes.
    outputs : callable
        What the network gives ─► logits, or numbers.

    Raises
    ------
    NoChain
        If it is no chain, or does something else than what its modules do one after the other.
    """
    local = _built(network)
    check(network, _built)
    length = local.minimum_length + math.prod(layer.pool for layer in local.layers)
    if isinstance(local.readout, Flattened) and _runs(network, length):
        raise NoChain("it takes sequences of other lengths, too, and so pools")
    head, further = local.head, local.inputs
    return replace(
        local,
        inputs=lambda ids, modifiers=None: further(inputs(ids, modifiers), None),
        head=lambda features: outputs(head(features).float()),
    )


def _built(network: nn.Module) -> Local:
    """Put the parts of a chain together, from what it takes to what it gives, or let the network say them itself."""
    if callable(told := getattr(network, "local", None)):
        return replace(told(), inputs=_as_it_is)  # pyright: ignore[reportArgumentType] (a user's word)
    steps = modules_of(network)
    end = next((number for number, module in enumerate(steps) if isinstance(module, _ENDS)), len(steps))
    chain = _Chain()
    for module in steps[:end]:
        chain.add(module)
    if not chain.layers:
        raise NoChain("no convolution")
    entry, (layers, paddings), last = chain.layers[0]["convolution"], chain.finished(), _composed(chain.waiting)
    readout, rest = _readout(steps[end:], chain.layers[-1]["convolution"])
    if paddings:
        last = bins_inside(last, -torch.inf if isinstance(readout, Pooled) and readout.kind == "max" else 0.0)
    minimum = readout.count if isinstance(readout, Flattened) else 1
    for layer, padding in zip(reversed(layers), reversed(paddings or [(0, 0)] * len(layers)), strict=True):
        minimum = max(1, minimum * layer.pool + layer.span - sum(padding))
    inputs = _marked if paddings else _as_it_is
    return Local(inputs, layers, last, readout, _composed([*rest]), minimum, False, paddings, entry)


def _as_it_is(x: Tensor, modifiers: Tensor | None = None) -> Tensor:
    """Take what the network takes."""
    return x


def _marked(x: Tensor, modifiers: Tensor | None = None) -> Tensor:
    """Say also of each position whether it is one of the sequence."""
    return marked(x)


#: What ends the part in which positions are told apart.
_ENDS = (nn.Flatten, nn.AdaptiveMaxPool1d, nn.AdaptiveAvgPool1d)


def _readout(steps: Sequence[nn.Module], convolution: nn.Conv1d) -> tuple[Readout, list[nn.Module]]:
    """Say how bins, which the last convolution gives, become features, and what is done with these."""
    channels, like = convolution.out_channels, convolution.weight
    if not steps:
        raise NoChain("positions are told apart to the end")
    first, *rest = steps
    if isinstance(first, nn.Flatten):
        if not rest or not isinstance(rest[0], nn.Linear) or rest[0].in_features % channels:
            raise NoChain("no linear layer after flattening")
        return Flattened(rest[0], channels), list(rest[1:])
    if first.output_size not in (1, (1,)):  # pyright: ignore[reportAttributeAccessIssue]
        raise NoChain("pooling to several positions")
    kind = "max" if isinstance(first, nn.AdaptiveMaxPool1d) else "mean"
    return Pooled(kind, channels, like), [module for module in rest if not isinstance(module, nn.Flatten)]


def _letters(network: nn.Module, length: int) -> Tensor:
    """Draw sequences, apart, so that nothing else draws other numbers for it."""
    letters = torch.randint(0, 4, (3, length), generator=torch.Generator().manual_seed(0))
    return nn.functional.one_hot(letters, 4).transpose(1, 2).to(next(network.parameters()))


@torch.no_grad()
def _runs(network: nn.Module, length: int) -> bool:
    """Say whether a network takes sequences of a length."""
    with torch.random.fork_rng(devices=[]):
        try:
            network(_letters(network, length))
        except Exception:
            return False
    return True


@torch.no_grad()
def check(network: nn.Module, take_apart: Callable[[nn.Module], Local]) -> None:
    """Look whether the parts of a network give what it gives.

    A copy is looked at whose weights are drawn anew: what a trained network gives may be next to 0 for most sequences, whatever
    it does.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    take_apart : callable
        Gives its parts, from what it takes to what it gives.

    Raises
    ------
    NoChain
        If they do not.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            other = _drawn(network)
            local = take_apart(other)
            more = 0 if isinstance(local.readout, Flattened) else 1 + math.prod(layer.pool for layer in local.layers)
            for length in {local.minimum_length, local.minimum_length + more}:
                x = _letters(other, length)
                whole, parted = other(x), local.whole(local.inputs(x, None))
                if whole.shape != parted.shape or not torch.allclose(whole, parted, atol=CLOSE, rtol=CLOSE):
                    raise NoChain("its forward pass does something else")
        except NoChain:
            raise
        except Exception as error:
            raise NoChain(str(error)) from None


def _drawn(network: nn.Module) -> nn.Module:
    """Copy a network, and draw its weights and statistics anew, of a size that keeps numbers about 1."""
    other, draw = deepcopy(network), torch.Generator().manual_seed(0)
    for tensor in (*other.parameters(), *other.buffers()):
        if tensor.is_floating_point():
            spread = 2 / math.sqrt(tensor[0].numel()) if tensor.dim() > 1 else 0.2
            tensor.copy_(torch.randn(tensor.shape, generator=draw) * spread)
    for module in other.modules():
        if isinstance(module, nn.BatchNorm1d) and module.running_var is not None:
            module.running_var.abs_().add_(0.5)
            if module.weight is not None:
                module.weight.add_(1)
    return other
