"""What is random in a training step is a function of (seed, step, rank): nothing of it has to be kept for a resume."""

import numpy as np
import torch


def seed_step(seed: int, step: int, rank: int, device: torch.device) -> None:
    """Start the random numbers of one step: jitter, mixing, dropout and stochastic depth draw from them.

    Args:
        seed: Of the whole training.
        step: Number of the step, from 0.
        rank: Number of this process among those that train together.
        device: Where the network is.
    """
    state = np.random.SeedSequence([seed, step, rank]).generate_state(2, np.uint64)
    number = int(state[0] >> np.uint64(1))
    # torch.manual_seed would do the same for every kind of device there is, which takes longer than a small step
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(number)
    # timm's mixing draws from numpy's global generator
    np.random.seed(int(state[1] >> np.uint64(32)))
