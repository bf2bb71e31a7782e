"""The `sample` job: what the emulator is trained on."""
