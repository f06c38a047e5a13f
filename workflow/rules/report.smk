report: "../report/workflow.rst"


LINEAGE = contents.combine(
    PLAN.params("write_report")["config"],
    [
        code("report.py"),
        *(known for script, known in CODES.asked.items() if script not in ("check_interpretation.py", "draw_scores.py")),
    ],
    [CONTENTS.of(path) for path in PLAN.all_provided()],
)

# The report passes over scores that can only have been divided among other shards since it was written.
SETTLED = receipts.lineage(f"{OUT}/{receipts.FOLDER}/report.log") == LINEAGE


rule write_report:
    input:
        encoded=PLAN.targets("encode"),
        models=of_models(["config.json", "labels.json"]),
        histories=expand(f"{OUT}/fine-tune/{{model}}/trainer_state.json", model=PLAN.trained),
        summary=[f"{OUT}/fine-tune/summary.csv"] if PLAN.trained else [],
        stacks=[f"{folder}/{contract.STACK}" for folder in PLAN.stacks.values()],
        baselines=[f"{OUT}/baseline/{name}" for name in contract.SHOWN.values() if PLAN.baselines and PLAN.held_out],
        predictions=expand(
            f"{OUT}/{{place}}/{{name}}",
            place=[PLAN.predictions_of(source) for source in PLAN.queries],
            name=contract.SHOWN.values(),
        ),
        scores=(ancient if SETTLED else list)([f"{PLAN.scored(*asked)}.parquet" for asked in PLAN.asked]),
        patterns=(ancient if SETTLED else list)(
            [f"{PLAN.scored(*asked)}.{end}" for asked in PLAN.asked for end in contract.PATTERNS.values()]
        ),
        effects=(ancient if SETTLED else list)([path for name in PLAN.settings.variants for path in PLAN.variant_tables(name)]),
        laid=[path for name in PLAN.settings.variants for path in PLAN.variants_laid(name)],
        verdict=PLAN.verdict,
        provided=provided("write_report"),
        pretraining=expand(f"{OUT}/{{folder}}/{{name}}", folder=PLAN.pretrainings, name=contract.COURSE),
        spectra=PLAN.targets("powerlaw") if PLAN.settings.powerlaw else [],
    output:
        html=report(f"{OUT}/report.html", caption="../report/page.rst", category="The report"),
        pictures=[
            report(
                f"{OUT}/figures/{picture.name}",
                caption=f"../report/{picture.kind}.rst",
                category=picture.category,
                labels=picture.labels,
            )
            for picture in PLAN.pictures()
        ],
    log:
        f"{OUT}/logs/report.log",
    benchmark:
        f"{OUT}/benchmarks/report.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=60,
    params:
        code=code("report.py"),
        content=content("write_report"),
        lineage=LINEAGE,
        job=job("write_report"),
    script:
        "../scripts/report.py"
