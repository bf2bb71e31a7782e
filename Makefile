# Two commands for a fresh clone: `make demo` and `make test`. The rest is for developers.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo

.PHONY: demo test soak lint bench docs clean

$(READY): pyproject.toml deploy/constraints.txt deploy/environment.sh
	@sh deploy/environment.sh $(VENV)
	@touch $@

demo: $(READY)
	@sh deploy/demo.sh $(BIN) $(DEMO)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

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
