"""From a language model to one that converses."""
