"""`assent doctor`: what is wrong with an installation, in plain words, each with its fix."""

from bot.doctor.doctor import Doctor
from bot.doctor.findings import Finding, Level

__all__ = ["Doctor", "Finding", "Level"]
