"""Broadcasts: schedules, forecasts and progress."""
