"""The use cases as functions: predict, evaluate, train, measure."""
