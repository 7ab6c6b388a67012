"""Tests of the embedded session authority."""
