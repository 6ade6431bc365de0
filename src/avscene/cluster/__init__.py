"""Run work in actors on the nodes of a Ray cluster; only this folder imports Ray."""

from avscene.cluster.actor import Task
from avscene.cluster.connection import connect
from avscene.cluster.scheduling import Finished, Lost, Scheduler

__all__ = ["Finished", "Lost", "Scheduler", "Task", "connect"]
