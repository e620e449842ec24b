"""Asset checks: the gates between stages, as the page shows them."""
