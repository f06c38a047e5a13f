"""The linear part of a model: weighted sums of how often runs of letters occur, which its network adds to.

    outputs = network + bias + weights · counts (rnalm.tokens.ngrams) + weights of runs by position

It computes what :class:`rnalm.models.baseline.Linear` does, from ids. Its weights do not change in training.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from rnalm.errors import RnalmError
from rnalm.models.baseline import Linear
from rnalm.tokens.ngrams import BESIDE, NUMBERS, Kind, Ngrams

# What is put beside a class of transformers must not be one itself, or it would be found first where both have a method.
Beside = PreTrainedModel if TYPE_CHECKING else object


class Wide(nn.Module):
    """A linear model on counts of runs of letters, whose weights are fixed.

    Parameters
    ----------
    content : dict
        What it is made of, as it stands in ``config.json``: ``counted``, the attributes of its
        :class:`~rnalm.tokens.ngrams.Ngrams`; ``used``, the names of blocks that have weights; and ``placed``, whether runs
        by position have some.
    outputs : int
        How many there are.
    """

    weights: Tensor
    bias: Tensor
    placed: Tensor

    def __init__(self, content: dict[str, Any], outputs: int) -> None:
        super().__init__()
        self.content, self.ngrams = content, Ngrams.read(content["counted"])
        self.kinds = [kind for kind in self.ngrams.kinds if kind.name in content["used"]]
        self.sizes = [self.base**kind.n if kind.n else NUMBERS[kind.where] for kind in self.kinds]
        self.register_buffer("weights", torch.zeros(sum(self.sizes), outputs))
        self.register_buffer("bias", torch.zeros(outputs))
        rows = sum(self.places(n) * self.base**n for n in self.placed_runs)
        self.register_buffer("placed", torch.zeros(rows, outputs))
        self._spelling: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(cls, ngrams: Ngrams, linear: Linear) -> Self:
        """Make it of a linear model.

        Parameters
        ----------
        ngrams : Ngrams
            What the model counts.
        linear : Linear
            The model.
        """
        parts = np.split(linear.weights, np.cumsum(ngrams.sizes)[:-1])
        used = [kind.name for kind, part in zip(ngrams.kinds, parts, strict=True) if part.any()]
        content = {"counted": asdict(ngrams), "used": used, "placed": len(linear.placed) > 0}
        wide = cls(json.loads(json.dumps(content)), len(linear.bias))
        kept = [part for kind, part in zip(ngrams.kinds, parts, strict=True) if kind.name in used]
        wide.bias.copy_(torch.from_numpy(linear.bias))
        wide.weights.copy_(torch.from_numpy(np.concatenate([np.zeros((0, len(linear.bias))), *kept])))
        if content["placed"]:
            wide.placed.copy_(torch.from_numpy(wide._spread(linear.placed)))
        return wide

    def _spread(self, placed: np.ndarray) -> np.ndarray:
        """Let runs have, at each position, what they count there and beside it."""
        spread, first = [], 0
        for n in self.placed_runs:
            places, runs = self.places(n) - 1, self.base**n
            own = np.zeros((places + 2, runs, placed.shape[1]))  # one position more on either side
            own[1:-1] = placed[first : first + places * runs].reshape(places, runs, -1)
            # A run at the position before the first does not occur; at the one behind the last it does in longer sequences.
            here = BESIDE[0] * own[1:] + BESIDE[-1] * own[:-1]
            here[:-1] += BESIDE[1] * own[2:]
            spread.append(here.reshape(-1, placed.shape[1]))
            first += places * runs
        return np.concatenate(spread)

    @property
    def base(self) -> int:
        """How many letters there are."""
        return len(self.ngrams.letters)

    @property
    def placed_runs(self) -> range:
        """Lengths of the runs that are looked up by position."""
        most = self.ngrams.longest_placed if self.content["placed"] else 0
        return range(1, min(most, self.ngrams.length or 0) + 1)

    def places(self, n: int) -> int:
        """Count the positions at which runs of so many letters are looked up: one more than they have weights of their own.

        Parameters
        ----------
        n : int
            Letters of the runs.
        """
        return (self.ngrams.length or 0) - n + 2

    @torch.compiler.disable
    @torch.no_grad()
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, modifiers: Tensor | None = None) -> Tensor:
        """Compute what it adds to the outputs, summed in double precision.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``, padded on the right.
        attention_mask : Tensor, optional
            ``(batch, length)``, 1 at tokens; None: no padding.
        modifiers : Tensor, optional
            float32 ``(batch, modifier_channels, length)``; None: zeros.

        Returns
        -------
        Tensor
            float32 ``(batch, outputs)``
        """
        text = self._spell(input_ids, attention_mask, modifiers)
        total = self.bias.double().expand(len(input_ids), -1)
        for kind, weights in zip(self.kinds, self.weights.split(self.sizes), strict=True):
            values = text.shares(kind) if kind.n else text.numbers(kind)
            total = total + values @ weights.double()
        first = 0
        for n in self.placed_runs:
            size = self.places(n) * self.base**n
            total = total + self._by_place(text, n, self.placed[first : first + size])
            first += size
        return total.float()

    def _by_place(self, text: "_Text", n: int, table: Tensor) -> Tensor:
        """Sum what runs have at their positions ``(batch, outputs)``."""
        code, known = text.codes(n)
        position = torch.arange(code.shape[1], device=code.device)
        known = known & (position < self.places(n))
        index = torch.where(known, position * self.base**n + code, 0)
        return F.embedding_bag(index, table.double(), mode="sum", per_sample_weights=known.double())

    def _spell(self, ids: Tensor, mask: Tensor | None, modifiers: Tensor | None) -> "_Text":
        """Write tokens as letters ``(batch, letters)``."""
        own = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
        if not ids.shape[1]:
            ids, own = F.pad(ids, (0, 1)), F.pad(own, (0, 1))
            modifiers = None if modifiers is None else F.pad(modifiers, (0, 1))
        spelled, widths = self.spelling(ids.device)
        marks = {mark: own & self._marked(mark, ids, modifiers) for mark in self.ngrams.marks}
        if spelled.shape[1] == 1 and self.single:
            return _Text(self.base, torch.where(own, spelled[ids, 0], -1), own, marks)
        taken = torch.where(own, widths[ids], 0)
        if self.ngrams.stride:
            last = own & ~F.pad(own, (0, 1))[:, 1:]
            taken = torch.where(last, taken, taken.clamp(max=self.ngrams.stride))
        ends = taken.cumsum(dim=1)
        position = torch.arange(max(1, int(ends[:, -1].max())), device=ids.device).expand(len(ids), -1).contiguous()
        token = torch.searchsorted(ends, position, right=True).clamp(max=ids.shape[1] - 1)
        within = (position - (ends - taken).gather(1, token)).clamp(max=spelled.shape[1] - 1)
        inside = position < ends[:, -1:]
        return _Text(self.base, torch.where(inside, spelled[ids.gather(1, token), within], -1), inside, marks)

    @property
    def single(self) -> bool:
        """Whether each token is one letter."""
        return all(len(own) == 1 for own in self.ngrams.spelled)

    def spelling(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Give the letters of each token ``(tokens, letters)``, and how many it has ``(tokens,)``.

        Parameters
        ----------
        device : torch.device
            Where they are used.
        """
        if self._spelling is None or self._spelling[0].device != device:
            widths = [len(own) for own in self.ngrams.spelled]
            rows = [[*own, *[-1] * (max(widths) - len(own))] for own in self.ngrams.spelled]
            self._spelling = torch.tensor(rows, device=device), torch.tensor(widths, device=device)
        return self._spelling

    def _marked(self, mark: int, ids: Tensor, modifiers: Tensor | None) -> Tensor:
        """Say which tokens have a mark."""
        if mark < 0:
            return torch.isin(ids, torch.tensor(self.ngrams.capital, device=ids.device))
        if modifiers is None or modifiers.shape[1] <= mark:
            return torch.zeros_like(ids, dtype=torch.bool)
        return modifiers[:, mark] != 0


