"""The ends of the three patterns."""

from shmcomm.compat.patterns.pipeline import Puller, Pusher
from shmcomm.compat.patterns.pubsub import Publisher, Subscriber
from shmcomm.compat.patterns.reqrep import Replier, Requester

__all__ = ["Publisher", "Subscriber", "Requester", "Replier", "Pusher", "Puller"]
