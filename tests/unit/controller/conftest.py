"""Runs the controller's modules on os-ken: importing eventlet warns that it is deprecated, and warnings are errors."""

from vtrace_ovs.controller.framework import Framework, prefer

prefer(Framework.OS_KEN)
