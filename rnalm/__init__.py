"""From biological sequences to trained models, predictions and leave-one-out scores."""

__version__ = "0.1.0"
