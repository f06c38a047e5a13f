import optuna
import torch
from optuna.trial import TrialState, create_trial
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM, TrainingArguments

from rnalm.training import _compat


def test_a_trial_that_was_read_can_be_reported_to_and_ended():
    study = optuna.create_study()
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=1.0))
    study.add_trial(create_trial(state=TrialState.RUNNING))
    trial = _compat.live_trial(study, study.get_trials()[1])
    assert trial.number == 1
    trial.report(2.0, 1)
    trial.set_user_attr("worker", 3)
    study.tell(trial, 0.5)
    ended = study.get_trials()[1]
    assert (ended.value, ended.intermediate_values, ended.user_attrs) == (0.5, {1: 2.0}, {"worker": 3})


def test_what_the_trainer_reads_as_the_number_of_gpus_is_what_is_set(tmp_path):
    arguments = TrainingArguments(str(tmp_path), use_cpu=True)
    _compat.use_one_gpu(arguments)
    assert arguments.n_gpu == 0
    arguments._n_gpu = 4  # as where four are visible
    _compat.use_one_gpu(arguments)
    assert arguments.n_gpu == 1


def test_shared_weights_are_saved_once_and_not_missed(tmp_path):
    torch.manual_seed(0)
    sizes = {"vocab_size": 11, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}
    model = BertForMaskedLM(BertConfig(**sizes))
    _compat.save_shared_weights_once(model)
    model.save_pretrained(tmp_path)
    missing = model.state_dict().keys() - load_file(tmp_path / "model.safetensors").keys()
    assert missing == set(model._keys_to_ignore_on_save) == {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
