"""The fault injector: each row of the table of faults, run and measured."""
