"""`pushkeeper demo`."""
