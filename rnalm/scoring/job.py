"""What one shard of the scores is made of."""

from dataclasses import dataclass

from rnalm.config import Interpret
from rnalm.config.results import Mutate, Sites
from rnalm.labels.labels import Labels
from rnalm.scoring.check import explained_site

#: What the configuration says where the user sets nothing.
DEFAULT = Interpret()


@dataclass(frozen=True, kw_only=True)
class Job:
    """One shard of the scores of a source.

    Attributes
    ----------
    model_folders : list of str
        Folders of the models.
    encoded : str
        The encoded source.
    folds : str or None
        File of the folds, whose models (as many for each, in order) score their test rows; None: every model scores every row.
    mode : str
        What is computed: a key of :data:`rnalm.scoring.modes.MODES`.
    replacements : dict
        For mode ``replace``: each token, or letter, and those that take its place.
    replace_modifiers : bool
        For mode ``replace``: whether to set the modifiers of a token to 0, too.
    explain : str, list of str or None
        ``predicted``, ``all``, the name of a class, or names of several; None: the predicted one or, where tokens have labels,
        that of sites.
    scale : {'probability', 'logit'}
        What of a class is explained.
    sample_size : int or None
        Score a random sample of so many sequences; None: all.
    shard, shards : int
        Which of how many shards, from 0 on.
    level : {'token', 'base'}
        What is perturbed.
    steps : int
        Steps on the way from the baseline, for integrated gradients.
    scorer : {'auto', 'naive', 'incremental'}
        How outputs for perturbed sequences are computed.
    precision : {'float32', 'tf32', 'bf16'}
        In which to multiply.
    batch_tokens : int or None
        Tokens, or changed positions, computed together, at most; None: as many as free memory allows.
    seed : int or None
        Draws the sample.
    explain_at : str or list of int
        Where tokens have labels: ``sites``, ``labels``, ``all``, or the positions whose predictions are explained.
    trust : bool
        Whether to run code of a user's own that models hold.
    mutate : dict or None
        For mode ``mutate``: what a :class:`rnalm.config.results.Mutate` is made of.
    sites : dict or None
        Where tokens have labels, what a site is: what a :class:`rnalm.config.results.Sites` is made of.
    """

    model_folders: list[str]
    encoded: str
    folds: str | None
    mode: str
    replacements: dict[str, list[str]]
    replace_modifiers: bool
    explain: str | list[str] | None
    scale: str
    sample_size: int | None
    shard: int
    shards: int
    level: str = DEFAULT.level
    steps: int = DEFAULT.steps
    scorer: str = DEFAULT.scorer
    precision: str = DEFAULT.precision
    batch_tokens: int | None = None
    seed: int | None = None
    explain_at: str | list[int] = DEFAULT.explain_at
    trust: bool = False
    mutate: dict | None = None
    sites: dict | None = None

    @property
    def mutation(self) -> Mutate:
        """What mode ``mutate`` exchanges."""
        return Mutate(**(self.mutate or {}))

    @property
    def bases(self) -> int:
        """How many tokens or letters are changed at a time."""
        return self.mutation.bases if self.mode == "mutate" else 1

    def site_of(self, labels: Labels) -> str | None:
        """Name the class of sites, where tokens have labels; see :func:`rnalm.scoring.check.explained_site`.

        Parameters
        ----------
        labels : Labels
            What the outputs of the models mean.
        """
        if labels.per == "sequence":
            return None
        return explained_site(self.explain, self.explain_at, labels, Sites(**self.sites) if self.sites else None)
