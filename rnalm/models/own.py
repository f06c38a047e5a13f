"""A network of a user's own, in the frame of ours: ids go in, logits or numbers come out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.models import code
from rnalm.models.chain import NoChain, parts
from rnalm.models.heads import in_units
from rnalm.models.local import Local
from rnalm.models.own_config import BASES, OwnConfig
from rnalm.models.weights import start
from rnalm.models.wide import MayBeWide

#: Nearer to 0 and 1 than this, a probability in float32 has no logit that can be trusted.
NEAREST = 1e-7


class OwnNetwork(MayBeWide, PreTrainedModel):
    """Runs a network that takes one-hot letters or ids.

    Its configuration holds a copy of the code. Sequences of unlike lengths go through one length after the other, so that the
    network never sees padding.

    Parameters
    ----------
    config : OwnConfig
        With the code, and what to make of it.

    Raises
    ------
    RnalmError
        If the code cannot be run, has no such class, or that cannot be made so.
    """

    config_class = OwnConfig
    config: OwnConfig
    main_input_name = "input_ids"
    accepts_loss_kwargs = False

    def __init__(self, config: OwnConfig) -> None:
        super().__init__(config)
        self.module = code.run(config.code, config.origin)
        network = code.find(self.module, config.network, config.origin)
        try:
            self.network: nn.Module = network(**config.network_args)
        except Exception as error:
            raise RnalmError(f"{config.origin}: {config.network} cannot be made with model.args: {error}") from error
        if not isinstance(self.network, nn.Module):
            raise RnalmError(f"{config.origin}: {config.network} is no torch.nn.Module, found {type(self.network).__name__}")
        self.post_init()

    @classmethod
    def from_pretrained(cls, place: str | Path, *, config: OwnConfig, **options: Any) -> Any:
        """Make the network as its code does, and give it the weights of a folder.

        Elsewhere networks are made without memory first; what code of any kind computes while it is made would be lost so.

        Parameters
        ----------
        place : path
            The folder.
        config : OwnConfig
            That of the model.
        **options
            As those of transformers, of which the weights need none.

        Returns
        -------
        model : OwnNetwork
            With the weights of the folder.
        loading : dict
            What did not fit, as transformers say it.
        """
        model, saved = cls(config), load_file(Path(place) / contract.WEIGHTS)
        own = model.state_dict()
        shapes = {name: (saved[name].shape, tensor.shape) for name, tensor in own.items() if name in saved}
        wrong = [(name, there, here) for name, (there, here) in shapes.items() if there != here]
        loading = {"mismatched_keys": wrong, "missing_keys": set(own) - set(saved), "unexpected_keys": set(saved) - set(own)}
        if not wrong:
            model.load_state_dict(saved, strict=False)
        return model, loading

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Leave the network's own initialization as it is."""

    def native(self, logits: Tensor) -> Tensor:
        """Turn logits back into what the network gives.

        Parameters
        ----------
        logits : Tensor
            From :meth:`forward` ``(batch, outputs)``.
        """
        if self.config.gives != "probabilities":
            return logits
        return logits.sigmoid() if self.config.independent else logits.softmax(dim=1)

    @property
    def criterion(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        """The loss that the file has, of what the network gives and of targets."""
        return self._made("criterion")

    def optimizer(self, learning_rate: float) -> tuple[type, dict[str, Any]] | None:
        """Give the optimizer that the file has, and its options, if it has one.

        Parameters
        ----------
        learning_rate : float
            That of the configuration.
        """
        found = self._made("get_optimizer", learning_rate)
        if found is not None and not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
            raise RnalmError(f"{self.config.origin}: get_optimizer gives {found!r}, expected a class and its options")
        return found

    def _made(self, name: str, *given: Any) -> Any:
        """Call a function of the file, if there is one of that name."""
        make = getattr(self.module, name, None)
        try:
            return make(*given) if make is not None else None
        except Exception as error:
            problem = (str(error).splitlines() or [type(error).__name__])[0]
            raise RnalmError(f"{self.config.origin}: {name} fails ({problem})") from error

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, modifiers: Tensor | None = None, **kwargs
    ) -> SequenceClassifierOutput:
        """Compute the outputs.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``, padded on the right.
        attention_mask : Tensor, optional
            ``(batch, length)``, 1 at tokens; None: no padding.
        modifiers : Tensor, optional
            There are none.

        Returns
        -------
        SequenceClassifierOutput
            With ``logits`` ``(batch, outputs)``.
        """
        if attention_mask is None or bool(attention_mask.all()):
            return SequenceClassifierOutput(logits=self.logits(input_ids))
        lengths = attention_mask.sum(dim=1)
        found: dict[int, Tensor] = {}
        for length in lengths.unique().tolist():
            rows = torch.nonzero(lengths == length)[:, 0]
            outputs = self.logits(input_ids[rows, :length])
            found |= dict(zip(rows.tolist(), outputs, strict=True))
        return SequenceClassifierOutput(logits=torch.stack([found[row] for row in range(len(lengths))]))

    def logits(self, input_ids: Tensor) -> Tensor:
        """Compute logits, or numbers.

        Parameters
        ----------
        input_ids : Tensor
            Of sequences of one length ``(batch, length)``.

        Returns
        -------
        Tensor
            ``(batch, outputs)``
        """
        own = self.native_of(input_ids)
        if self.config.strands == "none":
            return self._logits(own)
        # The complement of A, C, G, T is T, G, C, A.
        other = self._run(self._one_hot(input_ids).flip(1, 2))
        own, other = (self._told(each) for each in (own, other))
        both = torch.maximum(own, other) if self.config.strands == "max" else (own + other) / 2
        return self._logits(both, told=True)

    @property
    def local(self) -> Callable[[], Local]:
        """Describes the network by its parts, if it says so itself or is a chain of convolutions; there is none of others."""
        config = self.config
        if config.input != "one_hot" or config.strands != "none":
            raise AttributeError("both strands, or ids, are read together")

        def inputs(ids: Tensor, modifiers: Tensor | None = None) -> Tensor:
            return self._one_hot(ids)

        was_training = self.training
        try:
            found = parts(self.network.eval(), inputs, self._logits)
        except NoChain as error:
            if hasattr(self.network, "local"):
                raise RnalmError(
                    f"{config.origin}: what local() says of {config.network} is not what it does: {error}"
                ) from None
            raise AttributeError(f"{config.network} is no chain of convolutions: {error}") from None
        finally:
            self.train(was_training)
        return lambda: found

    def native_of(self, input_ids: Tensor) -> Tensor:
        """Compute what the network itself gives for sequences as they stand ``(batch, outputs)``.

        Parameters
        ----------
        input_ids : Tensor
            Of sequences of one length ``(batch, length)``.
        """
        return self._run(input_ids if self.config.input == "ids" else self._one_hot(input_ids))

    def _one_hot(self, input_ids: Tensor) -> Tensor:
        """Turn ids into letters ``(batch, 4, length)``."""
        return torch.tensor(self.config.letters, device=input_ids.device)[input_ids].transpose(1, 2)

    def _run(self, inputs: Tensor) -> Tensor:
        try:
            outputs = self.network(inputs)
        except torch.OutOfMemoryError:
            raise  # who asked can ask for less
        except Exception as error:
            shape, problem = tuple(inputs.shape), (str(error).splitlines() or [type(error).__name__])[0]
            raise RnalmError(f"{self.config.origin}: {self.config.network} does not take {shape} ({problem})") from error
        if not isinstance(outputs, Tensor):
            gives = f"{self.config.origin}: {self.config.network} gives {type(outputs).__name__}"
            raise RnalmError(f"{gives}, expected a tensor (batch, outputs)")
        expected = (len(inputs), self.config.num_labels or 1)
        if tuple(outputs.shape) != expected:
            gives = f"{self.config.origin}: {self.config.network} gives {tuple(outputs.shape)}"
            raise RnalmError(f"{gives}, expected {expected} (batch, outputs)")
        return outputs.float()

    def _told(self, outputs: Tensor) -> Tensor:
        """Turn outputs into what is reported: probabilities, or numbers."""
        if self.config.gives != "logits":
            return outputs
        return outputs.sigmoid() if self.config.independent else outputs.softmax(dim=1)

    def _logits(self, outputs: Tensor, told: bool = False) -> Tensor:
        """Turn outputs into logits, or numbers."""
        if self.config.gives == "numbers":
            return in_units(outputs, self.config)
        if self.config.gives == "logits" and not told:
            return outputs
        probabilities = outputs.clamp(NEAREST, 1 - NEAREST)
        return probabilities.logit() if self.config.independent else probabilities.log()


