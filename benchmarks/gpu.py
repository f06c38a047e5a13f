"""Claim: on one GPU a transcriptome is scored in minutes, and training costs what its tokens cost, not what padding does.

Rows of one table, each warm and the median of several turns: leave-one-out scores of many transcripts by a full-size Saluki,
prediction, effects of variants (by shared windows and by whole passes), an epoch of training (Saluki as it comes and with every
row padded to 12,288 tokens, as its authors do; frames; a ModernBERT on 512 tokens), and a Performer on 25,000 nucleotides.
Beside each stand two floors: its arithmetic at the rate of a plain matrix product in the same precision, and what it must read
and write at the rate of a plain copy, both measured first.

    python benchmarks/gpu.py [--device cpu --toy] [--rows loo train] [--output gpu.json]
"""

import argparse
import dataclasses
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import deepsea
import loo
import numpy as np
import torch
import torch.nn.functional as F
import variants
from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback

from rnalm import compute
from rnalm.config import Columns, Encode, Finetune, Folds, HuggingFace, Saluki, Table, Tokenizer
from rnalm.labels import folds
from rnalm.models import registry
from rnalm.prediction.predict import Predictor
from rnalm.scoring.scorers.stretches import StretchScorer, WholeScorer
from rnalm.tokens import learn
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.encode import encode
from rnalm.tokens.tokenizer import save_tokenizer
from rnalm.training import finetune, fold

PADDED = loo.PADDED
#: Tokens of a transcript: the median of human ones, and the spread of their logarithms.
MEDIAN, SPREAD = 3000, 0.7


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes
    ----------
    transcripts : int
        That are scored, of ``length`` nucleotides each.
    length : int
        See there.
    rows : int
        That are trained on and predicted.
    longest : int
        Nucleotides for the Performer, and of a padded row.
    turns : int
        Of which the median counts.
    product : int
        Rows and columns of the matrices whose product sets the rate.
    layers : int
        Of the ModernBERT.
    epochs : int
        That are trained; the first is not counted.
    alleles : int
        Whose effects are computed by a network like DeepSEA's; of transcripts, 30 each.
    window, classes, width : int
        Bases that this network takes, its outputs, and the filters of its first layer.
    """

    transcripts: int = 208
    length: int = 3000
    rows: int = 1024
    longest: int = 25_000
    padded: int = PADDED
    turns: int = 5
    product: int = 8192
    layers: int = 8
    epochs: int = 4
    alleles: int = 2000
    window: int = 1000
    classes: int = 919
    width: int = 320


TOY = Sizes(
    **{"transcripts": 2, "length": 60, "rows": 20, "longest": 90, "padded": 200, "turns": 1, "product": 64, "layers": 1},
    **{"epochs": 2, "alleles": 10, "window": 200, "classes": 3, "width": 4},
)


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """What the device reaches in the simplest of cases: FLOP and bytes per second."""

    float32: float
    bf16: float
    bytes: float


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    what : str
        What was measured.
    seconds : float
        That it took.
    rate, unit : float, str
        How many of what a second.
    flop, bytes : float
        The least that must be computed, and moved.
    peak : float
        FLOP per second of a plain product in the same precision.
    note : str
        What else there is to say.
    """

    what: str
    seconds: float
    rate: float
    unit: str
    flop: float
    bytes: float
    peak: float
    note: str = ""

    def cells(self, ceilings: Ceilings) -> list[str]:
        """Format it; floors in percent of what was measured."""
        floors = self.flop / self.peak, self.bytes / ceilings.bytes
        shares = [f"{floor * 1e3:,.2f} ms, {floor / self.seconds:.0%}" for floor in floors]
        return [self.what, f"{self.seconds * 1e3:,.1f} ms", f"{self.rate:,.0f} {self.unit}/s", *shares, self.note]


HEADER = ["what", "time", "rate", "arithmetic alone", "bytes alone", ""]


