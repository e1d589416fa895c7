"""Recipe, fit and resume, for torch and for Keras; also a plain command."""
