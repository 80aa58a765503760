"""What a gate is: the rules, the ledger and the verbs. No HTTP, no vendor SDK, no environment, no framework."""
