//! DescribeUserScramCredentials: which credentials users have, but not what is kept of them (KIP-554).

use std::collections::HashMap;

use fletch_wire::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use fletch_wire::messages::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
};
use fletch_wire::{ErrorCode, Str};

use super::Context;
use crate::auth::verifier::ScramHash;

type Credentials = Vec<(ScramHash, u32)>;

pub(crate) fn handle(
    context: &Context<'_>,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let known = context.broker.authenticator.users.list();
    let asked = request.users.filter(|users| !users.is_empty());
    let results = match asked {
        None => known
            .into_iter()
            .map(|user| found(user.name.into(), &user.credentials))
            .collect(),
        Some(users) => {
            let known = known.into_iter();
            let known: HashMap<_, _> = known.map(|user| (user.name, user.credentials)).collect();
            let mut times: HashMap<Str, usize> = HashMap::new();
            for user in &users {
                *times.entry(user.name.clone()).or_default() += 1;
            }
            let mut results = Vec::with_capacity(times.len());
            for user in users {
                // A name that comes twice is answered once, as wrong.
                let result = match (times.insert(user.name.clone(), 0), known.get(&*user.name)) {
                    (Some(0), _) => continue,
                    (Some(1), Some(credentials)) => found(user.name, credentials),
                    (Some(1), None) => refused(context, user.name, ErrorCode::RESOURCE_NOT_FOUND),
                    _ => refused(context, user.name, ErrorCode::DUPLICATE_RESOURCE),
                };
                results.push(result);
            }
            results
        }
    };
    DescribeUserScramCredentialsResponse {
        results,
        ..Default::default()
    }
}

fn found(user: Str, credentials: &Credentials) -> DescribeUserScramCredentialsResult {
    let info = |(hash, iterations): &(ScramHash, u32)| CredentialInfo {
        mechanism: hash.number(),
        iterations: i32::try_from(*iterations).unwrap_or(i32::MAX),
        ..Default::default()
    };
    DescribeUserScramCredentialsResult {
        user,
        credential_infos: credentials.iter().map(info).collect(),
        ..Default::default()
    }
}

fn refused(
    context: &Context<'_>,
    user: Str,
    error: ErrorCode,
) -> DescribeUserScramCredentialsResult {
    DescribeUserScramCredentialsResult {
        user,
        error_code: context.count(error),
        error_message: Some(Str::from_static(error.message())),
        ..Default::default()
    }
}
