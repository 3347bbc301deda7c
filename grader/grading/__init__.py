# SPDX-License-Identifier: BSD-3-Clause
"""The autograder: a student's patch in, a verdict with its evidence out."""
