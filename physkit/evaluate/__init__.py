"""Evaluation of predictions: protocols, metrics, reports."""
