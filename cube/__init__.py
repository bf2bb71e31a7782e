"""The cube itself: store, layout, versions, ledger, verification, reading. Imports no other package of the project."""
