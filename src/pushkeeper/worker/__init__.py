"""Claims batches, sends them, settles their results."""
