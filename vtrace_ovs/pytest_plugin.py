"""Turns a user's Mininet test into assertions on real packets (pytest fixtures)."""