def wait(device: torch.device) -> None:
    """Let a GPU finish."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(run: Callable[[], object], device: torch.device, turns: int) -> float:
    """Give the median time of a run, by events of the device, after one that warms up."""
    run()
    taken = []
    for _ in range(turns):
        wait(device)
        if device.type == "cuda":
            began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            began.record()
            run()
            ended.record()
            wait(device)
            taken.append(began.elapsed_time(ended) / 1e3)
        else:
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def ceilings(device: torch.device, sizes: Sizes) -> Ceilings:
    """Measure a plain matrix product in float32 and bfloat16, and a copy."""
    n, rates = sizes.product, []
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.randn(2, n, n, device=device).to(dtype)
        rates.append(2 * n**3 / timed(lambda a=a, b=b: a @ b, device, sizes.turns))
    source = torch.zeros(n * n * 8, device=device)
    target = torch.empty_like(source)
    moved = 2 * source.numel() * source.element_size()
    return Ceilings(*rates, moved / timed(lambda: target.copy_(source), device, sizes.turns))


def transcripts(count: int, sizes: Sizes) -> list[Encoded]:
    """Draw transcripts of lengths as human ones have."""
    draw = np.random.default_rng(1)
    scale = sizes.length / MEDIAN
    lengths = np.clip(draw.lognormal(math.log(MEDIAN * scale), SPREAD, count), 20, sizes.padded).astype(int)
    return [loo.transcript(length, seed) for seed, length in enumerate(lengths.tolist())]


def score(device: torch.device, top: Ceilings, sizes: Sizes) -> Iterator[Row]:
    """Score all substitutions of transcripts of one length, and of lengths as they come."""
    model = loo.saluki(device)
    alike = [loo.transcript(sizes.length, seed) for seed in range(sizes.transcripts)]
    for name, sequences in (("alike", alike), ("of any length", transcripts(sizes.transcripts, sizes))):
        scorer = loo.IncrementalScorer(model)

        def launch(sequence: Encoded, scorer=scorer) -> Callable[[], np.ndarray]:
            return scorer.launch(sequence, loo.edits_of("replace", sequence))

        def run(sequences=sequences, launch=launch) -> None:
            for _, outputs in compute.ahead(sequences, launch, device):
                outputs()

        seconds = timed(run, device, min(3, sizes.turns))
        edits = sum(3 * len(sequence.input_ids) for sequence in sequences)
        some = sequences[:: max(1, len(sequences) // 16)]
        flop = sum(loo.least_flop(model, sequence, loo.edits_of("replace", sequence)) for sequence in some)
        share = edits / sum(3 * len(sequence.input_ids) for sequence in some)
        minutes = seconds / edits * 13_000 * 3000 * 3 / 60
        yield Row(
            f"LOO, substitutions, {len(sequences)} transcripts {name}",
            seconds,
            edits / seconds,
            "scores",
            flop * share,
            8.0 * edits,
            top.float32,
            f"13,000 × 3,000 nt × 3: {minutes:.1f} min",
        )


def predict(device: torch.device, top: Ceilings, sizes: Sizes) -> Iterator[Row]:
    """Predict transcripts of lengths as they come."""
    model, sequences = loo.saluki(device), transcripts(sizes.rows, sizes)
    tokens = sum(len(sequence.input_ids) for sequence in sequences)
    predictor = Predictor(model, 2**18)
    seconds = timed(lambda: predictor(sequences), device, sizes.turns)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.full((1, sizes.length), 7, device=device))
    flop = counter.get_total_flops() / sizes.length * tokens
    yield Row(
        f"prediction, Saluki, {len(sequences):,} transcripts",
        seconds,
        tokens / seconds,
        "tokens",
        flop,
        8.0 * tokens,
        top.float32,
    )


def effects(device: torch.device, top: Ceilings, sizes: Sizes) -> Iterator[Row]:
    """Compute effects of variants: of neighbouring SNVs by a network like DeepSEA's, of 30 a transcript by Saluki."""
    options = argparse.Namespace(**{"length": sizes.window, "alleles": sizes.alleles, "gap": 34, "vcf": None, "device": device})
    options.classes, options.width = sizes.classes, sizes.width
    stretches, counts = variants.windows_of(options)
    each = 30
    made = variants.transcripts(sizes.transcripts, sizes.length, each, each // 10, device)
    cases = {
        "SNVs 34 bases apart, DeepSEA": (deepsea.network(options), stretches, len(counts)),
        f"{each} variants a transcript, 3 of them indels, Saluki": (loo.saluki(device), made, each * sizes.transcripts),
    }
    for name, (model, own, alleles) in cases.items():
        windows = sum(len(set(stretch.windows)) for stretch in own)
        fast, slow = (kind(model, 2**18) for kind in (StretchScorer, WholeScorer))
        seconds = timed(lambda fast=fast, own=own: variants.score(fast, own), device, min(3, sizes.turns))
        part = own[: max(1, len(own) // 8)]
        share = windows / sum(len(set(stretch.windows)) for stretch in part)
        whole = share * timed(lambda slow=slow, part=part: variants.score(slow, part), device, 1)
        length = own[0].windows[0].length
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(torch.full((1, length), loo.FIRST, device=device))
        # What naive scoring takes at least: the point is to do without it.
        flop = counter.get_total_flops() * windows
        note = f"{whole / seconds:.1f} × as fast as whole passes, whose arithmetic stands here"
        yield Row(
            f"variants, {alleles:,} {name}", seconds, alleles / seconds, "alleles", flop, 8.0 * windows, top.float32, note
        )


class Clock(TrainerCallback):
    """Times epochs, without validation and checkpoints."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, []

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        """Begin."""
        wait(self.device)
        self.began = time.perf_counter()

    def on_epoch_end(self, args, state, control, **kwargs) -> None:
        """End."""
        wait(self.device)
        self.seconds.append(time.perf_counter() - self.began)


def trained(sizes: Sizes) -> dict[str, tuple[dict, dict]]:
    """List what is trained: fields of the model, and options of the training."""
    config = {"hidden_size": 384, "intermediate_size": 768, "num_hidden_layers": sizes.layers, "num_attention_heads": 6}
    transformer = HuggingFace(name="hf", type="modernbert", config=config)
    return {
        "Saluki": (Saluki().model_dump(), {}),
        "frames": ({"name": "frames", "layers": 2}, {}),
        "ModernBERT, 512 tokens, bf16": (transformer.model_dump(), {"bf16": True}),
    }


def prepare(folder: Path, lengths: list[int]) -> dict[str, str]:
    """Write, encode and divide random transcripts."""
    draw = np.random.default_rng(0)
    texts = ["".join(draw.choice(list("ACGT"), length)) for length in lengths]
    lines = [f"s{row}\t{text}\t{text.count('A') / len(text)}\n" for row, text in enumerate(texts)]
    (folder / "table.tsv").write_text("".join(["id\tsequence\tlabel\n", *lines]))
    source = Table(path=str(folder / "table.tsv"), columns=Columns(id="id", sequence="sequence", label="label"))
    tokenizer = learn.learn(source, Tokenizer())
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    encode(source, tokenizer, folder / "encoded.parquet", Encode(block_size=PADDED), task="regression")
    folds.assign_file(folder / "encoded.parquet", folder / "folds.parquet", Folds(), "regression", seed=1)
    names = {name: str(folder / f"{name}.parquet") for name in ("encoded", "folds")}
    return names | {"tokenizer": str(folder / "tokenizer.json")}


@dataclasses.dataclass
class Epoch:
    """What an epoch of training takes, and does.

    Attributes
    ----------
    seconds : float
        Median of all but the first.
    tokens : int
        Of all rows, padding not counted.
    flop : float
        Of these, at the length in the middle.
    loading : float
        Share of the time that batches are made in.
    """

    seconds: float
    tokens: int
    flop: float
    loading: float

    @classmethod
    def of(cls, job: finetune.Job, device: torch.device, pad: int = 0) -> "Epoch":
        """Train; with ``pad``, every row is padded to so many tokens, which count as its own."""
        data, clock, made = fold.load(job), Clock(device), [0.0]
        batch = data.training.batch

        def timed_batch(*arguments) -> dict[str, torch.Tensor]:
            began = time.perf_counter()
            inputs = batch(*arguments)
            more = max(0, pad - inputs["input_ids"].shape[1])
            for name, value in (("input_ids", loo.PAD), ("attention_mask", 1)):
                inputs[name] = F.pad(inputs[name], (0, more), value=value)
            if pad:
                inputs["attention_mask"].fill_(1)
            made[0] += time.perf_counter() - began
            return inputs

        data.training.batch = timed_batch
        model, _ = finetune.fit(job, data, [clock])
        lengths = data.training.lengths
        ids = torch.full((2, int(np.median(lengths))), loo.FIRST, device=model.device)
        with FlopCounterMode(display=False) as counter:
            model.train()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.sum().backward()
        flop = counter.get_total_flops() / ids.numel() * lengths.sum()
        return cls(statistics.median(clock.seconds[1:]), int(lengths.sum()), float(flop), made[0] / sum(clock.seconds))


def train(device: torch.device, top: Ceilings, sizes: Sizes) -> Iterator[Row]:
    """Train on transcripts of lengths as they come; Saluki also on the same rows, all padded."""
    lengths = [len(sequence.input_ids) for sequence in transcripts(sizes.rows, sizes)]
    with tempfile.TemporaryDirectory() as folder:
        (root := Path(folder) / "short").mkdir()
        (Path(folder) / "less").mkdir()
        files, short = prepare(Path(folder), lengths), prepare(root, [min(sizes.padded, 512)] * sizes.rows)
        less = prepare(Path(folder) / "less", [min(sizes.padded, 512)] * max(20, sizes.rows // 16))
        for name, (model, options) in trained(sizes).items():
            settings = Finetune(epochs=sizes.epochs, batch_size=64, patience=None, **options)
            job = finetune.Job(
                **(short if "512" in name else files),
                **{"output": str(root / name), "fold": 0, "replicate": 0, "task": "regression", "scaling": "standard"},
                **{"class_weights": False, "seed": 1, "threads": 1, "gpus": int(device.type == "cuda"), "model": model},
                options=settings.model_dump(mode="json", exclude={"replicates", "gpus"}),
            )
            own = Epoch.of(job, device)
            note = f"batches of 64; making them takes {own.loading:.0%}"
            if name != "frames":
                # A ModernBERT has room for few rows of so many tokens; it sees as many as it has room for, and fewer of them.
                few = {"options": job.options | {"batch_size": 4, "epochs": 2}, **less} if "512" in name else {}
                again = dataclasses.replace(job, output=str(root / f"{name}, padded"), **few)
                padded = Epoch.of(again, device, sizes.padded)
                ratio = padded.seconds / padded.tokens * own.tokens / own.seconds
                note += f"; {ratio:.1f} × as fast as with rows padded to {sizes.padded:,}"
            peak = top.bf16 if options.get("bf16") else top.float32
            rate = own.tokens / own.seconds
            yield Row(f"an epoch, {name}", own.seconds, rate, "tokens", own.flop, 8.0 * own.tokens, peak, note)


def performer(device: torch.device, top: Ceilings, sizes: Sizes) -> Iterator[Row]:
    """Go through one long sequence and back."""
    for name in ("performer", "frames"):
        model = registry.create({"name": name}, 11, 0, 1).to(device).train()
        ids = torch.randint(7, 11, (1, sizes.longest), device=device)

        def run(model=model, ids=ids) -> None:
            model.zero_grad()
            model(ids).logits.sum().backward()

        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = timed(run, device, sizes.turns)
        note = f"{torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB at most" if device.type == "cuda" else ""
        with FlopCounterMode(display=False) as counter:
            run()
        what = f"{name}, {sizes.longest:,} nt, forward and back"
        rate, flop = sizes.longest / seconds, float(counter.get_total_flops())
        yield Row(what, seconds, rate, "tokens", flop, 8.0 * sizes.longest, top.float32, note)


ROWS = {"loo": score, "predict": predict, "variants": effects, "train": train, "performer": performer}


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--toy", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--output", type=Path, help="JSON to write the table to")
    arguments = parser.parse_args()
    compute.exact()
    device, sizes = torch.device(arguments.device), TOY if arguments.toy else Sizes()
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    top = ceilings(device, sizes)
    print(
        f"{name}, torch {torch.__version__}: products in float32 at {top.float32 / 1e12:,.1f} TFLOP/s, in bfloat16 at "
        f"{top.bf16 / 1e12:,.1f}; copies at {top.bytes / 1e12:,.2f} TB/s"
    )
    print("", *HEADER, "", sep=" | ")
    print("|", " | ".join(["---"] * len(HEADER)), "|")
    rows = []
    for kind in arguments.rows:
        for row in ROWS[kind](device, top, sizes):
            print("|", " | ".join(row.cells(top)), "|", flush=True)
            rows.append(dataclasses.asdict(row))
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        table = {"device": name, "torch": torch.__version__, "ceilings": dataclasses.asdict(top), "rows": rows}
        arguments.output.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
