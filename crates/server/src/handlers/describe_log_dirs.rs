//! DescribeLogDirs: how much each partition has in the one directory there is.

use std::collections::HashMap;
use std::sync::Arc;

use fletch_store::Topic;
use fletch_wire::ErrorCode;
use fletch_wire::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use fletch_wire::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use tracing::error;

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let store = &context.broker.store;
    let log_dir = context.broker.config.store.path.display().to_string();
    let sizes = match store.partition_bytes().await {
        Ok(sizes) => sizes,
        Err(problem) => {
            error!(error = %problem, "the sizes of partitions can't be looked up");
            return DescribeLogDirsResponse {
                results: vec![DescribeLogDirsResult {
                    error_code: context.count(ErrorCode::KAFKA_STORAGE_ERROR),
                    log_dir: log_dir.into(),
                    ..Default::default()
                }],
                ..Default::default()
            };
        }
    };
    let described = |topic: &Topic, wanted: &mut dyn Iterator<Item = i32>| DescribeLogDirsTopic {
        name: topic.name.as_str().into(),
        partitions: wanted
            .filter_map(|partition| {
                let size = *sizes.get(&(topic.id, partition))?;
                Some(DescribeLogDirsPartition {
                    partition_index: partition,
                    partition_size: i64::try_from(size).unwrap_or(i64::MAX),
                    ..Default::default()
                })
            })
            .collect(),
        ..Default::default()
    };
    let topics = match request.topics {
        None => store
            .topics()
            .iter()
            .map(|topic| described(topic, &mut (0..topic.partitions)))
            .collect(),
        Some(asked) => {
            let known: HashMap<String, Arc<Topic>> = store
                .topics()
                .into_iter()
                .map(|topic| (topic.name.clone(), topic))
                .collect();
            asked
                .into_iter()
                .filter_map(|asked| {
                    let topic = known.get(&*asked.topic)?;
                    Some(described(topic, &mut asked.partitions.into_iter()))
                })
                // Who is asked for what it doesn't have says nothing about it.
                .filter(|topic| !topic.partitions.is_empty())
                .collect()
        }
    };
    DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            log_dir: log_dir.into(),
            topics,
            ..Default::default()
        }],
        ..Default::default()
    }
}
