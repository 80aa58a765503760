"""`assent doctor`: what is wrong with an installation, in plain words, each with its fix."""
