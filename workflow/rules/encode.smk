# Goes first, so that a mistake in any source ends the run before hours of training rather than after them.
rule encode_source:
    input:
        provided("encode_source"),
        tokenizer=f"{OUT}/tokenizer.json",
    output:
        f"{OUT}/encoded/{{source}}.parquet",
    log:
        f"{OUT}/logs/encode/{{source}}.log",
    benchmark:
        f"{OUT}/benchmarks/encode/{{source}}.tsv"
    priority: 100
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=120,
    params:
        code=code("encode.py"),
        content=content("encode_source"),
        job=job("encode_source"),
    script:
        "../scripts/encode.py"


rule cluster_sequences:
    input:
        provided("cluster_sequences"),
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
        content=content("cluster_sequences"),
        job=job("cluster_sequences"),
    script:
        "../scripts/cluster.py"


rule assign_folds:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        clusters=PLAN.clusters,
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
        job=job("assign_folds"),
    script:
        "../scripts/folds.py"
