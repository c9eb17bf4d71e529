"""Groups, which are lanes here: opened, paused, resumed, drained."""

import uuid

from deliveries.commands.destinations import EXECUTE
from deliveries.models import Destination
from outbox import lanes


def open_group(group_id: uuid.UUID, destination: Destination) -> int:
    """The lane of the group's deliveries: paused with the group, limited with its destination."""
    return lanes.ensure(EXECUTE, f"group:{group_id}", parent_id=destination.lane_id)


def pause_group(lane_id: int) -> None:
    lanes.pause([lane_id], why="The feed is paused.")


def resume_group(lane_id: int) -> None:
    lanes.resume([lane_id])


def drain_group(lane_id: int) -> None:
    """The group was cancelled: what waits in its lane is dropped without taking the destination's rate."""
    lanes.drain(lane_id)
