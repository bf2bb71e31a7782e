# Two commands for a fresh clone: `make demo` and `make test`. The rest is for developers.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo

.PHONY: demo test services soak lint bench docs clean

$(READY): pyproject.toml deploy/constraints.txt deploy/environment.sh
	@sh deploy/environment.sh $(VENV)
	@touch $@

demo: $(READY)
	@sh deploy/demo.sh $(BIN) $(DEMO)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

# Needs Debian's Slurm and cron, and root; what is missing is skipped with the command to install it.
services: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -q -m "service and not soak"

soak: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -q -m soak

bench: $(READY)
	$(BIN)/python -m benchmarks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python -m batch.reference docs

clean:
	rm -rf $(VENV) $(DEMO)
