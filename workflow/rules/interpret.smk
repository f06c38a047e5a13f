wildcard_constraints:
    archive="|".join(contract.MUTATIONS),


# Goes first, so that a wrong replacement ends the run before hours of training rather than after them.
rule check_interpretation:
    input:
        encoded=f"{OUT}/encoded/{next(iter(PLAN.sources), 'none')}.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        labels=of_models(["labels.json"]) if PLAN.given else [],
        beds=ancient(PLAN.beds),
    output:
        f"{OUT}/interpret/checked",
    log:
        f"{OUT}/logs/interpret/check.log",
    benchmark:
        f"{OUT}/benchmarks/interpret/check.tsv"
    priority: 100
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        code=code("check_interpretation.py"),
        content=content("check_interpretation"),
        job=job("check_interpretation"),
    script:
        "../scripts/check_interpretation.py"


# One file for all models: shards × models × files would be a hundred thousand inputs.
rule gather_models:
    input:
        of_models(),
    output:
        f"{OUT}/interpret/models.json",
    log:
        f"{OUT}/logs/interpret/models.log",
    benchmark:
        f"{OUT}/benchmarks/interpret/models.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        code=code("gather_models.py"),
        content=content("gather_models"),
        job=job("gather_models"),
    script:
        "../scripts/gather_models.py"


rule score_shard:
    input:
        encoded=f"{OUT}/encoded/{{source}}.parquet",
        models=f"{OUT}/interpret/models.json",
        folds=lambda wildcards: PLAN.folds_of(wildcards.source),
        regions=provided("score_shard"),
    output:
        f"{OUT}/interpret/parts/{{source}}/{{mode}}/{{shard}}-of-{{shards}}.parquet",
    log:
        f"{OUT}/logs/interpret/{{source}}/{{mode}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{OUT}/benchmarks/interpret/{{source}}/{{mode}}/{{shard}}-of-{{shards}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        gpu=1 if PLAN.settings.finetune.gpus else 0,
        mem_mb=growing(4000),
        runtime=720,
    params:
        code=code("score.py"),
        content=content("score_shard"),
        job=job("score_shard"),
    script:
        "../scripts/score.py"


rule merge_scores:
    input:
        lambda wildcards: PLAN.shard_files(contract.source_of(wildcards.place), wildcards.mode),
    output:
        [f"{OUT}/{{place}}/loo_scores_{{mode}}.{suffix}" for suffix in contract.SCORES],
    log:
        f"{OUT}/logs/{{place}}/merge-{{mode}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/merge-{{mode}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("merge_scores.py"),
        job=job("merge_scores"),
    script:
        "../scripts/merge_scores.py"


rule draw_scores:
    input:
        scores=f"{OUT}/{{place}}/loo_scores_{{mode}}.parquet",
        verdict=PLAN.verdict,
        provided=provided("draw_scores"),
    output:
        report(
            f"{OUT}/{{place}}/loo_scores_{{mode}}.html",
            caption="../report/scores.rst",
            category="Sequence by sequence",
            labels={"scores": "{mode}", "of": "{place}"},
        ),
    log:
        f"{OUT}/logs/{{place}}/draw-{{mode}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/draw-{{mode}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("draw_scores.py"),
        content=content("draw_scores"),
        job=job("draw_scores"),
    script:
        "../scripts/draw_scores.py"


rule find_patterns:
    input:
        scores=f"{OUT}/{{place}}/loo_scores_{{mode}}.parquet",
        encoded=lambda wildcards: f"{OUT}/encoded/{contract.source_of(wildcards.place)}.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
    output:
        [f"{OUT}/{{place}}/loo_scores_{{mode}}.{end}" for end in contract.PATTERNS.values()],
    log:
        f"{OUT}/logs/{{place}}/patterns-{{mode}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/patterns-{{mode}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("find_patterns.py"),
        job=job("find_patterns"),
    script:
        "../scripts/find_patterns.py"


rule write_mutations:
    input:
        lambda wildcards: PLAN.shard_files(contract.source_of(wildcards.place), "mutate"),
    output:
        f"{OUT}/{{place}}/loo_scores_mutate.{{archive}}.zip",
    log:
        f"{OUT}/logs/{{place}}/write-{{archive}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/write-{{archive}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("write_mutations.py"),
        job=job("write_mutations"),
    script:
        "../scripts/write_mutations.py"
