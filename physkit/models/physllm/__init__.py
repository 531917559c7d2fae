"""PhysLLM: a frozen PhysNet, a language model with adapters, and what joins them."""
