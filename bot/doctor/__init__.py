"""`assent doctor`: what is wrong with an installation, in plain words, each with its fix."""

from bot.doctor.checkup import Checkup
from bot.doctor.findings import Finding, Level

__all__ = ["Checkup", "Finding", "Level"]
