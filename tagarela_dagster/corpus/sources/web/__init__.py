"""Pages of web archives on their way to text: cheap rejection first, extraction last."""
