"""PURE: no I/O, no await, no clock, no random, no logging."""
