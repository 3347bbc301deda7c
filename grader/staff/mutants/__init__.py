# SPDX-License-Identifier: BSD-3-Clause
"""Mutants of the reference: what small mistake would the tests not see?"""
