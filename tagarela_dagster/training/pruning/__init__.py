"""A smaller model out of a larger one: learned masks and a cut, or distillation."""
