"""How a model says that it can be scored incrementally: the parts of a local architecture.

    model input ─► [before ─► convolution ─► after ─► pool] × layers ─► last ─► readout from the 3′ end ─► head

A model whose forward pass is this chain gives the parts as a :class:`Local` from its method ``local()``. All functions in
it work position by position, on ``(…, channels)``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Positionwise = Callable[[Tensor], Tensor]


def same(x: Tensor) -> Tensor:
    """Change nothing.

    Parameters
    ----------
    x : Tensor
        Anything.
    """
    return x


@dataclass(frozen=True)
class Layer:
    """A convolution without padding, what is done at each position before and after it, and max pooling.

    Attributes
    ----------
    convolution : torch.nn.Conv1d
        Any kernel and dilation; stride 1, one group, no padding.
    before, after : callable
        On ``(…, channels)``, position by position. ``before`` must leave its argument as it is; ``after`` may work in place.
    pool : int
        Positions of which the maximum is taken, without overlap; what is left over at the 3′ end is dropped. 1: no pooling.
    mean : bool
        Whether the mean is taken instead of the maximum.

    Raises
    ------
    ValueError
        If the convolution has stride, groups or padding, or pooling is over less than one position.
    """

    convolution: nn.Conv1d
    before: Positionwise = same
    after: Positionwise = same
    pool: int = 1
    mean: bool = False

    def __post_init__(self) -> None:
        layer = self.convolution
        padded = layer.padding not in ((0,), "valid")
        if (layer.stride, layer.groups) != ((1,), 1) or padded:
            raise ValueError(f"expected a convolution with stride 1, one group and no padding, found {layer}")
        if self.pool < 1:
            raise ValueError(f"expected pooling over one position or more, found {self.pool}")

    @property
    def dilation(self) -> int:
        """Positions from one tap of the kernel to the next."""
        return self.convolution.dilation[0]

    @property
    def kernel_size(self) -> int:
        """Positions that one output reads."""
        return self.convolution.kernel_size[0]

    @property
    def span(self) -> int:
        """Distance from the first to the last position that one output reads."""
        return (self.kernel_size - 1) * self.dilation

    def length(self, length: int) -> int:
        """Count the positions that the layer makes of ``length``.

        Parameters
        ----------
        length : int
            Positions that the layer reads.
        """
        return (length - self.span) // self.pool


class Readout(Protocol):
    """Reads bins one by one from the 3′ end into a state, ``(rows, features)``."""

    def project(self, bins: Tensor) -> Tensor:
        """Do with bins ``(…, channels)`` what does not need the state: ``(…, inputs)``.

        Parameters
        ----------
        bins : Tensor
            ``(…, channels)``
        """
        ...

    def start(self, rows: int) -> Tensor:
        """Make the state before the first bin ``(rows, features)``.

        Parameters
        ----------
        rows : int
            Sequences that are read side by side.
        """
        ...

    def step(self, inputs: Tensor, state: Tensor) -> None:
        """Read one projected bin a row, ``(rows, inputs)``, into the state, in place; the inputs may be overwritten.

        Parameters
        ----------
        inputs : Tensor
            A projected bin a row, ``(rows, inputs)``; it may be overwritten.
        state : Tensor
            What has been read so far, ``(rows, features)``; changed in place.
        """

    def finish(self, state: Tensor, bins: Tensor) -> Tensor:
        """Turn the last state into features, ``bins`` ``(rows,)`` being the numbers of bins read.

        Parameters
        ----------
        state : Tensor
            What has been read, ``(rows, features)``.
        bins : Tensor
            Numbers of bins read, ``(rows,)``.
        """
        ...


class Recurrent:
    """A GRU of one layer.

    Parameters
    ----------
    gru : torch.nn.GRU
        The layer, whose weights must not change any more.

    Raises
    ------
    ValueError
        If it has several layers or directions, or no biases.
    """

    def __init__(self, gru: nn.GRU) -> None:
        if gru.num_layers != 1 or gru.bidirectional or not gru.bias:
            raise ValueError(f"expected a GRU of one layer and one direction, with biases, found {gru}")
        self.gru = gru

    @cached_property
    def weights(self) -> tuple[Tensor, ...]:
        """Input weights and their bias; recurrent weights of the gates; twice those of the new state, and twice their bias."""
        hidden = self.gru.hidden_size
        [[input_weight, recurrent_weight, input_bias, recurrent_bias]] = self.gru.all_weights
        gates, new = recurrent_weight.split([2 * hidden, hidden])
        weight, bias = input_weight.clone(), input_bias.clone()
        bias[: 2 * hidden] += recurrent_bias[: 2 * hidden]
        # Twice what goes into the tanh, which is computed as tanh(x) = 2 sigmoid(2 x) − 1: on CPUs in half the time.
        weight[2 * hidden :] *= 2
        bias[2 * hidden :] *= 2
        return weight.T.contiguous(), bias, gates.T.contiguous(), 2 * new.T.contiguous(), 2 * recurrent_bias[2 * hidden :]

    def project(self, bins: Tensor) -> Tensor:
        """Multiply with the input weights: ``(…, 3 · hidden)``, reset and update gate with both biases, then the new state."""
        weight, bias, *_ = self.weights
        return torch.addmm(bias, bins.flatten(0, -2), weight).unflatten(0, bins.shape[:-1])

    def start(self, rows: int) -> Tensor:
        """Make zeros."""
        return self.gru.all_weights[0][0].new_zeros(rows, self.gru.hidden_size)

    def step(self, inputs: Tensor, state: Tensor) -> None:
        """Compute h ← n + z (h − n), n = tanh(x + r (U h + b)), with the gates r and z (the equations of ``torch.nn.GRU``)."""
        *_, gates_weight, new_weight, new_bias = self.weights
        hidden = self.gru.hidden_size
        gates = inputs[:, : 2 * hidden].addmm_(state, gates_weight).sigmoid_()
        new = torch.addmm(new_bias, state, new_weight)
        torch.addcmul(inputs[:, 2 * hidden :], new, gates[:, :hidden], out=new).sigmoid_()
        torch.lerp(new.mul_(2).sub_(1), state, gates[:, hidden:], out=state)

    def finish(self, state: Tensor, bins: Tensor) -> Tensor:
        """Take the last state as it is."""
        return state


class MeanState(Recurrent):
    """A GRU of one layer, of whose states the mean is taken.

    The state and the sum of all states stand side by side, in float64, for the reason that :class:`Pooled` gives.
    """

    def start(self, rows: int) -> Tensor:
        """Make zeros, for the state and for the sum."""
        return super().start(rows).double().repeat(1, 2)

    def step(self, inputs: Tensor, state: Tensor) -> None:
        """Take the state on, and add it to the sum."""
        now, total = state.chunk(2, dim=1)
        new = now.to(inputs.dtype)
        super().step(inputs, new)
        now.copy_(new)
        total += now

    def finish(self, state: Tensor, bins: Tensor) -> Tensor:
        """Divide the sum by the number of bins."""
        return (state.chunk(2, dim=1)[1] / bins[:, None]).to(self.gru.all_weights[0][0].dtype)


class Pooled:
    """The mean, sum or maximum over all bins: for architectures without a recurrent layer.

    Bins are added one by one, hundreds of them perhaps, so in float64: their rounding would show in the scores.

    Parameters
    ----------
    kind : {'mean', 'sum', 'max'}
        What is taken of all bins.
    features : int
        Channels of a bin.
    like : Tensor
        A tensor whose device and type the features are to have.

    Raises
    ------
    ValueError
        If ``kind`` is none of these.
    """

    def __init__(self, kind: str, features: int, like: Tensor) -> None:
        if kind not in ("mean", "sum", "max"):
            raise ValueError(f"expected mean, sum or max, found {kind!r}")
        self.kind, self.features, self.like = kind, features, like

    def project(self, bins: Tensor) -> Tensor:
        """Leave bins as they are."""
        return bins

    def start(self, rows: int) -> Tensor:
        """Make zeros, or minus infinity for the maximum."""
        nothing = -torch.inf if self.kind == "max" else 0.0
        return self.like.new_full((rows, self.features), nothing, dtype=torch.float64)

    def step(self, inputs: Tensor, state: Tensor) -> None:
        """Add a bin, or take the greater."""
        if self.kind == "max":
            torch.maximum(state, inputs.to(state.dtype), out=state)
        else:
            state += inputs

    def finish(self, state: Tensor, bins: Tensor) -> Tensor:
        """Divide by the number of bins, for the mean."""
        return (state / bins[:, None] if self.kind == "mean" else state).to(self.like.dtype)


class Flattened:
    """All bins side by side, as a linear layer takes them that knows each position: for architectures of one length.

    What it gives is a sum over positions, of which the scorer computes anew what changes; it reads nothing bin by bin.

    Parameters
    ----------
    linear : torch.nn.Linear
        On features in the order of ``torch.flatten`` of ``(channels, bins)``.
    channels : int
        Channels of a bin.

    Attributes
    ----------
    count : int
        Bins that it takes.
    """

    def __init__(self, linear: nn.Linear, channels: int) -> None:
        self.linear, self.count = linear, linear.in_features // channels

    @cached_property
    def weights(self) -> Tensor:
        """Weights of each bin ``(bins, channels, features)``."""
        return self.linear.weight.detach().unflatten(1, (-1, self.count)).permute(2, 1, 0).contiguous()

    def project(self, bins: Tensor) -> Tensor:
        """Leave bins as they are."""
        return bins

    def start(self, rows: int) -> Tensor:
        """Make nothing."""
        return self.linear.weight.new_zeros(rows, 0)

    def step(self, inputs: Tensor, state: Tensor) -> None:
        """Keep nothing."""

    def finish(self, state: Tensor, bins: Tensor) -> Tensor:
        """Leave features as they are."""
        return state

    def features(self, bins: Tensor) -> Tensor:
        """Give the features of all bins of sequences ``(rows, features)``.

        Parameters
        ----------
        bins : Tensor
            ``(rows, bins, channels)``; those beyond the ones that it takes lie right of the sequence.
        """
        return self.linear(bins[:, : self.count].transpose(1, 2).flatten(1))

    def total(self, bins: Tensor) -> Tensor:
        """Give the same, summed in another order, in which many sequences need not be turned round ``(rows, features)``.

        Parameters
        ----------
        bins : Tensor
            ``(rows, bins, channels)``, as many as it takes.
        """
        features = bins.flatten(1) @ self.weights.flatten(0, 1)
        return features if self.linear.bias is None else features.add_(self.linear.bias)

    def move(self, features: Tensor, change: Tensor, bins: np.ndarray, owner: np.ndarray) -> None:
        """Add to features, in place, what bins change that become others.

        Parameters
        ----------
        features : Tensor
            Of sequences ``(rows, features)``.
        change : Tensor
            What each bin becomes, minus what it was ``(changed, channels)``.
        bins, owner : numpy.ndarray
            Which bin it is, and whose ``(changed,)``; none of a sequence occurs twice. Those that do not exist change nothing.
        """
        exists = np.flatnonzero((bins >= 0) & (bins < self.count))
        order = exists[np.argsort(bins[exists], kind="stable")]
        found, first = np.unique(bins[order], return_index=True)
        ends = [*first.tolist(), len(order)][1:]  # none where no bin reaches so far
        source, target = (torch.from_numpy(side).to(features.device) for side in (order, owner[order]))
        # Each sequence has of one bin no more than one, so that nothing is added in an unsettled order.
        for number, low, high in zip(found.tolist(), first.tolist(), ends, strict=True):
            features.index_add_(0, target[low:high], change[source[low:high]] @ self.weights[number])


@dataclass(frozen=True)
class Local:
    """A local architecture, in parts.

    Attributes
    ----------
    inputs : callable
        Ids ``(batch, length)`` and modifiers ``(batch, modifier channels, length)`` or None ─► model input
        ``(batch, channels, length)``, each position by itself, and zeros for ``[PAD]`` without modifiers.
    layers : tuple of Layer
        In the order in which they are applied; between them the tensor is ``(batch, channels, length)``.
    last : callable
        On bins ``(…, channels)``, before the readout; must leave its argument as it is.
    readout : Readout
        Makes features of the bins, from the 3′ end.
    head : callable
        Features ``(rows, features)`` ─► the model's logits ``(rows, outputs)``.
    minimum_length : int
        Shorter model inputs are padded with zeros on the right to this length; it leaves one bin at least.
    pads : bool
        Whether they are; else the model does not take them.
    paddings : tuple of tuple of int
        Zeros that each layer of the model puts left and right of what it gets; empty: none does. The layers here put none (see
        :mod:`rnalm.models.padded`), and are given ``margin`` tokens ``[PAD]`` on both sides of a sequence.
    entry : torch.nn.Module or None
        The module of the model that its input enters; None: the first convolution.
    alike : bool
        Whether the functions ``inputs``, ``last``, and those before and after convolutions compute each position by the same
        operations however many there are: whether none is a product, which libraries sum in an order that depends on shapes.
    """

    inputs: Callable[[Tensor, Tensor | None], Tensor]
    layers: tuple[Layer, ...]
    last: Positionwise
    readout: Readout
    head: Callable[[Tensor], Tensor]
    minimum_length: int
    pads: bool = True
    paddings: tuple[tuple[int, int], ...] = ()
    entry: nn.Module | None = None
    alike: bool = False

    @property
    def margin(self) -> tuple[int, int]:
        """Positions that the layers need left and right of a sequence, so that bins begin where they would without."""
        left = right = 0
        for layer, padding in reversed([*zip(self.layers, self.paddings, strict=False)]):
            left, right = left * layer.pool + padding[0], right * layer.pool + padding[1]
        return left, right

    def whole(self, x: Tensor) -> Tensor:
        """Compute what the parts give of whole sequences, plainly: to hold it against the model itself.

        Parameters
        ----------
        x : Tensor
            Model input ``(batch, channels, length)``.
        """
        rows = F.pad(x, self.margin).transpose(1, 2)
        for layer in self.layers:
            rows = layer.after(layer.convolution(layer.before(rows).transpose(1, 2)).transpose(1, 2).contiguous())
            runs = rows[:, : rows.shape[1] // layer.pool * layer.pool].unflatten(1, (-1, layer.pool))
            rows = runs.mean(2) if layer.mean else runs.amax(2)
        return self.read(self.last(rows), self.bins(x.shape[2]))

    def read(self, bins: Tensor, count: int) -> Tensor:
        """Compute the model's logits from all bins of sequences of one length ``(rows, outputs)``.

        Parameters
        ----------
        bins : Tensor
            ``(rows, bins, channels)``; what lies right of a sequence may follow.
        count : int
            How many bins a sequence has.
        """
        readout = self.readout
        if isinstance(readout, Flattened):
            return self.head(readout.features(bins))
        inputs, state = readout.project(bins), readout.start(len(bins))
        for number in range(bins.shape[1] - 1, -1, -1):
            readout.step(inputs[:, number].clone(), state)
        return self.head(readout.finish(state, torch.full((len(bins),), count, device=bins.device)))

    def bins(self, length: int) -> int:
        """Count the bins that a sequence of ``length`` tokens leaves.

        Parameters
        ----------
        length : int
            Tokens of the sequence.
        """
        length = max(length, self.minimum_length)
        for layer, padding in zip(self.layers, self.paddings or [(0, 0)] * len(self.layers), strict=True):
            length = layer.length(length + sum(padding))
        return length
