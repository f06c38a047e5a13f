"""Configurations in which every key has a meaning in one or the other; nothing of them has to run."""

SITES = {"id": "id", "sequence": "sequence", "sites": "sites"}
COLUMNS = {"id": "id", "sequence": "sequence", "label": "label", "weight": "weight", "group": "group", "split": "split"}


def source(path: str, **more) -> dict:
    return {"path": path, "token_sep": ",", "columns": dict(COLUMNS)} | more


#: Configurations in which every key has a meaning in one or the other.
BASES = {
    "regression": {
        "output": "out",
        "source": source("table.tsv"),
        "inference": {"more": source("more.tsv")},
        "folds": {"n": 2},
        "interpret": {"modes": ["mask", "replace"], "replacements": {"A": ["C"]}, "shards": 2},
    },
    "stacked": {
        "output": "out",
        "source": source("table.tsv"),
        "inference": {"more": source("more.tsv")},
        "folds": {"n": 2},
        "ensemble": "stack",
        "interpret": {"shards": 2},
    },
    "vocabulary": {
        "output": "out",
        "source": source("table.tsv"),
        "tokenizer": {"source": source("more.tsv")},
        "interpret": {"shards": 2},
    },
    "classes": {
        "output": "out",
        "task": "classification",
        "source": source("table.tsv", columns={key: name for key, name in COLUMNS.items() if key != "weight"}),
        "interpret": {"shards": 2},
    },
    "given": {
        "output": "out",
        "model": ["given"],
        "source": source("table.tsv"),
        "interpret": {"shards": 2, "sample_size": 100},
    },
    "language": {
        "output": "out",
        "task": "classification",
        "source": {
            "path": ["a.fa", "b.fa"],
            "attributes": {"path": "table.tsv", "columns": {name: name for name in ("id", "label", "group", "split")}},
            "chunk": {"length": 100},
        },
        "tokenizer": {"type": "bpe"},
        "folds": {"n": 2, "group": "cluster"},
        "model": {"name": "hf", "type": "distilbert", "config": {"dim": 16}},
        "pretrain": {},
        "sweep": {"parameters": {"finetune.learning_rate": {"values": [0.1, 0.2]}}},
        "powerlaw": {},
        "interpret": {"shards": 2},
    },
    "kmers": {
        "output": "out",
        "task": "classification",
        "source": {"classes": {"a": ["a.fa"], "b": ["b.fa"]}},
        "tokenizer": {"type": "kmer"},
        "interpret": {"method": ["integrated_gradients"], "shards": 2},
    },
    **{
        name: {"output": "out", "source": source("table.tsv"), "model": {"name": name}, "interpret": {"shards": 2}}
        for name in ("frames", "dilated", "performer")
    },
    "positions": {
        "output": "out",
        "task": "classification",
        "source": source("table.tsv", columns=dict(SITES)),
        "inference": {"more": source("more.tsv", columns=dict(SITES))},
        "labels": {"per": "token"},
        "model": {"name": "frames"},
        "predict": {"sites": {"motif": "ATG"}},
        "interpret": {"shards": 2},
        "tracks": {"transcripts": "genes.gtf"},
    },
    "marked": {
        "output": "out",
        "task": "classification",
        "source": {"path": ["a.fa"], "attributes": {"path": "table.tsv", "columns": {"id": "id", "sites": "sites"}}},
        "labels": {"per": "token"},
        "model": {"name": "frames"},
    },
    "named": {
        "output": "out",
        "task": "multilabel",
        "source": {"path": ["a.fa"], "sites": "more.tsv"},
        "labels": {"per": "token", "classes": ["x", "y"]},
        "model": {"name": "frames"},
        "interpret": {"shards": 2},
    },
    "own": {
        "output": "out",
        "source": source("table.tsv", columns={key: name for key, name in COLUMNS.items() if key != "weight"}),
        "task": "classification",
        "model": {"name": "file", "path": "my.py", "class": "Tiny"},
        "interpret": {"shards": 2},
    },
    "genome": {
        "output": "out",
        "task": "multilabel",
        "source": {
            **{"genome": "a.fa", "features": {"path": "table.tsv", "classes": ["x"]}, "length": 100},
            "sample": {"method": "intervals", "path": "more.tsv", "n": 9},
        },
        "interpret": {"shards": 2},
    },
    "signal": {
        "output": "out",
        "source": {
            **{"genome": "a.fa", "features": {"path": "signal.bw"}, "length": 100},
            "sample": {"method": "intervals", "path": "more.tsv", "n": 9},
        },
        "interpret": {"shards": 2},
    },
    "matrix": {
        "output": "out",
        "task": "multilabel",
        "source": {"matrix": "a.fa", "targets_key": "targets", "classes": ["a", "b"]},
        "interpret": {"shards": 2},
    },
    "parts": {
        "output": "out",
        "task": "multilabel",
        "source": {
            "parts": {
                name: {"matrix": f"{file}", "targets_key": "t"}
                for name, file in (("train", "a.fa"), ("validation", "b.fa"), ("test", "more.tsv"))
            }
        },
        "interpret": {"shards": 2},
    },
    "several": {
        "output": "out",
        "task": "multilabel",
        "source": source("table.tsv", columns={"id": "id", "sequence": "sequence", "label": ["a", "b"]}),
        "interpret": {
            **{"modes": ["mutate"], "mutate": {"regions": "regions.bed"}, "formats": ["selene", "hdf5"]},
            **{"shards": 2, "explain": "all"},
        },
        "predict": {"formats": ["tsv", "hdf5"]},
        "tracks": {"classes": ["a"]},
        "variants": {
            "more": {"path": "more.tsv", "genome": "a.fa", "length": 30, "formats": ["parquet", "tsv", "hdf5"], "shards": 1}
        },
    },
    "spliced": {
        "output": "out",
        "source": source("table.tsv"),
        "interpret": {"shards": 2},
        "variants": {"more": {"path": "more.tsv", "transcripts": {"fasta": "a.fa", "bed": "genes.gtf"}, "shards": 1}},
    },
    "elsewhere": {
        "output": "out",
        "source": source("table.tsv"),
        "model": {"name": "hf", "type": "distilbert"},
        "pretrain": {"source": {"path": "a.fa"}},
        "interpret": {"shards": 2},
    },
    "splits": {
        "output": "out",
        "source": source("table.tsv"),
        "folds": {"method": "column", "validation": ["a"], "test": ["b"], "splits": ["a", "b", "c"]},
        "interpret": {"shards": 2},
    },
}
