"""Turns an overlay in a text file into a real one on this machine: Mininet nodes, one Open vSwitch per server.

``network.Lab`` holds a lab in this process; ``client.LabClient`` talks to one that a detached keeper holds.
"""
