"""Liquid, rendered here where it is quick and in a process with limits where it isn't."""