@dataclass
class _Text:
    """The letters of a batch of sequences.

    ``symbols`` are their numbers ``(batch, letters)``, -1 where one is not known; ``own`` tells which are no padding, and
    ``marks`` of each kind of mark which letters have it.
    """

    base: int
    symbols: Tensor
    own: Tensor
    marks: dict[int, Tensor]
    coded: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def position(self) -> Tensor:
        """Positions of letters ``(letters,)``."""
        return torch.arange(self.symbols.shape[1], device=self.symbols.device)

    def codes(self, n: int) -> tuple[Tensor, Tensor]:
        """Give a number to the run that begins at each letter, and say whether it is one ``(batch, letters)``."""
        if n not in self.coded:
            letters = self.symbols.shape[1]
            padded = F.pad(self.symbols, (0, n - 1), value=-1)
            code, known = torch.zeros_like(self.symbols), torch.ones_like(self.own)
            for shift in range(n):
                symbols = padded[:, shift : shift + letters]
                code, known = code * self.base + symbols.clamp(min=0), known & (symbols >= 0)
            self.coded[n] = code, known
        return self.coded[n]

    def shares(self, kind: Kind) -> Tensor:
        """Give the share of each run among those that are counted: float64 ``(batch, runs)``."""
        code, known = self.codes(kind.n)
        counted = known & self._begins(kind)
        width = self.base**kind.n
        counts = torch.zeros(len(code), width, dtype=torch.float64, device=code.device)
        counts.scatter_add_(1, torch.where(counted, code, 0), counted.double())
        return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)

    def _begins(self, kind: Kind) -> Tensor:
        """Say at which letters runs begin that are counted."""
        if kind.where == "all":
            return self.own
        if kind.where == "frame":
            return (self.position % 3 == 0).expand_as(self.own)
        if kind.where == "marked":
            return self.marks[kind.mark]
        before, behind = self._regions(self.marks[kind.mark])
        return before if kind.where == "before" else behind

    def _regions(self, begins: Tensor) -> tuple[Tensor, Tensor]:
        """Say which letters stand before all codons, and which behind."""
        position, letters = self.position, self.symbols.shape[1]
        first = torch.where(begins, position, letters).amin(dim=1, keepdim=True)
        last = torch.where(begins, position + 2, -1).amax(dim=1, keepdim=True)
        return self.own & (position < first), self.own & (position >= first) & (position > last)

    def numbers(self, kind: Kind) -> Tensor:
        """Give a block of numbers: float64 ``(batch, numbers)``."""
        lengths = self.own.sum(dim=1).double()
        if kind.where == "length":
            return lengths.clamp(min=1).log()[:, None]
        marks = self.marks[kind.mark]
        if kind.where == "marks":
            count = marks.sum(dim=1).double()
            return torch.stack([count.log1p(), count / lengths.clamp(min=1)], dim=1)
        before, behind = (region.sum(dim=1).double() for region in self._regions(marks))
        return torch.stack([before, lengths - before - behind, behind], dim=1).log1p()


