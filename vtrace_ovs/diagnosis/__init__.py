"""Turns an observed and a predicted Trajectory into a Verdict, and a task's verdicts into its TaskResult.

``scene`` holds what is known around the packets; ``rules`` is the way in.
"""
