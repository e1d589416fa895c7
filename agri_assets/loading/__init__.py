"""The streaming reader, augmentation, and adapters for torch and Keras."""
