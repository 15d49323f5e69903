"""Delivery: the queue, pushes, routes, workers."""
