"""Turns packet-in records into the ways packets took (observed Trajectories).

``identity`` says which records are of one packet, ``stitch`` joins them into hops and trees.
"""
