"""Predictions to numbers: tables, metrics and reports, of any system."""
