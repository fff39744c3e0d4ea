//! Payload bytes to Arrow columns: one compiled plan per schema.
