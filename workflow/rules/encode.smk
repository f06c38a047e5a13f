rule encode_source:
    input:
        table=lambda wildcards: SOURCES[wildcards.source].path,
        tokenizer=f"{OUT}/tokenizer.json",
        trained=[] if settings.trains else f"{MODELS[0]}/config.json",
    output:
        f"{OUT}/encoded/{{source}}.parquet",
    params:
        source=lambda wildcards: plain(SOURCES[wildcards.source]),
        options=plain(settings.encode if settings.trains else settings.encode.model_dump(exclude_unset=True)),
        task=settings.task,
        quality=plain(settings.labels.quality),
        require_labels=lambda wildcards: settings.trains and wildcards.source == "source",
    log:
        f"{OUT}/logs/encode/{{source}}.log",
    benchmark:
        f"{OUT}/benchmarks/encode/{{source}}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    conda:
        ENV
    script:
        "../scripts/encode.py"


rule assign_folds:
    input:
        f"{OUT}/encoded/source.parquet",
    output:
        f"{OUT}/folds.parquet",
    params:
        options=plain(settings.folds),
        task=settings.task,
        seed=settings.seed,
    log:
        f"{OUT}/logs/folds.log",
    benchmark:
        f"{OUT}/benchmarks/folds.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    conda:
        ENV
    script:
        "../scripts/folds.py"
