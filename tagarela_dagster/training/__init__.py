"""From clean text to a trained model: tokens, mixture, pretraining, fine-tuning. No Dagster."""
