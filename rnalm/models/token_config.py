"""What configurations of our own architectures share: tokens, which of them mean something, and the unit of outputs."""

from collections.abc import Iterable

from transformers import PreTrainedConfig

from rnalm.tokens.dataset import PAD


class TokenConfig(PreTrainedConfig):
    """Tokens that a model of ours reads, and the numbers that it writes.

    Parameters
    ----------
    vocab_size : int
        Tokens, special tokens included.
    special_tokens : int or iterable of int
        Ids that mean nothing: they are zero vectors. A number stands for the first so many ids; as such they are kept.
    modifier_channels : int
        Modifiers of a token.
    output_mean, output_sd : float or list of float
        Mean and standard deviation of the training targets, or of each of several: what the head computes is in units of these,
        so that initialization, penalty and step size suit any scale of labels.
    pad_token_id : int
        The special token that fills up shorter sequences of a batch; kept where it is not the usual one.
    **kwargs
        Further entries of ``config.json``.
    """

    #: Of models whose ``config.json`` names no other.
    pad_token_id = PAD

    def __init__(
        self,
        vocab_size: int = 11,
        special_tokens: int | Iterable[int] = 7,
        modifier_channels: int = 0,
        output_mean: float | list[float] = 0.0,
        output_sd: float | list[float] = 1.0,
        pad_token_id: int = PAD,
        **kwargs,
    ) -> None:
        self.vocab_size = vocab_size
        if not isinstance(special_tokens, int):
            ids = sorted(set(special_tokens))
            special_tokens = len(ids) if ids == list(range(len(ids))) else ids
        self.special_tokens = special_tokens
        if pad_token_id != self.pad_token_id:
            self.pad_token_id = pad_token_id
        self.modifier_channels = modifier_channels
        self.output_mean = output_mean
        self.output_sd = output_sd
        super().__init__(**kwargs)

    @property
    def channels(self) -> int:
        """Tokens that are not special, and modifiers."""
        special = self.special_tokens if isinstance(self.special_tokens, int) else len(self.special_tokens)
        return self.vocab_size - special + self.modifier_channels

    @property
    def plain(self) -> slice | list[int]:
        """Ids that are not special, in their order."""
        if isinstance(self.special_tokens, int):
            return slice(self.special_tokens, None)
        return [index for index in range(self.vocab_size) if index not in self.special_tokens]


def by_token(config: PreTrainedConfig) -> bool:
    """Tell whether a model has outputs for each token, and not for the sequence.

    Parameters
    ----------
    config : PreTrainedConfig
        Of any model.
    """
    return getattr(config, "per", "sequence") == "token"
