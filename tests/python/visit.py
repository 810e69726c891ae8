"""Attaches as a subscriber, or as what is named, and exits; its resource tracker then removes the segment's
name: NAME [ROLE]."""
import sys

import shm_comm

role = sys.argv[2] if len(sys.argv) > 2 else "Subscriber"
getattr(shm_comm, role)(sys.argv[1], timeout_connect=60.0)
