"""Attaches as a subscriber and exits; its resource tracker then removes the segment's name: NAME."""
import sys

from shm_comm import Subscriber

Subscriber(sys.argv[1], timeout_connect=60.0)
