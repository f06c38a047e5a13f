wildcard_constraints:
    cohort="|".join(PLAN.settings.variants) or "none",
    written=PLAN.further_effects,


rule list_variants:
    input:
        provided("list_variants"),
    output:
        f"{OUT}/variants/parts/{{cohort}}/alleles.parquet",
        f"{OUT}/variants/parts/{{cohort}}/{contract.LAID}",
    log:
        f"{OUT}/logs/variants/{{cohort}}/list.log",
    benchmark:
        f"{OUT}/benchmarks/variants/{{cohort}}/list.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        code=code("list_variants.py"),
        content=content("list_variants"),
        job=job("list_variants"),
    script:
        "../scripts/list_variants.py"


rule score_variants:
    input:
        alleles=f"{OUT}/variants/parts/{{cohort}}/alleles.parquet",
        laid=f"{OUT}/variants/parts/{{cohort}}/{contract.LAID}",
        models=f"{OUT}/interpret/models.json",
        genome=provided("score_variants"),
    output:
        f"{OUT}/variants/parts/{{cohort}}/{{shard}}-of-{{shards}}.parquet",
    log:
        f"{OUT}/logs/variants/{{cohort}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{OUT}/benchmarks/variants/{{cohort}}/{{shard}}-of-{{shards}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        gpu=1 if PLAN.settings.finetune.gpus else 0,
        mem_mb=growing(4000),
        runtime=720,
    params:
        code=code("score_variants.py"),
        content=content("score_variants"),
        job=job("score_variants"),
    script:
        "../scripts/score_variants.py"


rule merge_variants:
    input:
        lambda wildcards: PLAN.variant_parts(wildcards.cohort),
    output:
        multiext(f"{OUT}/variants/{{cohort}}/", contract.VARIANTS, contract.UNSCORED),
    log:
        f"{OUT}/logs/variants/{{cohort}}/merge.log",
    benchmark:
        f"{OUT}/benchmarks/variants/{{cohort}}/merge.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        code=code("merge_variants.py"),
        job=job("merge_variants"),
    script:
        "../scripts/merge_variants.py"


rule write_variants:
    input:
        parts=lambda wildcards: PLAN.variant_parts(wildcards.cohort),
        variants=provided("write_variants"),
    output:
        f"{OUT}/variants/{{cohort}}/{{written}}",
    log:
        f"{OUT}/logs/variants/{{cohort}}/{{written}}.log",
    benchmark:
        f"{OUT}/benchmarks/variants/{{cohort}}/{{written}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        code=code("write_variants.py"),
        content=content("write_variants"),
        job=job("write_variants"),
    script:
        "../scripts/write_variants.py"
