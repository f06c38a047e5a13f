"""Configuration of the effects of variants."""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rnalm.config import contract
from rnalm.config.genome import Contigs
from rnalm.config.section import Section

#: What is told of each allele, by what Selene calls it, and how the columns are called that hold it.
SCORES = {
    "diffs": ("diff",),
    "abs_diffs": ("abs_diff",),
    "logits": ("logit_diff",),
    "predictions": ("ref_pred", "alt_pred"),
}


class OnTranscripts(Section):
    """Transcripts on a genome: what variants of the genome change in a model of transcripts."""

    fasta: str
    """FASTA file of their letters, exons joined, 5′ to 3′; called as in `bed`, up to the first vertical bar."""
    bed: str
    """GTF, or BED with twelve columns, that lays them on the genome."""
    codons: Literal["upper"] | None = None
    """`upper`: the first base of each codon is in upper case, all others in lower case; null: codons are not marked so."""
    junctions: str | None = Field(default=None, min_length=1)
    """What is put behind the first base behind each junction of exons, such as `ej`, so that it is a token of its own, `gej`; \
null: nothing."""
    modifiers: list[Literal["codons", "junctions"]] = []
    """What the modifiers of a token are, in the order of the model's channels: 1 for the first base of a codon (`codons`), or \
for the last base of an exon (`junctions`), and 0 for others."""


class Variants(Section):
    """A file of variants whose effect on the prediction is computed, by all models together."""

    path: Annotated[
        list[str],
        Field(min_length=1),
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=str | list[str]),
    ]
    """VCF (plain or compressed), BCF, or a table whose first line names `chrom`, `pos`, `ref`, `alt`, and perhaps `strand`; \
or a list of such files, which are read one after the other."""
    genome: str | None = None
    """FASTA file of the genome, plain or compressed; or `transcripts`."""
    transcripts: OnTranscripts | None = None
    """For models of transcripts: an allele is scored in each transcript in whose exons it lies, which the models see whole; \
null: on the genome."""
    index: str | None = None
    """Folder for its index, where there is none beside it; null: `genome/` in that of the experiment."""
    length: int | None = Field(default=None, ge=1)
    """Bases of a window; null: that of `source`, where it is a genome."""
    anchor: Literal["left", "right", "both"] = "both"
    """For models of one length, and alleles that change it: which window of the edited chromosome is predicted. One that \
shares the start of that of the genome (`left`), or its end (`right`), or the mean of `both`. Other models get what becomes of \
the window, longer or shorter."""
    scores: list[Literal["diffs", "abs_diffs", "logits", "predictions"]] = Field(default=["diffs"], min_length=1)
    """What is told: `diffs`, the prediction with ALT minus that with REF; `abs_diffs`, its size; `logits`, for classes, the \
difference of logits; `predictions` with REF and with ALT."""
    strand_column: str | int | None = None
    """The column that says which strand is read, by its name, or its number from 0; null: `strand`, if there is one. Where it \
is empty or `.`, the forward strand is."""
    phased: (
        Annotated[
            list[str],
            Field(min_length=1),
            BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=str | list[str]),
        ]
        | None
    ) = None
    """A sample of a VCF file, or several: the alleles that they carry, each together with all others of its haplotype that \
stand in its window; null: each allele by itself."""
    require_strand: bool = False
    """Whether an allele of which no strand is known is left out (`NA.tsv`)."""
    formats: list[Literal["parquet", "tsv", "hdf5", "vcf"]] = Field(default=["parquet"], min_length=1)
    """`parquet`, and beside it `tsv` or `hdf5`, the files that Selene writes of each file of variants, in `selene/`, with all \
digits; or `vcf`, each file again (VCF or BCF alone), with the scores in INFO. On transcripts, `tsv` has a column \
`transcript`, and `vcf` an entry for each."""
    scorer: Literal["auto", "naive", "incremental"] = "auto"
    """`incremental` computes once what windows share, and of edited ones only what the edit changes, with the same effects \
(local architectures only, as for `interpret`); `naive` runs the models on each window; `auto`: the first where the \
architecture allows it."""
    regions: str | None = None
    """BED file (contig, start, end, name) of genes or other regions of the genome, of which the report names those where the \
strongest effects are, or the nearest; null: none."""
    shards: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Jobs among which the work is divided; `auto`: by the sizes of the files."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("scores", "formats"):
            if len(set(getattr(self, key))) < len(getattr(self, key)):
                raise ValueError(f"{key} must differ from each other, found {getattr(self, key)}")
        if "parquet" not in self.formats:
            raise ValueError(f"formats: parquet is always among them, found {self.formats}")
        if (self.genome is None) == (self.transcripts is None):
            raise ValueError("genome: expected this or transcripts, " + ("found both" if self.genome else "found neither"))
        if self.phased is not None:
            if len(set(self.phased)) < len(self.phased):
                raise ValueError(f"phased: samples must differ from each other, found {self.phased}")
            if self.further:
                found = f"found {self.further[0]}, which tells of alleles by themselves"
                raise ValueError(f"formats: of haplotypes (phased) there is parquet alone, {found}")
        if self.transcripts is not None:
            for key in ("length", "anchor", "phased", "regions", "strand_column", "require_strand"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key} is for variants on a genome, found transcripts")
        if self.further:
            self._check_stems()
        return self

    def _check_stems(self) -> None:
        """Refuse files of which what is written beside Parquet could not be told apart, or named."""
        for stem, count in Counter(map(contract.stem, self.path)).items():
            own = [path for path in self.path if contract.stem(path) == stem]
            if count > 1:
                both = " and ".join(own[:2])
                raise ValueError(f"path: {both} would both become {stem}.…; rename one, or put them into sections of their own")
            if not stem or set(stem) & set("{}\n"):
                raise ValueError(f"path: files beside Parquet are called after {own[0]!r}; expected a name without braces")

    @property
    def further(self) -> list[str]:
        """Formats beside Parquet."""
        return [name for name in self.formats if name != "parquet"]

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """What is written beside Parquet, by its place: of which file, in which format and score, and whether by transcript."""
        found: dict[str, dict[str, Any]] = {}
        columns = [column for score in self.scores for column in SCORES[score]]
        for path in self.path:
            stem = contract.stem(path)
            for kind in self.further:
                own = {f"{stem}.vcf.gz": ("vcf", "")} if kind == "vcf" else contract.selene(stem, kind, columns)
                found |= {name: {"column": column, "kind": what, "path": path} for name, (what, column) in own.items()}
        return {name: asked | {"spliced": self.transcripts is not None} for name, asked in found.items()}

    @property
    def contigs(self) -> Contigs:
        """Which contigs of the genome are read: all."""
        return Contigs()

    @property
    def paths(self) -> list[str]:
        """The files that are read: variants and what says what stands where, the genome, or transcripts and where they lie."""
        return [*self.path, self.letters, *([self.transcripts.bed] if self.transcripts is not None else [])]

    @property
    def letters(self) -> str:
        """The FASTA file that is read."""
        path = self.transcripts.fasta if self.transcripts is not None else self.genome
        assert path is not None, "one of them is given"
        return path
