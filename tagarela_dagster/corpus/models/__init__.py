"""Models that the graph trains and scores with: variety, perplexity, quality classifiers."""
