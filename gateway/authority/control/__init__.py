"""What a test turns while an authority runs: its clock, and how badly it answers. Off unless somebody asks for it."""

from gateway.authority.control.clock import Clock, ClockReading
from gateway.authority.control.faults import Faults, PlacedRule
from gateway.authority.control.rules import BadRule, Effect, Rule

__all__ = ["BadRule", "Clock", "ClockReading", "Effect", "Faults", "PlacedRule", "Rule"]
