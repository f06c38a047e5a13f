from rnalm.models.folder import weight_files

# What is compared, by name: the models of this experiment, and further folders of the user.
FURTHER = dict(sorted(settings.powerlaw.models.items())) if settings.powerlaw else {}
COMPARED = {f"fold_{name}" if TRAINED else path: path for name, path in MODELS.items()} | FURTHER
try:
    FURTHER_WEIGHTS = [str(path) for place in FURTHER.values() for path in weight_files(place)]
except RnalmError as error:
    raise WorkflowError(f"powerlaw.models: {error}") from None

WEIGHTS = model_files(*MODELS, names=["model.safetensors"])
SPECTRA = [
    f"{OUT}/powerlaw/{name}"
    for name in ("alphas.csv", "summary.csv", "histogram.pdf", "histogram.svg", "layers.pdf", "layers.svg")
]


rule compare_spectra:
    input:
        weights=WEIGHTS,
        further=ancient(FURTHER_WEIGHTS),
    output:
        [report(path, category="Power laws") if path.endswith(".svg") else path for path in SPECTRA],
    log:
        f"{OUT}/logs/powerlaw.log",
    benchmark:
        f"{OUT}/benchmarks/powerlaw.tsv"
    conda:
        ENV
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=60,
    params:
        code=code("powerlaw.py"),
        content=content(*(WEIGHTS if GIVEN else []), *FURTHER_WEIGHTS),
        job=plain({"models": COMPARED}),
    script:
        "../scripts/powerlaw.py"
