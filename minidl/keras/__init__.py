"""The Keras dialect: Keras 3's names, defaults and numbers on minidl's engine."""
