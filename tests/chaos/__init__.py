"""What survives SIGKILL: short forms run with the tests, long ones by hand."""
