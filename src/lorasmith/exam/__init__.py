"""The exam: question sheets, judges, figures with intervals, the choice of a snapshot, and the report.

See docs/concepts.md for the words and C1..C6 for the rules that the figures answer.
"""
