"""Customer.io's APIs."""