class MayBeWide(Beside):
    """Lets a class of models make those that have a linear part, where their configuration holds one."""

    def __new__(cls, config: Any = None, *args: Any, **options: Any) -> Self:
        """Make an object of the class with a linear part, if it is to have one: so also the Auto classes load it."""
        wide = getattr(config, "wide", None) and not issubclass(cls, WithWide)
        return object.__new__(wide_class(cls) if wide else cls)  # pyright: ignore[reportArgumentType, reportReturnType]


class WithWide(Beside):
    """What is added to the class of a model: its linear part."""

    wide: Wide

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # pyright: ignore[reportCallIssue]
        self.wide = Wide(config.wide, config.num_labels or 1)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, modifiers: Tensor | None = None, **kwargs: Any
    ) -> SequenceClassifierOutput:
        """Compute the outputs: those of the network, and what the linear part adds.

        Parameters
        ----------
        input_ids, attention_mask, modifiers
            As for the model without it.

        Returns
        -------
        SequenceClassifierOutput
            With ``logits`` ``(batch, outputs)``.
        """
        network = super().forward(input_ids, attention_mask, modifiers)  # pyright: ignore[reportAttributeAccessIssue]
        return SequenceClassifierOutput(logits=network.logits + self.wide(input_ids, attention_mask, modifiers))


@cache
def wide_class(model_class: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """Make the class of models with a linear part; it has the name of the original, because its name goes into config.json.

    Parameters
    ----------
    model_class : type
        Of the models without.
    """
    return type(model_class.__name__, (WithWide, model_class), {"__module__": model_class.__module__})


def is_wide(model: PreTrainedModel) -> bool:
    """Tell whether a model has a linear part.

    Parameters
    ----------
    model : PreTrainedModel
        Any model.
    """
    return isinstance(model, WithWide)


def attach(model: PreTrainedModel, wide: Wide) -> None:
    """Give a model a linear part, beside a network that stays as it is.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.
    wide : Wide
        Its linear part.
    """
    model.config.wide = wide.content
    model.wide = wide
    model.__class__ = wide_class(type(model))


def widen(model: PreTrainedModel, wide: Wide, tried: Sequence[Sequence[int]], independent: bool) -> None:
    """Give a model a linear part, and let its network begin by adding nothing to it.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.
    wide : Wide
        Its linear part.
    tried : sequence of sequence of int
        Ids of sequences on which the network is tried.
    independent : bool
        Whether each output means something by itself; of classes of which one is right, only differences do.

    Raises
    ------
    RnalmError
        If the network goes on to add something although its last layer gives nothing.
    """
    _silence(model, tried)
    found = _outputs(model, tried)
    if not independent:
        found = found - found[:, :1]
    if found.any():
        name = getattr(model.config, "network", model.config.model_type)
        problem = f"{name} gives {found.flatten()[found.flatten().abs().argmax()]:.3g} where its last layer gives 0"
        raise RnalmError(f"model.wide: {problem}; expected a network whose last layer makes its outputs, or wide: false")
    attach(model, wide)


def _silence(model: PreTrainedModel, tried: Sequence[Sequence[int]]) -> None:
    """Set the weights of the layer to 0 that is run last."""
    ran: list[nn.Module] = []
    layers = [layer for layer in model.modules() if next(layer.parameters(recurse=False), None) is not None]
    hooks = [layer.register_forward_hook(lambda layer, *_: ran.append(layer)) for layer in layers]
    _outputs(model, tried[:1])
    for hook in hooks:
        hook.remove()
    for weights in ran[-1].parameters(recurse=False):
        nn.init.zeros_(weights)


@torch.no_grad()
def _outputs(model: PreTrainedModel, tried: Sequence[Sequence[int]]) -> Tensor:
    """Compute the outputs for sequences, without dropout ``(sequences, outputs)``."""
    was_training = model.training
    found = [model.eval()(torch.tensor([ids])).logits for ids in tried]
    model.train(was_training)
    return torch.cat(found)
