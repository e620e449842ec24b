"""Language models in transformers' own classes."""
