# SPDX-License-Identifier: BSD-3-Clause
"""The seeded guests, a module or more a lab."""