def create(
    options: dict, vocab_size: int, modifier_channels: int, n_outputs: int, special: dict[str, int], **extra: Any
) -> PreTrainedModel:
    """Make a model of the code that a user names (see :func:`rnalm.models.registry.create`).

    Parameters
    ----------
    options : dict
        The ``model`` section of the configuration, without its name.
    vocab_size, modifier_channels, n_outputs, special
        As for :func:`rnalm.models.registry.create`.
    **extra
        Further entries of ``config.json``, of which ``tokens``, the names of tokens by their ids, and ``task`` are needed.

    Raises
    ------
    RnalmError
        If the code cannot be run or made, tokens have modifiers, or weights do not fit.
    """
    if modifier_channels:
        raise RnalmError("model.name: file takes letters alone; expected no source.modifier_sep")
    tokens, task = extra.pop("tokens"), extra.pop("task")
    given = options["outputs"] or "probabilities"
    if task == "regression" and options["outputs"]:
        raise RnalmError(f"model.outputs: {options['outputs']} is for classes, found task: regression")
    config = OwnConfig(
        code=code.read(options["path"]),
        origin=options["path"],
        network=options["class"],
        network_args=options["args"],
        input=options["input"],
        gives="numbers" if task == "regression" else given,
        independent=task == "multilabel",
        strands=options["strands"],
        letters=letters(tokens, special, options["input"]),
        vocab_size=vocab_size,
        special_tokens=special.values(),
        pad_token_id=special["pad"],
        unknown=special["unk"],
        num_labels=n_outputs,
        **extra,
    )
    model = OwnNetwork(config)
    if options["weights"]:
        start(model.network, options["weights"], options["by_order"])
    return model


def letters(tokens: Sequence[str], special: dict[str, int], reads: str) -> list[list[float]]:
    """Say what the base of each token is: ``(tokens, 4)``, for A, C, G and T.

    Parameters
    ----------
    tokens : sequence of str
        Their names, by id.
    special : dict
        Ids of special tokens: padding has no base; others, such as that of a masked token, have an unknown one.
    reads : {'one_hot', 'ids'}
        What the network takes.

    Raises
    ------
    RnalmError
        If a token is no nucleotide, and the network takes one-hot letters.
    """
    table = []
    for index, token in enumerate(tokens):
        bases = BASES.get(token.upper(), "ACGT" if index in special.values() else "")
        if not bases and reads == "one_hot":
            raise RnalmError(f"model.input: one_hot is for nucleotides, and {token!r} is none; expected input: ids")
        known = bases if index != special["pad"] else ""
        # IUPAC codes are read as Selene reads them: what is no base is unknown.
        share = 1.0 if len(known) == 1 else 0.25
        table.append([share if known and (base in known or len(known) > 1) else 0.0 for base in "ACGT"])
    return table


AutoConfig.register("file", OwnConfig)
AutoModelForSequenceClassification.register(OwnConfig, OwnNetwork)
