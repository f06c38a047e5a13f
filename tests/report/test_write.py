import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import rnalm
from rnalm.config import contract, load
from rnalm.files import write_json
from rnalm.labels import labels
from rnalm.models import registry
from rnalm.prediction import evaluate
from rnalm.prediction.predict import predict_file
from rnalm.report.blocks import number
from rnalm.report.job import Job, Query
from rnalm.report.training import pretraining
from rnalm.report.verdict import verdict
from rnalm.report.write import write
from rnalm.scoring import shard
from rnalm.scoring.merge import merge
from rnalm.scoring.patterns import find_patterns
from rnalm.tokens import encode, learn
from rnalm.tokens.tokenizer import save_tokenizer

CLASSES = ("E. coli", "late", "mid <i>")
SIZES = {"name": "saluki", "filters": 4, "kernel_size": 3, "layers": 1}
HISTORY = [
    {"epoch": 1, "loss": 2.0, "learning_rate": 0.1},
    {"epoch": 1, "eval_loss": 1.5},
    {"epoch": 2, "loss": 1.0, "learning_rate": 0.1},
    {"epoch": 2, "eval_loss": 1.2},
]


class Page(HTMLParser):
    """What a browser would make of a page: titles, links, ids, and all that it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.path = text, []
        self.titles: list[str] = []
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.loaded: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.add(tag)
        self.path.append(tag)
        found = dict(attributes)
        if tag == "h2":
            self.titles.append("")
            self.anchors.append(found["id"])
        if tag == "a":
            self.links.append(found.get("href") or found["xlink:href"])
        self.loaded += [value for name, value in attributes if name in ("src", "srcset", "data", "poster", "background")]
        self.loaded += [value for name, value in attributes if name in ("href", "xlink:href") and tag != "a"]
        self.loaded += [url for value in found.values() for url in re.findall(r"url\(([^)]*)\)", value or "")]

    def handle_endtag(self, tag: str) -> None:
        while self.path and self.path.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.path and self.path[-1] == "h2":
            self.titles[-1] += data
        if self.path and self.path[-1] == "style":
            self.loaded += re.findall(r"(?:url\(|@import\s+)([^)\s;]+)", data)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Callable[..., Job]:
    """Run an experiment with random models up to the report, once for each choice of options."""
    made: dict[str, Job] = {}

    def make(**options) -> Job:
        key = json.dumps(options, sort_keys=True)
        if key not in made:
            made[key] = _run(tmp_path_factory.mktemp("experiment"), **options)
        return made[key]

    return make


def _run(
    folder: Path,
    task: str = "regression",
    labelled: bool = True,
    n_models: int = 2,
    trained: bool = True,
    modes: tuple[str, ...] = ("remove",),
    explain: str = "predicted",
    classes: tuple[str, ...] = CLASSES,
    block_size: int = 12288,
    several: bool = False,
) -> Job:
    torch.set_num_threads(1)
    classes = classes if several or task == "classification" else ()
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"id": [f"seq<{row}>" for row in range(8)]})
    frame["sequence"] = ["acgt" + "".join(random.choice(list("acgt"), row)) for row in range(8)]
    frame["label"] = [(*classes, "")[row % (len(classes) + 1)] if classes else row + 0.5 for row in range(8)]
    if several:
        given = [(row + k) % (len(classes) if task == "regression" else 2) for row in range(8) for k in range(len(classes))]
        frame = frame.drop(columns="label").join(pd.DataFrame(np.reshape(given, (8, -1)), columns=list(classes)))
    frame.to_csv(folder / "data.tsv", sep="\t", index=False)
    columns = {"id": "id", "sequence": "sequence"} | ({"label": list(classes) if several else "label"} if labelled else {})
    replacing = {"replacements": {"a": ["c", "g"]}} if "replace" in modes else {}
    settings = load.load(
        {
            "output": "out",
            "task": task,
            "source": {"path": "data.tsv", "columns": columns},
            "encode": {"block_size": block_size},
            "model": SIZES if trained else ["a trained model"],
            "interpret": {"modes": list(modes), "explain": explain} | replacing,
            "report": {"title": "Which tokens <matter>?", "profiles": 2},
        }
    )
    source = settings.source.model_copy(update={"path": str(folder / "data.tsv")})
    tokenizer = learn.learn(source)
    encoded = str(folder / "source.parquet")
    encode.encode(source, tokenizer, encoded, settings.encode, task)
    folders = [str(folder / "fine-tune" / str(fold)) for fold in range(n_models)]
    for seed, path in enumerate(folders):
        torch.manual_seed(seed)
        registry.create(SIZES, tokenizer.get_vocab_size(), 0, len(classes) or 1).save_pretrained(path)
        save_tokenizer(tokenizer, f"{path}/tokenizer.json")
        labels.Labels(task, classes=classes).save(f"{path}/labels.json")
        write_json(f"{path}/trainer_state.json", {"log_history": HISTORY})
        metric = "test_accuracy" if classes else "test_pearson"
        write_json(f"{path}/all_results.json", {"eval_loss": 1.2, metric: 0.25 + 0.5 * seed, "test_rows": 4000})
        predict_file(path, encoded, f"{path}/part.parquet")
    evaluate.summarize({Path(path).name: f"{path}/all_results.json" for path in folders}, folder / "summary.csv")
    evaluate.merge([f"{path}/part.parquet" for path in folders], folders, folder / "predict")
    files = {}
    for mode in modes:
        options = settings.interpret
        job = shard.Job(
            model_folders=folders,
            encoded=encoded,
            folds=None,
            mode=mode,
            replacements=options.replacements,
            replace_modifiers=False,
            explain=explain,
            scale="probability",
            sample_size=None,
            shard=0,
            shards=1,
        )
        shard.score_shard(job, folder / "part.parquet")
        files[mode] = str(folder / f"scores_{mode}.parquet")
        merge([folder / "part.parquet"], [files[mode]])
        found = [folder / f"scores_{mode}.{end}" for end in contract.PATTERNS.values()]
        find_patterns(files[mode], encoded, f"{folders[0]}/tokenizer.json", found)
    query = Query(
        name="source",
        encoded=encoded,
        predictions=str(folder / "predict" / "predictions.parquet"),
        results=str(folder / "predict" / "results.json"),
        scores=files,
    )
    return Job(
        config=settings.model_dump(mode="json"),
        source=encoded,
        models=folders,
        summary=str(folder / "summary.csv") if trained else None,
        queries=[query],
        figures=str(folder / "figures"),
    )


@pytest.mark.parametrize(("rows", "told"), [("all", "those among them by which it is tested"), ("training", "of all folds")])
def test_a_report_says_what_pretraining_has_seen(tmp_path, rows, told):
    folders = [tmp_path / name for name in (["0", "1"] if rows == "training" else ["pretrain"])]
    for k, folder in enumerate(folders):
        folder.mkdir()
        achieved = {"perplexity": 3.0 + k, "masked_accuracy": 0.5}
        results = {f"{who}_{name}": value for who in ("eval", "baseline") for name, value in achieved.items()}
        write_json(folder / "eval_results.json", results | {"eval_rows": 1234})
        write_json(folder / "trainer_state.json", {"log_history": HISTORY})
    config = {"pretrain": {"source": None, "rows": rows}, "finetune": {"from_scratch": False}}
    places = {"source": None, "models": [], "summary": None, "queries": [], "figures": str(tmp_path)}
    section = pretraining(Job(config=config, pretrained=list(map(str, folders)), **places))
    first = section.blocks[0]
    assert told in first.text
    assert "1,234 sequences" in first.text
    assert first.table["rows"][0] == ["perplexity", *(["3.500"] * 2 if rows == "training" else ["3"] * 2)]


def written(job: Job, folder: Path, **settings) -> Page:
    """Write a report and read it as a browser would."""
    job = replace(job, config=job.config | {"report": job.config["report"] | settings}, figures=str(folder / "figures"))
    write(job, folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(experiment, tmp_path_factory) -> Callable[..., Page]:
    """Write the report of an experiment, once for each choice of options; ``page().folder`` holds it."""
    made: dict[str, Page] = {}

    def make(**options) -> Page:
        key = json.dumps(options, sort_keys=True)
        if key not in made:
            folder = tmp_path_factory.mktemp("report")
            made[key] = written(experiment(**options), folder)
            made[key].folder = folder
        return made[key]

    return make


ALL_CLASSES = {"task": "classification", "modes": ["remove", "replace"], "explain": "all"}
GIVEN_MODEL = {"n_models": 1, "trained": False, "block_size": 9}
ALL_KINDS = [
    {},
    {"modes": ["remove", "mask", "replace"]},
    GIVEN_MODEL,
    {"labelled": False, "trained": False},
    ALL_CLASSES,
    {"task": "classification", "n_models": 1, "explain": "late"},
    {"task": "classification", "labelled": False, "trained": False, "classes": ["no", "yes"]},
    *(
        {"task": task, "several": True, "labelled": labelled, "trained": labelled, "explain": "all"}
        for task in ("regression", "multilabel")
        for labelled in (True, False)
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("options", ALL_KINDS, ids=lambda options: " ".join(map(str, options.values())) or "default")
def test_a_report_is_one_file_with_every_section_that_loads_nothing(page, options):
    page = page(**options)
    modes = options.get("modes", ["remove"])
    training = ["Training"] if options.get("trained", True) else []
    scored = [*(f"Leave-one-out: {mode}" for mode in modes), *(["What the model learned"] if modes else [])]
    expected = ["Data", *training, "Predictions", *scored, "How this was made"]
    assert page.titles == expected
    assert [link for link in page.links if link.startswith("#")] == ["#main", *(f"#{anchor}" for anchor in page.anchors)]
    assert not [link for link in page.links if re.match("/|[a-z]+:", link)]
    assert len(set(page.anchors)) == len(page.anchors)
    assert [url for url in page.loaded if not url.startswith(("#", "data:"))] == []
    assert not page.tags & {"link", "iframe", "object", "embed", "base"}
    assert sorted(path.name for path in page.folder.iterdir()) == ["figures", "report.html"]


def test_every_picture_is_in_the_page_and_beside_it(page):
    page = page(modes=["remove", "mask", "replace"])
    names = {"data", "learning_curves", "predictions_source"}
    names |= {f"{kind}_{mode}_source" for kind in ("profiles", "positions") for mode in ("remove", "mask", "replace")}
    assert {path.name for path in (page.folder / "figures").iterdir()} == {f"{name}.svg" for name in names}
    logos = page.text.count('role="img" class="logo"')
    assert page.text.count("<svg") == len(names) + logos, "and logos, which have no file"
    assert "<?xml" not in page.text


@pytest.mark.slow
def test_the_same_report_is_the_same_bytes(experiment, page, tmp_path):
    assert written(experiment(), tmp_path).text == page().text


def test_classes_have_a_table_and_names_from_the_data_are_text_never_markup(page):
    page = page(**ALL_CLASSES)
    assert "<title>Which tokens &lt;matter&gt;?</title>" in page.text
    assert "mid &lt;i&gt;" in page.text
    assert "mid <i>" not in page.text
    assert "seq&lt;" in page.text
    assert not re.search(r"seq<\d>", page.text)
    assert "<th>class</th><th>precision</th><th>recall</th><th>F1</th><th>rows</th>" in page.text
    assert "<td>E. coli</td>" in page.text


def test_cards_count_what_was_encoded_and_what_was_cut(page):
    cards = re.findall(r'class="card"><b>([^<]*)</b><span>([^<]*)</span>', page().text)
    assert {name: value for value, name in cards} == {
        "sequences": "8",
        "tokens": "60",
        "longest (tokens)": "11",
        "architecture": "Saluki",
        "models": "2",
    }
    assert "<b>2</b><span>cut to the block size</span>" in page(**GIVEN_MODEL).text


def test_metrics_are_mean_and_deviation_over_folds(page):
    text = page().text
    assert "<td>test pearson</td><td>0.500 ± 0.354</td><td>0.250</td><td>0.750</td>" in text
    assert re.search("<td>test rows</td><td>4,000[^<]*</td><td>4,000</td><td>4,000</td>", text)


def test_profiles_are_of_the_lowest_and_highest_predictions_and_letters_tell_position_and_score(experiment, tmp_path):
    job = experiment()
    text = written(job, tmp_path, profiles=3).text
    predictions = pd.read_parquet(job.queries[0].predictions).sort_values("pred")["id"].tolist()
    extremes = [predictions[0], predictions[-1], predictions[-2]]
    assert [unescape(name) for name in re.findall(r"<b><a [^>]*>(seq&lt;\d&gt;)</a></b>", text)] == extremes
    frame = pd.read_parquet(job.queries[0].scores["remove"]).set_index("sequence").loc[extremes]
    expected = [f"{row.start_offset} {row.token}: {-row.loo:+.3g}" for row in frame.itertuples()]
    assert re.findall(r'<i(?: class="dark")? style="background:#[0-9a-f]{6}" title="([^"]*)">', text) == expected


def test_profiles_points_and_letters_lead_to_the_pages_of_their_sequences_and_tables_to_their_files(experiment, page):
    job, text = experiment(), page().text
    folder = Path(job.figures).parent
    pictured = re.findall(r'xlink:href="([^"]*#seq[^"]*)"', text)
    lettered = re.findall(r'<b><a href="([^"]*)">seq', text)
    scored = {f"#seq%3C{row}%3E" for row in range(8)}
    assert {place[place.index("#") :] for place in pictured} == scored
    assert len(lettered) == 2
    pages = {place[: place.index("#")] for place in [*pictured, *lettered]}
    assert {Path(place).name for place in pages} == {"scores_remove.html"}
    assert len(pages) == 1
    tables = [place for place in page().links if place.endswith((".csv", ".parquet"))]
    assert tables
    assert job.place(folder / "interpret" / "a b.csv") == "interpret/a%20b.csv"


def test_axes_and_text_have_the_name_of_the_label_and_its_unit(experiment, tmp_path):
    job = experiment()
    job = replace(job, config=job.config | {"labels": job.config["labels"] | {"unit": "h"}})
    text = written(job, tmp_path).text
    for expected in ("true label (h)", "predicted label (h)", "effect (h)", "in the units of the labels (h)"):
        assert expected in text


def test_no_sequence_is_shown_twice_where_there_are_fewer_than_asked_for(experiment, tmp_path):
    shown = re.findall(r"<b><a [^>]*>(seq&lt;\d&gt;)</a></b>", written(experiment(), tmp_path, profiles=50).text)
    assert len(shown) == len(set(shown)) == 8


def test_known_elements_are_compared_with_the_scores(experiment, page, tmp_path):
    bed = tmp_path / "known.bed"
    bed.write_text("seq<7>\t0\t4\tmotif\nseq<3>\t2\t5\n")
    text = written(experiment(), tmp_path / "out", annotations=str(bed)).text
    assert "Do large scores point at the known elements in known.bed? 7 of 60 scored tokens are in one." in text
    assert "<td>AUROC of |loo|</td>" in text
    assert "Known elements" not in page().text


def test_known_elements_of_other_sequences_are_said_to_tell_nothing(experiment, tmp_path):
    bed = tmp_path / "known.bed"
    bed.write_text("elsewhere\t0\t4\n")
    text = written(experiment(), tmp_path / "out", annotations=str(bed)).text
    assert "0 of 60 scored tokens" in text
    assert "<td>AUROC of |loo|</td><td>–</td>" in text


def rows_of(text: str, title: str) -> list[list[str]]:
    """Read the table that is folded under a title."""
    _, found = text.split(f"<summary>{title}</summary>")
    body = found[: found.index("</details>")]
    return [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", body)][1:]


def test_predictions_are_compared_with_labels_pooled_and_fold_by_fold(experiment, page):
    frame = pd.read_parquet(experiment().queries[0].predictions)
    found = rows_of(page().text, "Metrics of each fold")
    columns = {"pooled": "pred", "fold 0": "pred.0", "fold 1": "pred.1"}
    assert [row[0] for row in found] == list(columns)
    assert [row[4] for row in found] == [f"{frame['label'].corr(frame[column]):.3f}" for column in columns.values()]
    assert {row[-1] for row in found} == {"8"}


def test_confusion_is_shown_fold_by_fold_and_beside_the_page_and_curves_say_what_they_are_of(page):
    text = page(**ALL_CLASSES).text
    folded = text[text.index("<summary>Confusion of each fold</summary>") :]
    assert re.findall(r"fold \d \(n = 6\)", folded[: folded.index("</details>")]) == ["fold 0 (n = 6)", "fold 1 (n = 6)"]
    assert (page(**ALL_CLASSES).folder / "figures" / "confusion_source.svg").exists()
    assert "Curves are of each class against the rest." in text
    assert "thin lines are single folds" in text


def test_one_model_is_not_compared_with_itself(page):
    one = page(task="classification", n_models=1, explain="late")
    assert not re.findall("<summary>(?:Metrics|Confusion) of each", one.text)
    assert "Confusion, all rows" in one.text
    assert not (one.folder / "figures" / "confusion_source.svg").exists()


def test_further_sources_are_predicted_by_the_mean_of_models(experiment, tmp_path):
    job = experiment(**ALL_CLASSES)
    text = written(replace(job, queries=[replace(job.queries[0], name="new", scores={})]), tmp_path).text
    assert "Confusion, mean of 2 models" in text
    assert [row[0] for row in rows_of(text, "Metrics of each model")] == ["mean of 2 models", "fold 0", "fold 1"]
    assert "pooled" not in text


def test_replicates_stand_together_for_their_fold(experiment, tmp_path):
    job = experiment()
    summary = tmp_path / "summary.csv"
    summary.write_text(Path(job.summary).read_text().replace("fold_1", "fold_0.1", 1))
    folders = []
    for name, folder in zip(("0", "0.1"), job.models, strict=True):
        folders.append(str(shutil.copytree(folder, tmp_path / "replicates" / name)))
    text = written(replace(job, models=folders, summary=str(summary)), tmp_path).text
    assert [row[0] for row in rows_of(text, "Metrics of each fold")] == ["pooled", "fold 0"]
    assert "Metrics on the test rows of each fold, the mean of its models" in text
    assert "fold 0.1" in text[text.index("All figures of all models") :]


def test_without_labels_only_the_folder_has_a_picture_of_confusion(page):
    page = page(task="classification", labelled=False, trained=False, classes=["no", "yes"])
    assert "Confusion" not in page.text
    assert "Predicted classes" in page.text
    assert (page.folder / "figures" / "confusion_source.svg").exists(), "which the rule has promised"


def test_the_lead_says_how_many_models_there_are_and_whether_they_have_seen_the_sequences(page):
    assert "held-out sequences" in page().text
    text = page(**GIVEN_MODEL).text
    assert "with 1 model." in text
    assert "1 models" not in text
    assert "nothing was trained here" in text


def test_without_test_rows_the_report_says_so(experiment, tmp_path):
    page = written(replace(experiment(), queries=[]), tmp_path)
    assert "There are no test rows" in page.text
    assert page.titles == ["Data", "Training", "How this was made"]


def test_further_sources_have_sections_of_their_own(experiment, tmp_path):
    job = experiment()
    queries = [*job.queries, *(replace(job.queries[0], name=name) for name in ("new-genes", "new_genes"))]
    page = written(replace(job, queries=queries), tmp_path, profiles=0)
    assert "letter by letter" not in page.text
    titles = ("Predictions", "Leave-one-out: remove", "What the model learned")
    assert page.titles[5:-1] == [f"{title}: {name}" for name in ("new-genes", "new_genes") for title in titles]
    assert len(set(page.anchors)) == len(page.anchors)


def test_a_report_of_inference_alone_has_no_source(experiment, tmp_path):
    job = experiment(**GIVEN_MODEL)
    page = written(replace(job, source=None, queries=[replace(job.queries[0], name="new")]), tmp_path)
    own = [f"{title}: new" for title in ("Predictions", "Leave-one-out: remove", "What the model learned")]
    assert page.titles == ["Data", *own, "How this was made"]
    assert "<b>8</b><span>sequences</span>" in page.text


def test_the_report_holds_the_whole_configuration(experiment, page):
    text = page().text
    [code] = re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)
    assert yaml.safe_load(unescape(code)) == experiment().config
    assert f"rnalm {rnalm.__version__}" in text


def test_a_report_that_fails_leaves_no_file(experiment, tmp_path):
    job = replace(experiment(), summary=str(tmp_path / "missing.csv"))
    with pytest.raises(FileNotFoundError):
        write(replace(job, figures=str(tmp_path / "figures")), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("value", "shown"), [(1.0, "1.000"), (1, "1"), (0.0, "0.000"), (float("nan"), "–")])
def test_numbers_keep_the_digits_that_matter(value, shown):
    assert number(value) == shown


def judged(folder: Path, readable: bool | None) -> str:
    """Write a verdict."""
    folder.mkdir(exist_ok=True)
    write_json(folder / "verdict.json", {"readable": readable, "sentences": ["r² < 1.", "Scores.", "Nothing was cut."]})
    return str(folder / "verdict.json")


@pytest.mark.parametrize("readable", [False, True])
def test_a_report_begins_with_the_verdict_and_what_models_read_is_grey_where_it_is_chance(experiment, tmp_path, readable):
    text = written(replace(experiment(), verdict=judged(tmp_path / "in", readable)), tmp_path / "out").text
    body = text[text.index("<body>") :]
    assert body.index("<p>r² &lt; 1.</p><p>Scores.</p><p>Nothing was cut.</p>") < body.index("<nav")
    assert ("No better than chance: do not read the letters." in body) == (not readable)
    grey = re.findall(r'<div class="unread">\s*<h2[^>]*>([^<]*)</h2>', body)
    assert grey == ([] if readable else ["Leave-one-out: remove", "What the model learned"])
    assert len(re.findall("<div", body)) == len(re.findall("</div>", body))


def test_without_labels_or_test_rows_the_report_says_what_is_not_known(experiment, page, tmp_path):
    assert "Nothing is known of how good the models are: no labels were given" in page(labelled=False, trained=False).text
    text = written(replace(experiment(), queries=[]), tmp_path).text
    assert "There are no test rows: how good the models are on unseen sequences is not known." in text
    assert "sequences none was left out or cut" in text


def test_pretraining_is_held_against_the_frequencies_of_tokens(experiment, tmp_path):
    for own, told in ((3.0, "it has learned what stands beside what"), (4.0, "it has learned nothing that these do not tell")):
        write_json(tmp_path / "eval_results.json", {"eval_perplexity": own, "baseline_perplexity": 4.0})
        found = verdict(replace(experiment(), pretrained=[str(tmp_path)])).sentences[-1]
        assert found.endswith(f"by the frequencies of tokens alone; {told}.")
