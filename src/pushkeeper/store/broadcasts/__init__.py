"""Broadcasts: planned into batches, forecast, followed."""
