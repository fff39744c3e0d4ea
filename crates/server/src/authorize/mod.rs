//! Before a request is served: what the client may not do is taken out of it, and put into the answer as
//! what it may not do. So no handler can forget to ask.
//!
//! Which permission an API asks for is in [`rules`]. A resource that a client may not describe looks the
//! same to it whether or not it exists.

mod groups;
mod operations;
pub(crate) mod rules;
mod topics;
mod transactions;
mod whole;

use fletch_wire::{ApiKey, ErrorCode, RequestBody, ResponseBody};

use crate::auth::acl::{Ask, CLUSTER, Operation, ResourceType};
use crate::dispatch::{self, Answer};
use crate::handlers::Context;

/// What is to be done to an answer before it is sent.
type Amend = Box<dyn FnOnce(&Context<'_>, &mut ResponseBody) + Send>;

/// What becomes of a request.
enum Verdict {
    /// What is left of it is served, and its answer amended.
    Serve(Amend),
    /// It is answered with this.
    Refuse(Box<ResponseBody>),
}

impl Verdict {
    fn as_it_is() -> Self {
        Self::Serve(Box::new(|_, _| {}))
    }

    fn refuse(answer: impl Into<ResponseBody>) -> Self {
        Self::Refuse(Box::new(answer.into()))
    }

    fn amend(amend: impl FnOnce(&Context<'_>, &mut ResponseBody) + Send + 'static) -> Self {
        Self::Serve(Box::new(amend))
    }
}

/// Answers a request as far as the client may have it answered.
pub(crate) async fn answer(context: &Context<'_>, mut request: RequestBody) -> Answer {
    if !context.broker.acls.bind(context.principal) {
        return dispatch::serve(context, request).await;
    }
    match check(context, &mut request) {
        Verdict::Refuse(answer) => Answer::from(*answer),
        Verdict::Serve(amend) => {
            let mut answer = dispatch::serve(context, request).await;
            amend(context, &mut answer.body);
            answer
        }
    }
}

fn check(context: &Context<'_>, request: &mut RequestBody) -> Verdict {
    let key = request.key();
    match request {
        // Its handler asks, since it begins before the answer's turn comes.
        RequestBody::Produce(_) => Verdict::as_it_is(),
        // Nothing to ask for.
        RequestBody::ApiVersions(_)
        | RequestBody::SaslHandshake(_)
        | RequestBody::SaslAuthenticate(_) => Verdict::as_it_is(),
        RequestBody::DescribeCluster(_) => operations::describe_cluster(),

        RequestBody::Fetch(request) => topics::fetch(context, request),
        RequestBody::ListOffsets(request) => topics::list_offsets(context, request),
        RequestBody::Metadata(request) => topics::metadata(context, request),
        RequestBody::CreateTopics(request) => topics::create_topics(context, request),
        RequestBody::DeleteTopics(request) => topics::delete_topics(context, request),
        RequestBody::DeleteRecords(request) => topics::delete_records(context, request),
        RequestBody::OffsetForLeaderEpoch(request) => topics::leader_epoch(context, request),
        RequestBody::CreatePartitions(request) => topics::create_partitions(context, request),
        RequestBody::DescribeProducers(request) => topics::describe_producers(context, request),
        RequestBody::DescribeTopicPartitions(request) => {
            topics::describe_topic_partitions(context, request)
        }
        RequestBody::DescribeConfigs(request) => topics::describe_configs(context, request),
        RequestBody::AlterConfigs(request) => topics::alter_configs(context, request),
        RequestBody::IncrementalAlterConfigs(request) => {
            topics::incremental_alter_configs(context, request)
        }

        RequestBody::OffsetCommit(request) => groups::offset_commit(context, request),
        RequestBody::OffsetFetch(request) => groups::offset_fetch(context, request),
        RequestBody::OffsetDelete(request) => groups::offset_delete(context, request),
        RequestBody::FindCoordinator(request) => groups::find_coordinator(context, request),
        RequestBody::JoinGroup(request) => groups::join_group(context, request),
        RequestBody::Heartbeat(request) => groups::heartbeat(context, request),
        RequestBody::LeaveGroup(request) => groups::leave_group(context, request),
        RequestBody::SyncGroup(request) => groups::sync_group(context, request),
        RequestBody::DescribeGroups(request) => groups::describe_groups(context, request),
        RequestBody::ListGroups(_) => groups::list_groups(context),
        RequestBody::DeleteGroups(request) => groups::delete_groups(context, request),
        RequestBody::ConsumerGroupHeartbeat(request) => groups::member(context, request),
        RequestBody::ConsumerGroupDescribe(request) => {
            groups::consumer_group_describe(context, request)
        }

        RequestBody::InitProducerId(request) => transactions::init_producer_id(context, request),
        RequestBody::AddPartitionsToTxn(request) => transactions::add_partitions(context, request),
        RequestBody::AddOffsetsToTxn(request) => transactions::add_offsets(context, request),
        RequestBody::EndTxn(request) => transactions::end(context, request),
        RequestBody::WriteTxnMarkers(request) => transactions::write_markers(context, request),
        RequestBody::TxnOffsetCommit(request) => transactions::offset_commit(context, request),
        RequestBody::DescribeTransactions(request) => transactions::describe(context, request),
        RequestBody::ListTransactions(_) => transactions::list(),

        // Of all others, either the whole or nothing.
        request => match rules::operation(key, ResourceType::Cluster) {
            Some(operation) if context.may(operation, ResourceType::Cluster, CLUSTER) => {
                Verdict::as_it_is()
            }
            _ => Verdict::refuse(whole::refused(context, request)),
        },
    }
}

impl Context<'_> {
    /// Whether the client may do something to something.
    pub(crate) fn may(
        &self,
        operation: Operation,
        resource_type: ResourceType,
        name: &str,
    ) -> bool {
        let ask = Ask {
            operation,
            resource_type,
            name,
        };
        let (acls, host) = (&self.broker.acls, self.peer.ip());
        acls.allow(self.principal, host, ask)
    }

    /// Whether the client may do what the request's API is for to a resource.
    fn may_use(&self, resource_type: ResourceType, name: &str) -> bool {
        let key: ApiKey = self.header.api_key;
        // What nobody has made a rule for is refused.
        rules::operation(key, resource_type)
            .is_some_and(|operation| self.may(operation, resource_type, name))
    }

    fn may_use_topic(&self, name: &str) -> bool {
        self.may_use(ResourceType::Topic, name)
    }

    fn may_use_group(&self, name: &str) -> bool {
        self.may_use(ResourceType::Group, name)
    }

    /// Whether the client may know that a topic exists.
    fn may_see_topic(&self, name: &str) -> bool {
        self.may(Operation::Describe, ResourceType::Topic, name)
    }

    /// Whether the client may know of every topic that exists or will.
    fn may_see_every_topic(&self) -> bool {
        let (acls, host) = (&self.broker.acls, self.peer.ip());
        acls.allow_every(
            self.principal,
            host,
            Operation::Describe,
            ResourceType::Topic,
        )
    }

    /// Counts refusals.
    fn refuse(&self, error: ErrorCode) -> ErrorCode {
        self.count(error)
    }
}

/// Takes those out of a list that don't pass.
fn take_refused<T>(list: &mut Vec<T>, passes: impl Fn(&T) -> bool) -> Vec<T> {
    let (kept, refused) = std::mem::take(list).into_iter().partition(passes);
    *list = kept;
    refused
}

const TOPIC: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
const GROUP: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;
const CLUSTER_DENIED: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
const TRANSACTIONAL_ID: ErrorCode = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
