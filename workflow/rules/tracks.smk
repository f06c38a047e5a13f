wildcard_constraints:
    stem="|".join(PLAN.browsed) or "none",


rule write_tracks:
    input:
        tables=lambda wildcards: PLAN.browsed_table(wildcards.stem),
        transcripts=provided("write_tracks"),
    output:
        [f"{OUT}/{{stem}}{end}" for end in PLAN.browsed_ends],
    log:
        f"{OUT}/logs/{{stem}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{stem}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("write_tracks.py"),
        content=content("write_tracks"),
        job=job("write_tracks"),
    script:
        "../scripts/write_tracks.py"


rule find_elements:
    input:
        scores=lambda wildcards: f"{PLAN.scored(contract.source_of(wildcards.tracks), wildcards.mode)}.parquet",
        transcripts=provided("find_elements"),
    output:
        [f"{OUT}/{{tracks}}/elements_{{mode}}{end}" for end in contract.elements(PLAN.browsed_classes)],
    log:
        f"{OUT}/logs/{{tracks}}/elements_{{mode}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{tracks}}/elements_{{mode}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("find_elements.py"),
        content=content("find_elements"),
        job=job("find_elements"),
    script:
        "../scripts/find_elements.py"
