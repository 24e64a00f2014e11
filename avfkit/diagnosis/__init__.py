"""Diagnosis: how far an inference method is from the truth, and why."""

from ._certificate import Certificate as Certificate
from ._certificate import certify as certify
from ._gap import TERMS as TERMS
from ._gap import Gap as Gap
from ._gap import gap as gap
from ._problems import Problem as Problem
from ._problems import linear_gaussian_problems as linear_gaussian_problems
