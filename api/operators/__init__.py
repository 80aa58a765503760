"""A page for operators, per source: how its webhook stands, what was pushed, and a switch."""
