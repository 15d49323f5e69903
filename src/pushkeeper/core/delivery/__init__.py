"""Delivery: eligibility, routes, rates, outcomes, retries, and the statuses of devices."""
