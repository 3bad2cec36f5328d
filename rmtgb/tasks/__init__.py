"""Tasks: which row belongs to which, and what the model keeps per task.

column splits the task column off X, encoder maps labels to codes, index groups rows by task,
table and baseline hold the parameters that each task has of its own; profiles say what is left of
it, from which evidence calls outliers and descriptors describe all tasks.
"""

from rmtgb.tasks.column import split_task_column
from rmtgb.tasks.encoder import TaskEncoder, describe_unseen
from rmtgb.tasks.index import TaskIndex

__all__ = [
    "TaskEncoder",
    "TaskIndex",
    "describe_unseen",
    "split_task_column",
]
