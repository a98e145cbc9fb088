"""Forecasts of many series: closed forms for each, one network for all, and their combination."""
