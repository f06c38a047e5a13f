rule encode_source:
    input:
        files=lambda wildcards: ancient(ENCODED[wildcards.source].paths),
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
        content=lambda wildcards: content(*ENCODED[wildcards.source].paths, *(f"{path}/config.json" for path in GIVEN)),
        source=lambda wildcards: plain(ENCODED[wildcards.source]),
        options=plain(settings.encode if settings.trains else settings.encode.model_dump(exclude_unset=True)),
        task=settings.task,
        quality=plain(settings.labels.quality),
        require_labels=lambda wildcards: settings.trains and wildcards.source == "source",
    script:
        "../scripts/encode.py"


CLUSTERED = settings.source.of_sequences() if settings.source else None


rule cluster_sequences:
    input:
        ancient(CLUSTERED.paths if CLUSTERED else []),
    output:
        f"{OUT}/clusters.parquet",
    log:
        f"{OUT}/logs/cluster.log",
    benchmark:
        f"{OUT}/benchmarks/cluster.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("cluster.py"),
        content=content(*(CLUSTERED.paths if CLUSTERED else [])),
        job=plain(
            {
                "source": plain(CLUSTERED) if CLUSTERED else None,
                "options": settings.folds.cluster.model_dump(),
            }
        ),
    script:
        "../scripts/cluster.py"


rule assign_folds:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        clusters=[f"{OUT}/clusters.parquet"] if settings.folds.group == "cluster" else [],
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
        job=plain({"options": settings.folds.model_dump(exclude={"cluster"}), "seed": settings.seed, "task": settings.task}),
    script:
        "../scripts/folds.py"
