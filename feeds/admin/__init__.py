"""The admin of feeds and of what they are sent with. Who does something there does it as on the pages."""

from feeds.admin.deliveries import DeliveryAdmin
from feeds.admin.destinations import DestinationAdmin
from feeds.admin.feeds import FeedAdmin, MappingAdmin

__all__ = ["DeliveryAdmin", "DestinationAdmin", "FeedAdmin", "MappingAdmin"]
