"""What makes a model of a user's own code: the code itself, and how it is used."""

from typing import Any

from rnalm.models.token_config import TokenConfig

#: The bases that a letter may stand for: IUPAC-IUB codes, Eur. J. Biochem. 150, 1–5 (1985).
BASES = {
    **{"A": "A", "C": "C", "G": "G", "T": "T", "U": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC"},
    **{"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"},
}


class OwnConfig(TokenConfig):
    """The code of a network, and what it takes and gives.

    Parameters
    ----------
    code : dict of str to str
        Python files by name.
    origin : str
        Where they were.
    network : str
        The class.
    network_args : dict
        What it is made with.
    input : {'one_hot', 'ids'}
        What it takes.
    gives : {'probabilities', 'logits', 'numbers'}
        What it gives.
    independent : bool
        Whether each class has a probability of its own.
    strands : {'none', 'mean', 'max'}
        How what it gives for both strands is combined.
    letters : list
        Of each token, its part of A, C, G and T ``(tokens, 4)``.
    unknown : int
        Id of unknown tokens, which fill sequences up that are shorter than a network of one length takes.
    length : int or None
        Letters that it takes; None: any number, or it is not known.
    **kwargs
        What every model of ours has (see :class:`~rnalm.models.token_config.TokenConfig`), and further entries.
    """

    model_type = "file"

    def __init__(
        self,
        code: dict[str, str] | None = None,
        origin: str = "",
        network: str = "",
        network_args: dict[str, Any] | None = None,
        input: str = "one_hot",
        gives: str = "probabilities",
        independent: bool = False,
        strands: str = "none",
        letters: list[list[float]] | None = None,
        unknown: int = 0,
        length: int | None = None,
        **kwargs,
    ) -> None:
        self.code, self.origin = code or {}, origin
        self.network, self.network_args = network, network_args or {}
        self.input, self.gives, self.independent, self.strands = input, gives, independent, strands
        self.letters = letters or []
        self.unknown, self.length = unknown, length
        super().__init__(**kwargs)
