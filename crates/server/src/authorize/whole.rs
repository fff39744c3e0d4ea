//! APIs of which the whole is refused, or nothing: what they answer then.

use fletch_wire::messages::{
    AlterClientQuotasResponse, AlterPartitionReassignmentsResponse,
    AlterUserScramCredentialsResponse, CreateAclsResponse, DeleteAclsResponse,
    DescribeAclsResponse, DescribeClientQuotasResponse, DescribeLogDirsResponse,
    DescribeUserScramCredentialsResponse, ElectLeadersResponse, ListPartitionReassignmentsResponse,
    alter_client_quotas, alter_user_scram_credentials::AlterUserScramCredentialsResult,
    create_acls::AclCreationResult, delete_acls::DeleteAclsFilterResult,
};
use fletch_wire::{RequestBody, ResponseBody, Str};

use super::CLUSTER_DENIED;
use crate::handlers::Context;

/// The answer to a request that needs a permission on the cluster which the client doesn't have.
pub(super) fn refused(context: &Context<'_>, request: &RequestBody) -> ResponseBody {
    let error_code = context.refuse(CLUSTER_DENIED);
    let error_message = Some(Str::from_static(error_code.message()));
    match request {
        RequestBody::DescribeAcls(_) => DescribeAclsResponse {
            error_code,
            error_message,
            ..Default::default()
        }
        .into(),
        RequestBody::CreateAcls(request) => {
            let result = AclCreationResult {
                error_code,
                error_message,
                ..Default::default()
            };
            CreateAclsResponse {
                results: vec![result; request.creations.len()],
                ..Default::default()
            }
            .into()
        }
        RequestBody::DeleteAcls(request) => {
            let result = DeleteAclsFilterResult {
                error_code,
                error_message,
                ..Default::default()
            };
            DeleteAclsResponse {
                filter_results: vec![result; request.filters.len()],
                ..Default::default()
            }
            .into()
        }
        RequestBody::DescribeLogDirs(_) => DescribeLogDirsResponse {
            error_code,
            ..Default::default()
        }
        .into(),
        RequestBody::ElectLeaders(_) => ElectLeadersResponse {
            error_code,
            ..Default::default()
        }
        .into(),
        RequestBody::AlterPartitionReassignments(_) => AlterPartitionReassignmentsResponse {
            error_code,
            error_message,
            ..Default::default()
        }
        .into(),
        RequestBody::ListPartitionReassignments(_) => ListPartitionReassignmentsResponse {
            error_code,
            error_message,
            ..Default::default()
        }
        .into(),
        RequestBody::DescribeClientQuotas(_) => DescribeClientQuotasResponse {
            error_code,
            error_message,
            entries: None,
            ..Default::default()
        }
        .into(),
        RequestBody::AlterClientQuotas(request) => {
            let entries = request.entries.iter();
            let entries = entries.map(|entry| alter_client_quotas::answer::EntryData {
                error_code,
                error_message: error_message.clone(),
                entity: entry.entity.clone(),
                ..Default::default()
            });
            AlterClientQuotasResponse {
                entries: entries.collect(),
                ..Default::default()
            }
            .into()
        }
        RequestBody::DescribeUserScramCredentials(_) => DescribeUserScramCredentialsResponse {
            error_code,
            error_message,
            ..Default::default()
        }
        .into(),
        RequestBody::AlterUserScramCredentials(request) => {
            let given = request.upsertions.iter().map(|asked| &asked.name);
            let taken = request.deletions.iter().map(|asked| &asked.name);
            let results = given
                .chain(taken)
                .map(|user| AlterUserScramCredentialsResult {
                    user: user.clone(),
                    error_code,
                    error_message: error_message.clone(),
                    ..Default::default()
                });
            AlterUserScramCredentialsResponse {
                results: results.collect(),
                ..Default::default()
            }
            .into()
        }
        // Every API that is served is either above or has a check of its own; a test walks them all.
        other => unreachable!("{} is refused by nothing", other.key()),
    }
}
