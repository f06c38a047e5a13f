"""What other libraries keep private and training cannot do without, each with the reason; tests tell when it changes."""

import optuna
from optuna.trial import FrozenTrial, Trial
from transformers import PreTrainedModel, TrainingArguments


def live_trial(study: optuna.Study, frozen: FrozenTrial) -> Trial:
    """Make a trial of a study that can be reported to and ended, of one that was only read from it.

    ``Study.ask`` gives such trials, but only new ones without values: a worker that goes on with the trial of one that was
    killed, or begins one with all of its values at once, needs the number that the storage has for it. Optuna keeps that number
    in ``FrozenTrial._trial_id`` (Optuna 2.0 to 5.0).

    Parameters
    ----------
    study : optuna.Study
        Whose trial it is.
    frozen : FrozenTrial
        The trial, from ``study.get_trials()``.

    Returns
    -------
    Trial
        The same trial, not frozen.
    """
    return Trial(study, frozen._trial_id)


def use_one_gpu(arguments: TrainingArguments) -> None:
    """Let one process train on one GPU at most, also where more are visible.

    The Trainer divides each batch among all GPUs that a process sees; ``TrainingArguments.n_gpu`` says how many these are, and
    can only be read. What it reads is ``_n_gpu`` (transformers 4.0 to 5.23).

    Parameters
    ----------
    arguments : TrainingArguments
        Changed in place.
    """
    arguments._n_gpu = min(1, arguments.n_gpu)


def save_shared_weights_once(model: PreTrainedModel) -> None:
    """Tell the Trainer that weights which a model shares, such as those of its embedding, are not missing from a checkpoint.

    Shared weights are saved once. When it loads the best checkpoint, the Trainer warns of every name that is not there, but
    for those in ``_keys_to_ignore_on_save`` (transformers 4.5 to 5.23).

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.
    """
    model._keys_to_ignore_on_save = sorted(model.all_tied_weights_keys) or None
