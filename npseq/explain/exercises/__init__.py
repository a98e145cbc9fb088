"""Exercises in backpropagation through time, graded value by value."""

from .catalogue import EXERCISES
from .exercise import Exercise, ExerciseError, Outcome
from .grading import Report, grade_file

__all__ = ["EXERCISES", "Exercise", "ExerciseError", "Outcome", "Report", "grade_file"]
