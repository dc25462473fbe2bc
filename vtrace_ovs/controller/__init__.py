"""The only runtime of Ryu or os-ken: carries out a session's commands on real bridges and reports what happens.

``seam`` picks the framework, ``connection`` moves OpenFlow bytes, ``bridge_link`` speaks to one bridge, ``links`` keeps
one link per bridge of the inventory, ``worker`` does the blocking work in native threads, ``app`` is the Ryu app that
joins them, and ``runner`` starts it.
"""
