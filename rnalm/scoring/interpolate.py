"""From a baseline to a sequence, in what enters a model."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rnalm.errors import RnalmError
from rnalm.labels.labels import Labels
from rnalm.models.local import Local
from rnalm.scoring.explain import averages_strands
from rnalm.scoring.scorers.naive import counting
from rnalm.tokens.batches import collate
from rnalm.tokens.dataset import Encoded


class Interpolation:
    """What lies between the baseline of a sequence and the sequence itself, in what enters a model.

    Parameters
    ----------
    model : PreTrainedModel
        A local one, of which the input of the first convolution is varied, or one with an embedding, of which that is.
    sequence : Encoded
        The sequence, with its other strand where the model averages over both.
    pad : int
        Id of ``[PAD]``, of which the baseline consists.
    precision : {'float32', 'tf32', 'bf16'}
        In which to multiply.
    labels : Labels
        What the model's outputs mean.

    Raises
    ------
    RnalmError
        If the model does not embed a sequence, or not just once.

    Attributes
    ----------
    values, baselines : tuple of Tensor
        What enters for the sequence, and for its baseline; of a model that averages, also for the other strand. Each is one
        row, ``(1, channels, length)`` or ``(1, length, features)``.
    places : list of Tensor
        For each strand, where in these its tokens stand ``(tokens,)``.
    length : int
        Tokens of all strands, with their frames.
    bytes : float
        What the layers put out for one token.
    """

    def __init__(self, model: PreTrainedModel, sequence: Encoded, pad: int, precision: str, labels: Labels) -> None:
        self.model, self.precision, self.labels, self.local = model, precision, labels, hasattr(model, "local")
        self.positions_first = False
        self.layer: nn.Module = _first_convolution(model) if self.local else _embedding(model)
        strands = [sequence, sequence.twin()] if averages_strands(model) else [sequence]
        self.strands = [_inputs(model, strand) for strand in strands]
        with torch.no_grad(), counting(model) as sizes:
            entering = [self._enter(inputs) for inputs in self.strands]
        with torch.no_grad():
            blank = [self._enter(_blank(inputs, pad)) for inputs in self.strands]
        self.values, self.baselines = (tuple(value for value, _ in pairs) for pairs in (entering, blank))
        tokens = torch.arange(len(sequence.input_ids), device=model.device)
        # Where ids give way to [PAD] they are the sequence's; elsewhere they are the frame's.
        self.places = [
            tokens if self.local else (ids != pads).nonzero()[:, 0] for (_, ids), (_, pads) in zip(entering, blank, strict=True)
        ]
        self.length = sum(value.shape[2 if self.local else 1] for value in self.values)
        self.bytes = sum(sizes) / self.length

    def at(self, part: float) -> tuple[Tensor, ...]:
        """Give what enters the model at a part of the way.

        Parameters
        ----------
        part : float
            From 0, the baseline, to 1, the sequence.
        """
        return tuple(a + part * (b - a) for a, b in zip(self.baselines, self.values, strict=True))

    def outputs(self, *values: Tensor) -> Tensor:
        """Compute the model's outputs, averaged over the strands: float32 ``(rows, outputs)``.

        Parameters
        ----------
        *values : Tensor
            What enters for each strand, of any number of rows.
        """
        outputs = [self._run(inputs, value)[0] for inputs, value in zip(self.strands, values, strict=True)]
        return outputs[0] if len(outputs) == 1 else self.labels.average(outputs)

    def by_token(self, added: Sequence[Tensor]) -> np.ndarray:
        """Sum what belongs to the same token, over channels and both strands: float64 ``(tokens,)``.

        Parameters
        ----------
        added : sequence of Tensor
            What each number that enters for a strand adds, in the shape of ``values``.
        """
        sums = [value[0].double().sum(0 if self.local else 1)[places] for value, places in zip(added, self.places, strict=True)]
        total = sums[0] if len(sums) == 1 else sums[0] + sums[1].flip(0)
        return total.cpu().numpy()

    def _enter(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Look up what enters the model, as one row, and the ids, if any, that it was made of ``(length,)``."""
        calls = self._run(inputs)[1]
        if len(calls) != 1:
            raise _refusal(self.model)
        [(ids, entering)] = calls
        # Some models have positions before rows.
        self.positions_first = not self.local and len(ids) > 1
        return entering.transpose(0, 1) if self.positions_first else entering, ids.flatten()

    def _run(self, inputs: dict[str, Tensor], value: Tensor | None = None) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Run the model, with a value of several rows in place of its own if there is one.

        Returns
        -------
        outputs : Tensor
            float32 ``(rows, outputs)``
        calls : list of tuple of Tensor
            The argument of the layer in each of its calls, and what entered the rest of the model.
        """
        calls = []
        if value is not None and self.positions_first:
            value = value.transpose(0, 1)

        def before(layer: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
            calls.append((arguments[0], arguments[0]))
            return arguments if value is None else (value,)

        def after(layer: nn.Module, arguments: tuple[Tensor], embedded: Tensor) -> Tensor:
            calls.append((arguments[0], embedded))
            return embedded if value is None else value

        hook = self.layer.register_forward_pre_hook(before) if self.local else self.layer.register_forward_hook(after)
        rows = 1 if value is None else value.shape[self.positions_first]
        inputs = {name: x.expand(rows, *x.shape[1:]) for name, x in inputs.items()}
        try:
            with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                return self.model(**inputs).logits.float(), calls
        finally:
            hook.remove()


def _first_convolution(model: PreTrainedModel) -> nn.Module:
    """Give what the input of a local model enters."""
    local: Local = model.local()  # pyright: ignore[reportCallIssue]
    return local.entry or local.layers[0].convolution


def _embedding(model: PreTrainedModel) -> nn.Module:
    """Give what turns ids into vectors."""
    try:
        return model.get_input_embeddings()
    except NotImplementedError:
        raise _refusal(model) from None


def _refusal(model: PreTrainedModel) -> RnalmError:
    kind = model.config.model_type
    return RnalmError(
        f"interpret.method: integrated_gradients needs a model that embeds a sequence once, which {kind} does not"
    )


def _inputs(model: PreTrainedModel, sequence: Encoded) -> dict[str, Tensor]:
    """Make the inputs of a model, one row."""
    batch = collate([sequence], getattr(model.config, "modifier_channels", 0))
    return {name: x.to(model.device) for name, x in batch.items()}


def _blank(inputs: dict[str, Tensor], pad: int) -> dict[str, Tensor]:
    """Make the inputs of the baseline."""
    blank = {name: torch.zeros_like(x) for name, x in inputs.items() if name == "modifiers"}
    return inputs | blank | {"input_ids": torch.full_like(inputs["input_ids"], pad)}
