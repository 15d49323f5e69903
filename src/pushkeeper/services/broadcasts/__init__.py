"""Broadcasts: drafted, forecast, planned, sent, triggered."""
