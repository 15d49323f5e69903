"""Claims batches, sends them, settles what came of it."""
