"""On a GPU trainings are killed, go on and end the same, compute as exactly as they say, and share cards with others."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from interruption import killed_before, results

from rnalm.config import Finetune, HuggingFace, Saluki
from rnalm.errors import RnalmError
from rnalm.models import registry
from rnalm.training import finetune, loop

pytestmark = pytest.mark.gpu

MODELS = {
    "saluki": {"name": "saluki", "filters": 16, "layers": 2, "dropout": 0.1},
    "steady": {"name": "saluki", "filters": 16, "layers": 2, "dropout": 0, "shift": 0},
    "frames": {"name": "frames", "width": 8, "layers": 1, "dropout": 0.1},
    # Random features that are drawn anew in the second epoch.
    "performer": {"name": "performer", "width": 8, "layers": 1, "heads": 2, "local_heads": 1, "redraw": 8},
    "transformer": HuggingFace(
        name="hf",
        type="modernbert",
        config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
    ).model_dump(),
}


@pytest.fixture
def job(prepare, tmp_path, device):
    """Describe a training on the device."""

    def make(model: str, **options) -> finetune.Job:
        fields = {"model": MODELS[model], "gpus": int(device.type == "cuda")}
        return prepare(tmp_path, fields=fields, **{"epochs": 2, "lengths": (100, 200)} | options)

    return make


def at(job: finetune.Job, output: Path, **options) -> finetune.Job:
    return dataclasses.replace(job, output=str(output), options=job.options | options)


def trained(job: finetune.Job) -> dict[str, bytes]:
    finetune.finetune(job)
    return results(job.output)


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("model", ["saluki", "frames", "performer", "transformer"])
def test_a_training_that_was_killed_ends_with_the_same_bytes(job, tmp_path, monkeypatch, model, bf16):
    whole = job(model, bf16=bf16)
    expected = trained(whole)
    assert trained(at(whole, tmp_path / "again")) == expected
    killed = at(whole, tmp_path / "killed")
    with killed_before(1, monkeypatch):
        finetune.finetune(killed)
    assert trained(killed) == expected


def wrong(device: torch.device) -> float:
    """Measure how far products of float32 are off, relative to their spread: 2e-5 where they are exact, 1e-3 in TF32."""
    torch.manual_seed(0)
    x, convolution = torch.randn(8, 64, 512), torch.nn.Conv1d(64, 64, 5)
    gru = torch.nn.GRU(64, 64, batch_first=True)

    def outputs(dtype: torch.dtype, where: torch.device) -> list[torch.Tensor]:
        here = x.to(where, dtype)
        with torch.inference_mode():
            parts = here @ here.mT, convolution.to(where, dtype)(here), gru.to(where, dtype)(here.mT)[0]
        return [part.double().cpu() for part in parts]

    exact = outputs(torch.float64, torch.device("cpu"))
    return max(float((a - b).abs().max() / b.std()) for a, b in zip(outputs(torch.float32, device), exact, strict=True))


def test_products_are_exact_also_after_the_trainer_was_told_to_compile(device, tmp_path):
    assert wrong(device) < 1e-4
    run = loop.Run("finetune", Finetune(torch_compile=True).model_dump(), tmp_path, "loss", False, 1, 1)
    loop.training_arguments(run, 1)
    assert wrong(device) < 1e-4


def test_a_compiled_model_is_trained_in_float32(job, device, tmp_path):
    # What is drawn for dropout and shifts is other random numbers, once compiled.
    plain = job("steady", epochs=1, batch_size=64)
    expected = trained(plain)
    compiled = at(plain, tmp_path / "compiled", torch_compile=True)
    losses = [json.loads(run["eval_results.json"])["eval_loss"] for run in (expected, trained(compiled))]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert wrong(device) < 1e-4


def test_in_bf16_the_gru_computes_in_float32_and_gradients_come_through(device):
    torch.manual_seed(0)
    model = registry.create(Saluki(dropout=0).model_dump(), 11, 0, 1).to(device).train()
    seen = []
    model.gru.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].dtype, output[0].dtype)))
    ids, target = torch.randint(7, 11, (16, 800), device=device), torch.randn(16, 1, device=device)
    gradients = []
    for bf16 in (False, True):
        model.zero_grad()
        torch.manual_seed(1)  # of the shift
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            (model(ids).logits - target).square().mean().backward()
        gradients.append({name: weight.grad.flatten().double() for name, weight in model.named_parameters()})
    assert set(seen) == {(torch.float32, torch.float32)}
    for name, exact in gradients[0].items():
        rounded = gradients[1][name]
        assert rounded.isfinite().all()
        if "gru" in name:
            assert torch.cosine_similarity(exact, rounded, dim=0) > 0.9, name


def test_a_batch_that_does_not_fit_into_memory_names_the_key(job, device, tmp_path):
    if device.type != "cuda":
        pytest.skip("only a GPU has a memory of its own")
    large = job("saluki", lengths=(3000, 3100), batch_size=48)
    torch.cuda.empty_cache()
    left = torch.cuda.memory_reserved() + 2**26
    torch.cuda.set_per_process_memory_fraction(left / torch.cuda.get_device_properties(0).total_memory)
    try:
        with pytest.raises(RnalmError, match=r"^finetune.batch_size: 48 does not fit into the memory of the GPU; lower it"):
            finetune.finetune(large)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


#: Two processes on one card, which NCCL refuses: what they send each other goes by way of the host.
TWO = """
import functools, os

os.environ["LOCAL_RANK"] = "0"  # by which each takes a card
from rnalm.training import finetune, loop, processes
loop.TrainingArguments = functools.partial(loop.TrainingArguments, ddp_backend="gloo")
processes.main(finetune.Job, finetune.finetune)
"""


def test_two_processes_on_one_card_train_as_one_does(job, tmp_path, device):
    # Of one epoch: later ones see other batches in either process.
    alone = job("steady", epochs=1, batch_size=48)
    whole = json.loads(trained(alone)["eval_results.json"])
    both = at(alone, tmp_path / "both")
    (tmp_path / "job.json").write_text(json.dumps(dataclasses.asdict(both)))
    (tmp_path / "two.py").write_text(TWO)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, str(tmp_path / "two.py"), str(tmp_path / "job.json")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    shared = json.loads((tmp_path / "both" / "eval_results.json").read_text())
    assert np.isfinite(shared["eval_loss"])
    assert shared["eval_rows"] == whole["eval_rows"]


LEASE = """
import pathlib, sys, time
from rnalm.pipeline.lease import lease
with lease(1, folder=pathlib.Path(sys.argv[1])) as held:
    import torch
    x = torch.ones(1, device="cuda")
    began = time.time()
    time.sleep(1)
    print(held.devices, began, time.time())
"""


def test_two_runs_take_turns_on_one_card(tmp_path, device):
    if device.type != "cuda":
        pytest.skip("without a GPU there is nothing to lease")
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", LEASE, str(tmp_path / "locks")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    times = sorted([float(word) for word in process.communicate()[0].split()[-2:]] for process in running)
    assert times[0][1] <= times[1][0] < time.time()
