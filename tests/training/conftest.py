"""What trainings start from: a small table, encoded and divided, and the job that trains on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnalm.config import Columns, Encode, Finetune, Folds, Labels, Saluki, Table, Tokenizer
from rnalm.labels import folds
from rnalm.tokens import learn
from rnalm.tokens.encode import encode
from rnalm.tokens.tokenizer import save_tokenizer
from rnalm.training.trainer import Job

LABELS = {"regression": lambda row, text: text.count("A") / 3 + row % 2, "classification": lambda row, text: f"c{row % 2}"}


@pytest.fixture(scope="session")
def prepare() -> Callable[..., Job]:
    """Make encoded file, folds and tokenizer of 60 sequences in a folder; give the job that trains fold 0 of them.

    Labels and weights are functions of row and sequence; ``fields`` are those of the job, ``options`` those of the training.
    """

    def make(
        folder: Path,
        label: Callable[[int, str], Any] | None = None,
        weight: Callable[[int], float] | None = None,
        lengths: tuple[int, int] = (8, 20),
        special_tokens: list[str] | None = None,
        fields: dict[str, Any] | None = None,
        encoding: dict[str, Any] | None = None,
        task: str = "regression",
        labels: Labels | None = None,
        several: bool = False,
        **options: Any,
    ) -> Job:
        folder.mkdir(parents=True, exist_ok=True)
        draw, label = np.random.default_rng(0), label or LABELS[task]
        texts = ["".join(draw.choice(list("ACGT"), draw.integers(*lengths))) for _ in range(60)]
        rows = [f"s{row}\t{text}\t{label(row, text)}\t{weight(row) if weight else 1}\n" for row, text in enumerate(texts)]
        (folder / "table.tsv").write_text("".join(["id\tsequence\tlabel\tweight\n", *rows]))
        own = ["label"] if several else "label"
        columns = Columns(id="id", sequence="sequence", label=own, weight="weight" if weight else None)
        source = Table(path=str(folder / "table.tsv"), columns=columns)
        tokenizer = learn.learn(source, Tokenizer(**{"special_tokens": special_tokens} if special_tokens else {}))
        save_tokenizer(tokenizer, folder / "tokenizer.json")
        encode(source, tokenizer, folder / "encoded.parquet", Encode(**encoding or {}), task, labels)
        folds.assign_file(
            folder / "encoded.parquet", folder / "folds.parquet", Folds(), "regression" if labels else task, seed=1
        )
        defaults = {"epochs": 4, "batch_size": 16, "learning_rate": 0.01, "patience": None}
        settings = {
            **{name: str(folder / f"{name}.parquet") for name in ("encoded", "folds")},
            **{"tokenizer": str(folder / "tokenizer.json"), "output": str(folder / "model")},
            **{"fold": 0, "replicate": 0, "task": task, "scaling": "none", "class_weights": False, "seed": 3, "threads": 1},
            "model": Saluki(filters=4, layers=1, kernel_size=3).model_dump(),
            "options": Finetune(**defaults | options).model_dump(mode="json", exclude={"replicates", "gpus"}),
        }
        return Job(**settings | (fields or {}))

    return make
