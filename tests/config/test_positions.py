"""What the configuration refuses beside labels of tokens, and what it refuses without them."""

import pytest

from rnalm.config import load

TABLE = {"path": "t.tsv", "columns": {"id": "id", "sequence": "sequence", "sites": "sites"}}
LISTS = TABLE | {"columns": {"id": "id", "sequence": "sequence", "label": "label"}}
TOKENS = {
    **{"output": "out", "task": "classification", "source": TABLE, "labels": {"per": "token"}, "model": {"name": "frames"}},
}


def test_sites_are_labels_to_train_with():
    assert load.load(TOKENS).training_source.gives("sites")
    assert load.load(TOKENS | {"source": {"path": "a.fa", "sites": "known.bed"}}).training_source.paths == ["a.fa", "known.bed"]
    assert load.load(TOKENS | {"source": LISTS, "task": "regression"}).labels.per == "token"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "saluki"}}, "labels.per: token is for model.name: frames, dilated, performer, hf, found saluki"),
        (
            {"tokenizer": {"type": "kmer"}},
            "labels.per: token: a token must be a position, as with tokenizer.type: atomic,",
        ),
        (
            {"tokenizer": {"type": "bpe"}},
            "labels.per: token: a token must be a position, as with tokenizer.type: atomic,",
        ),
        ({"encode": {"reverse_complement": "average"}}, "encode.reverse_complement: labels of positions belong to one strand"),
        ({"encode": {"truncate": "left"}}, "encode.truncate: with labels.per: token long sequences are read in windows of"),
        ({"encode": {"center_token": "A"}}, "encode.center_token: with labels.per: token long sequences are read in windows"),
        ({"task": "regression"}, "source: sites are for task: classification, found task: regression"),
        (
            {"interpret": {"method": "integrated_gradients"}},
            "interpret.method: labels.per: token is interpreted by loo alone, found ['integrated_gradients']",
        ),
        (
            {"interpret": {"explain_at": "labels"}, "inference": {"more": {"path": "a.fa"}}},
            "interpret.explain_at: labels explains labelled positions, of which inference.more has none",
        ),
        ({"report": {"annotations": "a.bed"}}, "report.annotations: compared with scores, which a section interpret asks for"),
        ({"interpret": {"explain_at": "site"}}, "interpret.explain_at"),
        ({"interpret": {"explain_at": [-1]}}, "interpret.explain_at"),
        (
            {"interpret": {"scorer": "incremental"}},
            "incremental is for local architectures (dilated for labels.per: token), found model.name: frames;",
        ),
        (
            {"inference": {"more": {"path": "a.fa", "classes": None, "sites": "k.bed", "chunk": {"length": 9}}}},
            "chunk: sites are",
        ),
        (
            {"source": TABLE | {"sites": "k.bed"}},
            "columns.sites and sites tell the labels of positions each; leave one",
        ),
        ({"source": {"classes": {"a": "a.fa"}, "sites": "k.bed"}}, "classes: with sites, these are the labels; expected path"),
        (
            {"source": {"classes": {"a": "a.fa", "b": "b.fa"}}},
            "source: with labels.per: token each position has a label;",
        ),
        (
            {"labels": {"per": "token", "class_weights": True, "positive_weight": 2}},
            "labels: class_weights and",
        ),
        ({"predict": {"sites": {"motif": "AT-G"}}}, "predict.sites.motif: "),
        ({"task": "multilabel"}, "source.columns.sites: found one column; task: multilabel has a list of columns, one a class"),
        (
            {"task": "multilabel", "source": {"path": "a.fa", "sites": "known.bed"}},
            "labels.classes is missing: which names of sites in known.bed are classes",
        ),
        (
            {"source": {"path": "a.fa", "sites": "known.bed"}, "labels": {"per": "token", "classes": ["x"]}},
            "labels.classes is for task: multilabel and sites of a BED file, of which there are none here",
        ),
        (
            {"task": "regression", "source": TABLE | {"columns": TABLE["columns"] | {"sites": ["x", "y"]}}},
            "source.columns.sites: found ['x', 'y']; task: regression with labels.per: token has one column",
        ),
        (
            {
                **{"task": "multilabel", "source": TABLE | {"columns": TABLE["columns"] | {"sites": ["x", "y"]}}},
                "inference": {"more": {"path": "a.fa", "sites": "known.bed"}},
                "labels": {"per": "token", "classes": ["y", "x"]},
            },
            "inference.more.sites: found ['y', 'x']; expected those of source, in their order: ['x', 'y']",
        ),
        ({"source": TABLE | {"columns": TABLE["columns"] | {"sites": ["x", "x"]}}}, "sites: the column 'x' is named twice"),
    ],
)
def test_what_labels_of_tokens_cannot_have_is_refused(refusal, changes, message):
    assert message in refusal(load.load, TOKENS | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": TABLE}, "source: sites are labels of positions; expected labels.per: token"),
        ({"labels": {"sep": ";"}}, "labels.sep is for labels.per: token, found sequence"),
        ({"predict": {"sites": {}}}, "predict.sites is for task: classification, found task: regression"),
        ({"predict": {"formats": ["npy"]}}, "predict.formats: labels.per: sequence has no npy; expected tsv or hdf5"),
        ({"model": {"name": "frames"}, "finetune": {"batch_tokens": 9, "batch_size": 8}}, "expected no batch_size, found 8"),
        ({"labels": {"positive_weight": 2}}, "labels.positive_weight is for task: classification, found task: regression"),
        (
            {"finetune": {"batch_tokens": 9}},
            "finetune.batch_tokens: for model.name: frames, dilated, performer, hf, of which a sequence may go alone, found",
        ),
    ],
)
def test_what_only_labels_of_tokens_have_is_refused_without_them(refusal, changes, message):
    assert message in refusal(load.load, {"output": "out", "source": LISTS} | changes)
