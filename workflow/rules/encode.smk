rule encode_source:
    input:
        table=lambda wildcards: ancient(SOURCES[wildcards.source].path),
        tokenizer=f"{OUT}/tokenizer.json",
        trained=model_files(*MODELS, names=["config.json"]) if GIVEN else [],
    output:
        f"{OUT}/encoded/{{source}}.parquet",
    log:
        f"{OUT}/logs/encode/{{source}}.log",
    benchmark:
        f"{OUT}/benchmarks/encode/{{source}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=120,
    params:
        code=code("encode.py"),
        content=lambda wildcards: content(SOURCES[wildcards.source].path, *(f"{path}/config.json" for path in GIVEN)),
        source=lambda wildcards: plain(SOURCES[wildcards.source]),
        options=plain(settings.encode if settings.trains else settings.encode.model_dump(exclude_unset=True)),
        task=settings.task,
        quality=plain(settings.labels.quality),
        require_labels=lambda wildcards: settings.trains and wildcards.source == "source",
    script:
        "../scripts/encode.py"


rule assign_folds:
    input:
        f"{OUT}/encoded/source.parquet",
    output:
        f"{OUT}/folds.parquet",
    log:
        f"{OUT}/logs/folds.log",
    benchmark:
        f"{OUT}/benchmarks/folds.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        code=code("folds.py"),
        job=plain({"options": settings.folds.model_dump(), "seed": settings.seed, "task": settings.task}),
    script:
        "../scripts/folds.py"
