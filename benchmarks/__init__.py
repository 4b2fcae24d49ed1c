"""Every claim of the project as a table: run by `make results`, sampled by `make test`."""
