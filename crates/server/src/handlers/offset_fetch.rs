//! OffsetFetch: where groups go on reading.

use std::collections::HashSet;

use fletch_wire::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use fletch_wire::messages::{OffsetFetchRequest, OffsetFetchResponse};
use fletch_wire::{ErrorCode, Str};

use super::Context;

/// The first version that has one error for all.
const GROUP_ERROR: i16 = 2;
/// The first version that asks for several groups.
const BATCHED: i16 = 8;

pub(crate) async fn handle(
    context: &Context<'_>,
    mut request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let (groups, version) = (&context.broker.groups, context.version());
    once(&mut request);
    let answer = groups
        .ask(|groups, _, _| groups.offset_fetch(version, &request))
        .await
        .unwrap_or_else(|_| refused(version, &request, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    context.count(answer.error_code);
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.for_each(|partition| _ = context.count(partition.error_code));
    for group in &answer.groups {
        context.count(group.error_code);
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.for_each(|partition| _ = context.count(partition.error_code));
    }
    answer
}

/// Leaves out what is asked for again, so that a small question can't have an answer larger than
/// what is kept.
fn once(request: &mut OffsetFetchRequest) {
    fn first<T: std::hash::Hash + Eq>() -> impl FnMut(T) -> bool {
        let mut seen = HashSet::new();
        move |one| seen.insert(one)
    }
    fn partitions(indexes: &mut Vec<i32>) {
        let mut is_first = first();
        indexes.retain(|index| is_first(*index));
    }
    if let Some(topics) = &mut request.topics {
        let mut is_first = first::<Str>();
        topics.retain(|topic| is_first(topic.name.clone()));
        let indexes = topics.iter_mut().map(|topic| &mut topic.partition_indexes);
        indexes.for_each(partitions);
    }
    let mut is_first = first::<Str>();
    request
        .groups
        .retain(|group| is_first(group.group_id.clone()));
    for topics in request.groups.iter_mut().flat_map(|one| &mut one.topics) {
        let mut is_first = first::<Str>();
        topics.retain(|topic| is_first(topic.name.clone()));
        let indexes = topics.iter_mut().map(|topic| &mut topic.partition_indexes);
        indexes.for_each(partitions);
    }
}

/// The same error for all that was asked.
fn refused(
    version: i16,
    request: &OffsetFetchRequest,
    error_code: ErrorCode,
) -> OffsetFetchResponse {
    if version >= BATCHED {
        let groups = request.groups.iter().map(|group| OffsetFetchResponseGroup {
            group_id: group.group_id.clone(),
            error_code,
            ..Default::default()
        });
        return OffsetFetchResponse {
            groups: groups.collect(),
            ..Default::default()
        };
    }
    if version >= GROUP_ERROR {
        return OffsetFetchResponse {
            error_code,
            ..Default::default()
        };
    }
    let topics = request.topics.iter().flatten().map(|topic| {
        let partitions = topic.partition_indexes.iter();
        let partitions = partitions.map(|&partition_index| OffsetFetchResponsePartition {
            partition_index,
            committed_offset: -1,
            metadata: Some(Str::default()),
            error_code,
            ..Default::default()
        });
        OffsetFetchResponseTopic {
            name: topic.name.clone(),
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    OffsetFetchResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use fletch_wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};

    use super::*;

    #[test]
    fn what_is_asked_again_is_answered_once() {
        let topic = OffsetFetchRequestTopics {
            name: "t".into(),
            partition_indexes: vec![2, 1, 2, 1],
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: "g".into(),
            topics: Some(vec![topic; 3]),
            ..Default::default()
        };
        let mut request = OffsetFetchRequest {
            groups: vec![group; 3],
            ..Default::default()
        };
        once(&mut request);
        let [group] = &*request.groups else {
            panic!("one group")
        };
        let Some([topic]) = group.topics.as_deref() else {
            panic!("one topic")
        };
        assert_eq!(topic.partition_indexes, [2, 1]);
    }
}
