"""From somebody's model to a Portuguese one."""
