import dataclasses
from typing import get_args

from vtrace_ovs.model.actions import Action, ApplyActions, Instruction, Output, WriteActions


def test_every_action_and_instruction_is_a_frozen_value() -> None:
    for kind in (*get_args(Action), *get_args(Instruction)):
        assert dataclasses.is_dataclass(kind)
        assert "__slots__" in vars(kind)
        assert kind.__hash__ is not None


def test_actions_made_by_us_have_no_bytes_yet() -> None:
    assert ApplyActions((Output(1),)).raw == ()
    assert WriteActions((Output(1),)).raw == ()
