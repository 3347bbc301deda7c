# SPDX-License-Identifier: BSD-3-Clause
"""`grader/grade class`: grades what a whole class handed in, here or on a cluster."""
