"""Turns what an operator types into tasks, traces and a lab, and errors into exit codes."""
