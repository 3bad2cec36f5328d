"""What users hand over: tables and columns of any library, and labels that become codes.

tables says what kind of table X is, and takes columns and rows from it; labels turns a column
of labels into codes, the same ones whatever the column is held in.
"""

from rmtgb.containers.labels import LabelEncoder, as_array
from rmtgb.containers.tables import (
    as_frame,
    as_table,
    column_names,
    refuse_ambiguous_position,
    take_column,
    take_columns,
    take_rows,
)

__all__ = [
    "LabelEncoder",
    "as_array",
    "as_frame",
    "as_table",
    "column_names",
    "refuse_ambiguous_position",
    "take_column",
    "take_columns",
    "take_rows",
]
