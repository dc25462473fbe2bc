"""Turns results, tasks and plans into lines for people and JSON for programs."""
