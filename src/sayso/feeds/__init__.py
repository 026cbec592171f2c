"""Followers that are up to date, told together: however many follow a stream, one hears of its news, and what they get
is written down once. Whoever falls behind reads the log for itself. Knows no transport; lives on the gateway's loop."""

from sayso.feeds.feed import Feed
from sayso.feeds.feeds import Feeds
from sayso.feeds.follower import Follower
from sayso.feeds.member import Member

__all__ = ["Feed", "Feeds", "Follower", "Member"]
