"""One network per module, and the contract that travels with its weights."""
