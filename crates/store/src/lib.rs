//! The commit log: topics, partitions and offsets as a fold over one ordered, durable log.
