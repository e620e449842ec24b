"""Next-token training of a language model on a mixture."""
