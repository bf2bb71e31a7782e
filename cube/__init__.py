"""The cube itself: store, axes and layout, versions, ledger, verification, reading. Imports no other package of the project."""
