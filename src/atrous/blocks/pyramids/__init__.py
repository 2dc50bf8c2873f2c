"""Modules that look at one map at several scales."""
