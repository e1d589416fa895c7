"""How learning rate and weight averaging move with the steps: pure functions that both frameworks call."""

import math


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Linear warm-up to `peak`, then a cosine to zero (Loshchilov and Hutter, 2016, arXiv:1608.03983, no restarts).

    Args:
        step: Number of the step, from 0.
        steps: All steps of the training.
        peak: Highest learning rate.
        warmup: Share of all steps spent warming up.
    """
    rising = int(warmup * steps)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    progress = (step - rising) / (steps - rising)
    return peak * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def average_decay(step: int, decay: float) -> float:
    """Decay of the moving average of the weights after step `step` (from 0).

    Starts low, so that the untrained weights are soon forgotten, and rises to `decay`: `(1 + t) / (10 + t)` as in
    TensorFlow's ExponentialMovingAverage with `num_updates`.
    """
    return min(decay, (1.0 + step) / (10.0 + step))
